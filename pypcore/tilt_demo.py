"""The demo's tilt series, whose alignment and specimen are known, and what was recovered of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.formats.mrc import read_mrc
from pypcore.formats.open_tilt_series import Reading, open_tilt_series
from pypcore.formats.tilt_alignment import read_alignment
from pypcore.simulate.tilt_files import write_movies
from pypcore.simulate.tilt_score import TiltScore
from pypcore.simulate.tiltseries import SimulatedSeries, TiltPlan, simulate_series

NAME = "demo_ts"
COARSE = 4
DOSE, FRAMES = 3.0, 4  # e-/Å² and frames, of a tilt
PLAN = TiltPlan(shape=(320, 384), depth=80, pixel_size=10.0, angles=(-60, 60, 3), shift=30, dose=0)


@dataclass(frozen=True)
class TiltComparison:
    """What a job found of the demo's series, against the truth."""

    axis: float  # degrees
    axis_error: float
    shift_error: float  # px, rms, apart from what no alignment can know
    views_used: int
    halves: float  # correlation of the two half tomograms, averaged over cubes of COARSE voxels


def make_demo_series(folder: Path, *, seed: int = 4) -> tuple[Path, SimulatedSeries]:
    """Write tilt movies of vesicles and their mdoc; return the mdoc and the truth."""
    truth = simulate_series("vesicles", PLAN, seed=seed)
    # Frames that move by nothing: at 10 Å a pixel, frames of this dose don't show how they move.
    return write_movies(folder, NAME, truth, dose=DOSE, frames=FRAMES, drift=0, seed=seed), truth


def compare_with_truth(job: Path, mdoc: Path, truth: SimulatedSeries) -> TiltComparison:
    """Read what ``job`` made of the series and compare."""
    series, _ = open_tilt_series(job / f"tilts/{NAME}.mrcs", Reading(mdoc.parent))
    found = read_alignment(job / f"alignments/{NAME}.aln", series, PLAN.shape, PLAN.pixel_size)
    score = TiltScore.of(found, truth)
    first, second = (_coarse(read_mrc(job / f"tomograms/{NAME}_half{number}.mrc")[0]).ravel() for number in (1, 2))
    return TiltComparison(
        axis=float(np.median(found.axes[found.used])),
        axis_error=score.axis,
        shift_error=score.shift,
        views_used=int(found.used.sum()),
        halves=float(np.corrcoef(first, second)[0, 1]),
    )


def _coarse(volume: NDArray[np.generic]) -> NDArray[np.float64]:
    """Average a volume over cubes of COARSE voxels; what is left over at its ends is cut off."""
    z, y, x = (side // COARSE for side in volume.shape)
    cubes = volume[: z * COARSE, : y * COARSE, : x * COARSE].reshape(z, COARSE, y, COARSE, x, COARSE)
    return np.asarray(cubes.mean((1, 3, 5), dtype=np.float64))
