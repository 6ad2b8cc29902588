"""Motion correction by each program: the same movie, the same question, its own products."""

import csv
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.cases import MadeMovie
from bench.process import Took, run

PYPCORE = (sys.executable, "-c", "from pypcore.cli.main import main; main()")


@dataclass(frozen=True)
class Correction:
    """What a program took and where it left its products."""

    took: Took
    micrograph: Path
    motion: Path
    local: Literal["model", "patches"]  # which part of its motion STAR holds the motion that it applied


Program = Callable[[MadeMovie, int, Path], Correction]


def pypcore(made: MadeMovie, threads: int, folder: Path, options: Sequence[str] = ()) -> Correction:
    """Correct by ``pypcore run motioncorr``, everything at its default (what a user gets) but for ``options``."""
    exposure = made.truth.exposure
    took = run(
        [
            *PYPCORE, "run", "motioncorr", made.movie, "-o", "job", "--threads", str(threads),
            "--pixel-size", str(exposure.pixel_size), "--dose", str(exposure.dose),
            "--voltage", str(exposure.voltage), "--gain", made.gain, *options,
        ],
        threads=threads,
        folder=folder,
    )  # fmt: skip
    products = folder / "job" / "micrographs"
    name = made.movie.stem
    return Correction(took, products / f"{name}.mrc", products / f"{name}.star", "patches")


def relion(made: MadeMovie, threads: int, folder: Path) -> Correction:
    """Correct by RELION's own implementation: 5 x 5 patches, B factor 150 px², dose weighting."""
    exposure = made.truth.exposure
    (folder / "movie.tif").symlink_to(made.movie)
    (folder / "movies.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n_rlnAmplitudeContrast #6\n"
        f"opticsGroup1 1 {exposure.pixel_size} {exposure.voltage:g} 2.7 0.07\n\n"
        "# version 30001\n\ndata_movies\n\nloop_\n_rlnMicrographMovieName #1\n_rlnOpticsGroup #2\nmovie.tif 1\n\n"
    )
    took = run(
        [
            "relion_run_motioncorr", "--i", "movies.star", "--o", "out/", "--use_own", "--j", str(threads),
            "--patch_x", "5", "--patch_y", "5", "--bfactor", "150", "--gainref", made.gain,
            "--dose_weighting", "--dose_per_frame", str(exposure.dose), "--preexposure", str(exposure.pre_dose),
        ],
        threads=threads,
        folder=folder,
    )  # fmt: skip
    return Correction(took, folder / "out/movie.mrc", folder / "out/movie.star", "model")


def expected_error(correction: Correction) -> float | None:
    """Return the rms error of the motion that our program itself expects, Å; None for others."""
    table = correction.micrograph.parent.parent / "micrographs.csv"
    if not table.exists():
        return None
    with table.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return float(row["motion_error"]) if row.get("motion_error") else None


def installed() -> dict[str, Program]:
    """Programs to compare: ours, and the peers that are on PATH."""
    programs: dict[str, Program] = {"pypcore": pypcore}
    if shutil.which("relion_run_motioncorr"):
        programs["RELION"] = relion
    return programs
