"""Motion correction against the truth: several seeds of the usual movies, other laws of motion, beside RELION.

Columns beside the scores: the bound, what this estimator would reach on average with all the movie's information up
to the Nyquist limit (the true spectrum, noise drawn), and the error that the program itself expects.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import cases, programs
from bench.bound import bound
from bench.cases import MadeMovie
from bench.motioncorr import scores
from bench.process import Took
from bench.programs import Correction
from pypcore.errors import PypcoreError
from pypcore.simulate.laws import LAWS
from pypcore.simulate.score import ImageScore, MotionScore

SEEDS = {"k2": (12, 21, 22, 23, 24), "k3": (13, 14)}
RELION_SEEDS = {"k2": (12, 21), "k3": (13,)}  # more would take hours


@dataclass
class Row:
    """One program on one movie."""

    movie: str
    seed: int
    program: str
    took: Took
    expected: float | None = None  # Å: the program's own figure
    bound: float | None = None  # Å
    motion: MotionScore | None = None
    image: ImageScore | None = None
    failed: str | None = None


def measure_seeds(data: Path, out: Console) -> list[Row]:
    """Run on several seeds of the K2 and the K3 movie."""
    rows = []
    for name, seeds in SEEDS.items():
        for seed in seeds:
            out.print(f"accuracy: {name}, seed {seed}", style="dim")
            made = cases.make(cases.MOVIES[name], seed, data, 1)
            rows += _rows(name, seed, made, data, relion=seed in RELION_SEEDS[name])
    return rows


def measure_laws(data: Path, out: Console, seed: int = 7) -> list[Row]:
    """Run on movies of a quarter of a K2's area under each law of motion."""
    rows = []
    for law in LAWS:
        out.print(f"laws: {law}", style="dim")
        rows += _rows(law, seed, cases.make_law(law, seed, data, 1), data, relion=True)
    return rows


def _rows(name: str, seed: int, made: MadeMovie, data: Path, *, relion: bool) -> list[Row]:
    ways: dict[str, Callable[[MadeMovie, int, Path], Correction]] = {
        "plain": partial(programs.pypcore, options=("--weights", "plain")),
        "blur-aware": partial(programs.pypcore, options=("--weights", "blur-aware")),
    }
    if relion and "RELION" in programs.installed():
        ways["RELION"] = programs.relion
    rows = [_row(name, seed, way, run, made, data) for way, run in ways.items()]
    rows[0].bound = bound(made.truth)
    return rows


def _row(
    name: str, seed: int, way: str, run: Callable[[MadeMovie, int, Path], Correction], made: MadeMovie, data: Path
) -> Row:
    with tempfile.TemporaryDirectory(prefix="run-", dir=data) as folder:
        correction = run(made, 1, Path(folder))
        row = Row(name, seed, way, correction.took, failed=correction.took.failed)
        if row.failed:
            return row
        try:
            found = scores(made, correction)
        except (PypcoreError, ValueError, OSError) as error:
            row.failed = f"its products can't be scored: {error}"
            return row
        row.motion, row.image, row.expected = found["motion"], found["image"], programs.expected_error(correction)
    return row


def report(rows: list[Row], title: str, out: Console) -> None:
    """Print the table, and the means of movies with several seeds."""
    table = Table(title=title, title_justify="left")
    headings = (
        "movie",
        "seed",
        "program",
        "CPU s",
        "static Å",
        "dw Å",
        "whole Å",
        "expected",
        "ratio",
        "bound Å",
        "uncorrected",
    )
    for heading in (*headings, "SNR / oracle's 7-5/5-4/4-3/3- Å"):
        table.add_column(heading, justify="left" if heading in ("movie", "program") else "right")
    for row in rows:
        cells = [row.movie, str(row.seed), row.program, f"{row.took.cpu:.1f}"]
        if row.motion and row.image:
            cells += [f"{v:.3f}" for v in (row.motion.static, row.motion.weighted, row.motion.whole)]
            cells += [f"{row.expected:.3f}", f"{row.motion.static / row.expected:.2f}"] if row.expected else ["", ""]
            cells += [
                f"{row.bound:.3f}" if row.bound else "",
                f"{row.motion.truth:.2f}",
                "/".join(_share(band.snr_rel) for band in row.image.bands[2:6]),
            ]
        table.add_row(*cells, style=None if row.failed is None else "red")
    for name in dict.fromkeys(row.movie for row in rows):
        for program in ("plain", "blur-aware"):
            some = [row for row in rows if (row.movie, row.program) == (name, program) and row.motion and row.image]
            if len(some) > 1:
                table.add_row(name, "mean", program, *_means(some))
    out.print(table)
    for row in rows:
        if row.failed:
            out.print(f"{row.program}, {row.movie}, seed {row.seed} FAILED: {row.failed}")


def _means(rows: list[Row]) -> list[str]:
    motions = [row.motion for row in rows if row.motion]
    images = [row.image for row in rows if row.image]
    cells = [f"{np.mean([row.took.cpu for row in rows]):.1f}"]
    cells += [f"{np.mean([getattr(m, what) for m in motions]):.3f}" for what in ("static", "weighted", "whole")]
    expected = [row.expected for row in rows if row.expected]
    ratio = [m.static / row.expected for m, row in zip(motions, rows, strict=True) if row.expected]
    bounds = [row.bound for row in rows if row.bound]
    cells += [f"{np.mean(expected):.3f}", f"{np.mean(ratio):.2f}", f"{np.mean(bounds):.3f}" if bounds else ""]
    cells.append(f"{np.mean([m.truth for m in motions]):.2f}")
    shares = zip(*([band.snr_rel for band in image.bands[2:6]] for image in images), strict=True)
    return [*cells, "/".join(_share(None if None in band else float(np.mean(band))) for band in shares)]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def as_records(rows: list[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON takes them."""
    return [asdict(row) for row in rows]
