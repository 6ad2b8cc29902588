"""``pypcore demo``: the whole way once, on movies whose motion is known."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pypcore.cli.common import console
from pypcore.cli.progress import Shown
from pypcore.cli.summary import print_outcome
from pypcore.job import Job
from pypcore.local import run_here
from pypcore.machine import this_machine
from pypcore.options import prepare
from pypcore.status import read_status

if TYPE_CHECKING:
    from pypcore.demo import Comparison


app = typer.Typer(add_completion=False)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder for the movies and the job.")] = Path(
        "pypcore-demo"
    ),
    movies: Annotated[int, typer.Option(min=1, help="How many movies to make.")] = 3,
    tilt_series: Annotated[
        bool, typer.Option("--tilt-series", help="Tilt movies to a tomogram instead: a simulated series.")
    ] = False,
) -> None:
    """Make movies from a real micrograph by a known motion, correct them, compare. Takes a minute or two."""
    if tilt_series:
        _tilt_series(folder)
        return
    from pypcore.demo import EXPOSURE, N_FRAMES, compare_with_truth, make_demo_movie

    out, cores = console(), len(this_machine().cores)
    out.print(f"Making {movies} movies of {N_FRAMES} frames from a real micrograph: known motion, gain, counting noise")
    raw = folder / "movies"
    made = [make_demo_movie(raw, seed=seed, threads=cores) for seed in range(1, movies + 1)]
    options = {
        "pixel_size": EXPOSURE.pixel_size,
        "dose": EXPOSURE.dose,
        "voltage": EXPOSURE.voltage,
        "gain": str(made[0].gain),
    }
    files, job = [str(one.movie) for one in made], Job((folder / "motion").absolute())
    shown_options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
    out.print(f"\n$ pypcore run motioncorr '{raw}/demo_*.tif' -o {folder}/motion {shown_options}")
    prepared = prepare("motioncorr", files, folder / "motion", options, said="demo")
    with Shown(console(stderr=True)) as shown:
        outcome = run_here(job, prepared.request, listener=shown, argv=sys.argv)
    print_outcome(job, outcome, as_json=False)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
    compared = [compare_with_truth(job.folder, one) for one in made]
    _print_trajectory(out, compared[0])
    _print_errors(out, compared, read_status(job).table())
    where = f"{folder}/motion"
    out.print(f"\nLook at  {where}/micrographs/{made[0].movie.stem}_motion.png")
    out.print("\nTry next:")
    for command, meaning in (
        (f"pypcore status {where}", "where the job is"),
        (f"pypcore show {where} {made[0].movie.stem}", "everything about one movie"),
        (f"pypcore run motioncorr '{raw}/demo_*.tif' -o {where} {shown_options}", "again: does nothing, and says so"),
        ("pypcore run motioncorr --help", "every option, with its unit"),
    ):
        out.print(f"  {command}\n      {meaning}", style="")


def _tilt_series(folder: Path) -> None:
    """Make a tilt series, go the whole way to a tomogram, and compare the alignment with the truth."""
    from pypcore.tilt_demo import DOSE, FRAMES, PLAN, compare_with_truth, make_demo_series

    out, cores = console(), len(this_machine().cores)
    out.print(f"Making a tilt series of vesicles: movies of {FRAMES} frames, {DOSE:g} e-/Å² a tilt, shifts up to 300 Å")
    mdoc, truth = make_demo_series(folder / "tilt-movies")
    job = folder / "tomograms"
    options = {"thickness": PLAN.depth, "bin": 2, "halves": "frames", "threads": min(cores, 4)}
    shown_options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
    out.print(f"\n$ pypcore run tomogram {mdoc} -o {job} {shown_options}")
    prepared = prepare("tomogram", [str(mdoc)], job, options, said="demo")
    with Shown(console(stderr=True)) as shown:
        outcome = run_here(Job(job.absolute()), prepared.request, listener=shown, argv=sys.argv)
    print_outcome(Job(job.absolute()), outcome, as_json=False)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
    found = compare_with_truth(job.absolute(), mdoc, truth)
    table = Table(title="The alignment, against the truth", title_justify="left")
    for heading in ("views used", "true axis °", "found °", "error of the shifts px, rms", "halves agree, at 80 Å"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{found.views_used} of {len(truth.angles)}",
        f"{PLAN.axis:.2f}",
        f"{found.axis:.2f}",
        f"{found.shift_error:.2f}",
        f"{found.halves:.2f}",
    )
    out.print(table)
    out.print(f"\nLook at  {job}/alignments/{mdoc.stem}.png, {job}/tomograms/{mdoc.stem}.png and {job}/report.html")


def _print_trajectory(out: Console, one: "Comparison") -> None:
    table = Table(title=f"{one.movie}: where the specimen was, px (y, x)", title_justify="left")
    for heading in ("frame", "true y", "found y", "true x", "found x", "error"):
        table.add_column(heading, justify="right")
    step = max(1, len(one.frames) // 8)
    for frame in one.frames[::step]:
        table.add_row(
            str(frame.frame),
            f"{frame.true[0]:.2f}",
            f"{frame.found[0]:.2f}",
            f"{frame.true[1]:.2f}",
            f"{frame.found[1]:.2f}",
            f"{frame.error:.3f}",
        )
    out.print()
    out.print(table)


def _print_errors(out: Console, compared: "list[Comparison]", rows: list[dict[str, Any]]) -> None:
    table = Table(title="Motion of the whole frame, rms over the frames", title_justify="left")
    for heading in ("movie", "true motion Å", "error Å", "error px", "error it expected Å"):
        table.add_column(heading, justify="left" if heading == "movie" else "right")
    for one, row in zip(compared, rows, strict=True):
        figures = (one.truth_rms_angstrom, one.rms_angstrom, one.rms_px, row["motion_error"])
        table.add_row(one.movie, *(f"{figure:.2f}" for figure in figures))
    out.print(table)
