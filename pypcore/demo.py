"""Movies to try pypcore on: a real micrograph, moved by a known motion, counted again.

The specimen is a crop of a real micrograph (``data/README.md``), as it is. It is moved, put behind a gain and counted
at the exposure that it was recorded with, so what a correction should find is known.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.formats.mrc import write_mrc
from pypcore.simulate.detector import typical_detector
from pypcore.simulate.found import found_motion
from pypcore.simulate.motion import KnownMotion, typical_motion
from pypcore.simulate.movie import Exposure, Truth, simulate_movie
from pypcore.simulate.score import scoring_points, whole_frame_error
from pypcore.simulate.specimen import micrograph_contrast
from pypcore.simulate.write import write_tiff_movie

MICROGRAPH = Path(__file__).parent / "data" / "micrograph.mrc.gz"
N_FRAMES = 24
# 48 e-/Å² in all, as the micrograph had (47.6). What it shows had faded when it was recorded.
EXPOSURE = Exposure(pixel_size=0.85378, dose=2.0, voltage=300.0, fading=False)
_MARGIN = 32  # px of the micrograph kept beyond each edge of the frame: what moves in was there
_CAMERA_SEED = 0  # all demo movies come from one camera, so one gain fits them all


@dataclass(frozen=True)
class DemoMovie:
    """A movie on disk, its gain, and what a correction should find."""

    movie: Path
    gain: Path
    truth: Truth


@dataclass(frozen=True)
class FrameMotion:
    """Where the specimen was in one frame, px relative to the first, (y, x): in truth and as found."""

    frame: int  # from 1
    true: tuple[float, float]
    found: tuple[float, float]

    @property
    def error(self) -> float:
        """Distance between the two, px."""
        return float(np.hypot(self.found[0] - self.true[0], self.found[1] - self.true[1]))


@dataclass(frozen=True)
class Comparison:
    """Motion of the whole frame found in a job, beside the truth.

    What is found is offset by one constant, so that the mean over the frames agrees: where the specimen was
    before the movie is nothing that a movie tells, and a constant blurs nothing.
    """

    movie: str
    frames: list[FrameMotion]
    rms_px: float
    rms_angstrom: float
    truth_rms_angstrom: float  # how far the specimen really moved, about its mean place


def make_demo_movie(
    folder: Path, *, seed: int = 1, threads: int = 1, micrograph: NDArray[np.generic] | None = None
) -> DemoMovie:
    """Write ``demo_SEED.tif`` (uint8, LZW), ``gain.mrc`` and ``demo_SEED_truth.npz`` to ``folder``.

    24 frames at 0.85378 Å and 2 e-/Å² per frame, 960 x 960 of the micrograph that is shipped, or as much of
    ``micrograph``, counts [y, x]. The seed decides how it is turned, the motion and the noise; the same seed gives
    the same files. The camera is the same for all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = read_micrograph() if micrograph is None else micrograph
    contrast = np.rot90(micrograph_contrast(image), seed % 4)
    height, width = contrast.shape
    motion = demo_motion((height - 2 * _MARGIN, width - 2 * _MARGIN), seed=seed)
    detector = typical_detector(motion.shape, seed=_CAMERA_SEED)
    movie = simulate_movie(np.ascontiguousarray(contrast), motion, EXPOSURE, seed=seed, detector=detector)
    made = DemoMovie(folder / f"demo_{seed}.tif", folder / "gain.mrc", movie.truth)
    write_tiff_movie(made.movie, movie.stream(threads))
    write_mrc(made.gain, detector.gain, EXPOSURE.pixel_size)
    movie.truth.save(folder / f"demo_{seed}_truth.npz")
    return made


def demo_motion(shape: tuple[int, int], *, seed: int) -> KnownMotion:
    """Typical motion, and what no model expects: a jump of the stage, and a shake from frame to frame."""
    pixel_size, dose = EXPOSURE.pixel_size, EXPOSURE.dose
    motion = typical_motion(shape, N_FRAMES, pixel_size=pixel_size, dose=dose, seed=seed, local=3.0)
    rng = np.random.default_rng([seed, 4])
    jump = np.zeros((N_FRAMES, 2))
    jump[rng.integers(N_FRAMES // 3, 2 * N_FRAMES // 3) :] = rng.normal(scale=1.5, size=2)
    shake = 0.6 * np.sin(2.4 * np.arange(N_FRAMES))[:, None] * rng.normal(size=2)
    whole = motion.whole + jump + shake
    return replace(motion, whole=whole - whole[0])


def compare_with_truth(job_folder: Path, demo: DemoMovie) -> Comparison:
    """Compare the motion of the whole frame in a finished ``motioncorr`` job with the truth of ``demo``."""
    star = job_folder / "micrographs" / f"{demo.movie.stem}.star"
    motion = demo.truth.motion
    found = found_motion(star, *scoring_points(motion.shape), local="patches").mean((2, 3))
    true = motion.whole
    rms = whole_frame_error(found, true)
    placed = found - (found - true).mean(0)
    pixel_size = demo.truth.exposure.pixel_size
    return Comparison(
        movie=demo.movie.name,
        frames=[FrameMotion(n + 1, _pair(true[n]), _pair(placed[n])) for n in range(len(true))],
        rms_px=rms,
        rms_angstrom=rms * pixel_size,
        truth_rms_angstrom=whole_frame_error(np.zeros_like(true), true) * pixel_size,
    )


def read_micrograph() -> NDArray[np.uint16]:
    """The micrograph that is shipped: 1024 x 1024 counts [y, x] at 0.85378 Å."""
    import mrcfile

    image: NDArray[np.uint16] = mrcfile.read(MICROGRAPH).squeeze()
    return image


def _pair(vector: NDArray[np.float64]) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])
