"""A data set on two cores: two movies at a time with a thread each, or one at a time with two threads."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import cases
from bench.process import run
from bench.programs import PYPCORE

MOVIES = 8
CORES = 2


@dataclass(frozen=True)
class Throughput:
    """One way of going through the movies."""

    size: str
    movies: int
    threads: int  # a task
    wall: float  # s
    cpu: float  # s
    failed: str | None


def measure(data: Path, progress: Console) -> list[Throughput]:
    """Run the movies (links to one K2 movie) both ways."""
    case = cases.K2
    made = cases.make(case, case.seeds[0], data, CORES)
    exposure = made.truth.exposure
    found = []
    for threads in (1, 2):
        progress.print(f"throughput: {MOVIES} movies, {threads} threads a task", style="dim")
        with tempfile.TemporaryDirectory(prefix="throughput-", dir=data) as name:
            folder = Path(name)
            for number in range(MOVIES):
                (folder / f"movie{number}.tif").symlink_to(made.movie)
            took = run(
                [
                    *PYPCORE, "run", "motioncorr", "*.tif", "-o", "job", "--threads", str(threads),
                    "--total-threads", str(CORES), "--pixel-size", str(exposure.pixel_size),
                    "--dose", str(exposure.dose), "--voltage", str(exposure.voltage), "--gain", made.gain,
                ],
                threads=CORES,
                folder=folder,
            )  # fmt: skip
        found.append(Throughput(case.size, MOVIES, threads, took.wall, took.cpu, took.failed))
    return found


def report(rows: list[Throughput], out: Console) -> None:
    """Print both, and which is the better."""
    for row in rows:
        if row.failed:
            out.print(f"throughput FAILED, {row.threads} threads a task: {row.failed}", style="red")
        how = f"{CORES // row.threads} at a time, {row.threads} thread{'s' * (row.threads > 1)} each"
        out.print(
            f"throughput {row.size}, {row.movies} movies on {CORES} cores, {how}: {row.wall:.1f} s, "
            f"{row.wall / row.movies:.2f} s a movie, {row.cpu:.1f} CPU s"
        )
    best = min((row for row in rows if not row.failed), key=lambda row: row.wall, default=None)
    if best:
        out.print(f"the better for a data set: --threads {best.threads}")
