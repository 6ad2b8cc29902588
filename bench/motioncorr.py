"""Motion correction: time, memory and closeness to the truth, ours beside the peers, over the floor."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import cases
from bench.cases import MadeMovie, MovieCase
from bench.floors import Floor, floor
from bench.process import Took
from bench.programs import Correction, installed
from pypcore.errors import PypcoreError
from pypcore.formats.mrc import read_mrc
from pypcore.simulate.found import found_motion
from pypcore.simulate.score import ImageScore, MotionScore, scoring_points, whole_frame_error


@dataclass
class Row:
    """One program on one movie."""

    case: str
    size: str
    seed: int
    program: str
    threads: int
    took: Took
    floor: Floor | None = None
    motion: MotionScore | None = None
    image: ImageScore | None = None
    whole_frame_px: float | None = None
    failed: str | None = None


def measure(case_list: list[MovieCase], threads_list: list[int], data: Path, out: Console) -> list[Row]:
    """Run every program on every movie at every number of threads."""
    rows: list[Row] = []
    programs = installed()
    most = max(threads_list)
    for case in case_list:
        for seed in case.seeds:
            out.print(f"motioncorr: {case.name} {case.size}, seed {seed}: movie", style="dim")
            made = cases.make(case, seed, data, most)
            if not rows:
                _correct("pypcore", made, most, data)  # so that compiled kernels are in the cache
            for threads in threads_list:
                least = floor(made.movie, threads)
                for program in programs:
                    out.print(f"motioncorr: {case.name}, seed {seed}: {program}, {threads} threads", style="dim")
                    took, scores = _correct(program, made, threads, data)
                    rows.append(Row(case.name, case.size, seed, program, threads, took, floor=least, **scores))
    return rows


def measure_real(threads: int, data: Path, micrograph: Path | None, out: Console) -> list[Row]:
    """The real micrograph under known motion: how far the whole-frame motion is from the truth."""
    rows = []
    for seed in cases.REAL_SEEDS:
        made = cases.make_real(seed, data, threads, micrograph)
        size = "x".join(str(n) for n in (*made.truth.motion.shape[::-1], made.truth.motion.n_frames))
        for program in installed():
            out.print(f"motioncorr: real micrograph, seed {seed}: {program}", style="dim")
            took, scores = _correct(program, made, threads, data)
            rows.append(Row("real", size, seed, program, threads, took, **scores))
    return rows


def _correct(program: str, made: MadeMovie, threads: int, data: Path) -> tuple[Took, dict[str, Any]]:
    """Run ``program`` and score what it leaves; a failure is a result too."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=data) as folder:
        correction = installed()[program](made, threads, Path(folder))
        if correction.took.failed:
            return correction.took, {"failed": correction.took.failed}
        try:
            return correction.took, scores(made, correction)
        except (PypcoreError, ValueError, OSError) as error:
            return correction.took, {"failed": f"its products can't be scored: {error}"}


def scores(made: MadeMovie, correction: Correction) -> dict[str, Any]:
    """Score what a program left: its motion, its picture, and the motion of the whole frame."""
    truth = made.truth
    found = found_motion(correction.motion, *scoring_points(truth.motion.shape), local=correction.local)
    picture, _ = read_mrc(correction.micrograph)
    pixel_size = truth.exposure.pixel_size
    return {
        "motion": MotionScore.of(found, truth.motion, truth.exposure),
        "image": ImageScore.of(picture, truth.ideal, pixel_size, made.oracle),
        "whole_frame_px": whole_frame_error(found.mean((2, 3)), truth.motion.whole),
    }


def report(rows: list[Row], out: Console) -> None:
    """Print the movies of known motion: cost and closeness."""
    table = Table(title="motioncorr: cost, and closeness to the truth", title_justify="left")
    headings = ("program", "movie", "seed", "threads", "wall s", "CPU s", "peak MB", "wall / floor", "static Å")
    for heading in (*headings, "dw Å", "whole Å", "FRC 12-7/7-5/5-4/4-3 Å", "SNR / oracle's 7-5/5-4/4-3/3- Å"):
        table.add_column(heading, justify="left" if heading in ("program", "movie") else "right")
    for row in rows:
        cells = [row.program, row.size, str(row.seed), str(row.threads), f"{row.took.wall:.1f}", f"{row.took.cpu:.1f}"]
        cells += [f"{row.took.peak_mb:.0f}", f"{row.took.wall / row.floor.wall:.1f}" if row.floor else ""]
        if row.motion and row.image:
            cells += [f"{v:.3f}" for v in (row.motion.static, row.motion.weighted, row.motion.whole)]
            bands = row.image.bands
            cells.append("/".join(f"{band.frc:.3f}" for band in bands[1:5]))
            cells.append("/".join("-" if band.snr_rel is None else f"{band.snr_rel:.2f}" for band in bands[2:6]))
        table.add_row(*cells, style=None if row.failed is None else "red")
    out.print(table)
    for row in rows:
        if row.failed:
            out.print(f"{row.program}, {row.size}, seed {row.seed}, {row.threads} threads FAILED: {row.failed}")
    floors = {(row.size, row.threads): row.floor for row in rows if row.floor}
    for (size, threads), least in floors.items():
        transforms = ", ".join(f"{wall:.2f} s by {name}" for name, wall in least.transforms.items())
        parts = f"decoding {least.decode:.2f} s, one pass over the frames {least.real_space:.2f} s"
        out.print(
            f"floor {size}, {threads} threads: {least.wall:.2f} s, {least.cpu:.2f} CPU s: {parts}, "
            f"four transforms and one back {transforms}"
        )
    _ratios(rows, out)
    out.print("static: rms error of the motion about its time mean at each point; dw: the same, weighted by what a")
    out.print("frame carries at 4 Å; whole: of the mean over the field. CPU s of every process, peak of the largest.")
    out.print("-: the oracle (true motion, best interpolation) itself shows nothing there.")
    _verdict(rows, out)


def _ratios(rows: list[Row], out: Console) -> None:
    """Say how much less CPU time, wall time and memory than RELION's ours takes."""
    by_key = {(row.size, row.seed, row.threads, row.program): row.took for row in rows if not row.failed}
    for (size, seed, threads, program), peer in by_key.items():
        ours = by_key.get((size, seed, threads, "pypcore"))
        if program == "RELION" and ours:
            out.print(
                f"RELION / pypcore, {size}, seed {seed}, {threads} threads: CPU time {peer.cpu / ours.cpu:.1f}, "
                f"wall time {peer.wall / ours.wall:.1f}, memory {peer.peak_mb / ours.peak_mb:.1f}"
            )


def report_real(rows: list[Row], out: Console) -> None:
    """Print the real micrograph's table."""
    table = Table(title="real micrograph, known motion: whole-frame motion, rms over frames", title_justify="left")
    for heading in ("program", "movie", "seed", "error px (y and x together)", "error px per axis", "true motion Å"):
        table.add_column(heading, justify="left" if heading in ("program", "movie") else "right")
    for row in rows:
        if row.whole_frame_px is None or row.motion is None:
            table.add_row(row.program, row.size, str(row.seed), f"FAILED: {row.failed}", style="red")
            continue
        error = row.whole_frame_px
        table.add_row(
            row.program, row.size, str(row.seed), f"{error:.3f}", f"{error / 2**0.5:.3f}", f"{row.motion.truth:.2f}"
        )
    out.print(table)


def _verdict(rows: list[Row], out: Console) -> None:
    """Say on how many movies ours is no worse than RELION."""
    by_key = {(row.case, row.seed, row.threads, row.program): row for row in rows}
    motion = frc = of = 0
    for (case, seed, threads, program), peer in by_key.items():
        ours = by_key.get((case, seed, threads, "pypcore"))
        if program != "RELION" or not (ours and ours.motion and ours.image and peer.motion and peer.image):
            continue
        of += 1
        motion += ours.motion.static <= peer.motion.static
        shown = [(a, b) for a, b in zip(ours.image.bands, peer.image.bands, strict=True) if a.snr_rel is not None]
        frc += all(a.frc >= b.frc - 1e-3 for a, b in shown)
    if of:
        out.print(
            f"no worse than RELION: motion (static) on {motion} of {of}; FRC on {frc} of {of} "
            "(within 0.001, in every band where the oracle shows anything)"
        )


def as_records(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows as plain data for the JSON."""
    return [asdict(row) for row in rows]
