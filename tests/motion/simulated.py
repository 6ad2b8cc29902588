"""Small movies by pypcore's own simulator, corrected and held against the truth."""

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pypcore.motion import Corrected, MotionSettings, correct_movie
from pypcore.simulate.motion import KnownMotion, typical_motion
from pypcore.simulate.movie import Exposure, simulate_movie
from pypcore.simulate.oracle import sum_frames
from pypcore.simulate.score import ImageScore, MotionScore, scoring_points
from pypcore.simulate.specimen import Optics, particle_contrast

PIXEL, DOSE, SHAPE = 1.5, 1.6, (640, 672)


@dataclass
class Counts:
    """A movie in memory."""

    data: np.ndarray
    path: Path = Path("made.mrc")

    def __post_init__(self):
        self.shape, self.dtype = self.data.shape, self.data.dtype

    def read(self, index):
        return self.data[index]


@dataclass
class Outcome:
    corrected: Corrected
    motion: MotionScore
    frc: list[float]  # 40-12, 12-7, 7-5 Å: of the corrected sum to the truth
    frc_uncorrected: list[float]

    def no_worse_than_uncorrected(self, noise=0.01):
        return all(a >= b - noise for a, b in zip(self.frc, self.frc_uncorrected, strict=True))


@cache
def _particles(shape, pixel_size):
    return particle_contrast(shape, Optics(pixel_size), seed=5)


def particles(shape=SHAPE, pixel_size=PIXEL):
    """The same particles each time: most of the work of a simulation is in them."""
    return _particles(shape, pixel_size).copy()


def usual(n_frames, *, dose=DOSE, shape=SHAPE, pixel_size=PIXEL, **changes):
    return typical_motion(shape, n_frames, pixel_size=pixel_size, dose=dose, seed=5, **changes)


def correct(
    motion: KnownMotion,
    contrast=None,
    *,
    dose=DOSE,
    pixel_size=PIXEL,
    detector=None,
    gain="own",
    alter=None,
    told_dose=None,
) -> Outcome:
    contrast = particles() if contrast is None else contrast
    exposure = Exposure(pixel_size, dose)
    movie = simulate_movie(contrast, motion, exposure, seed=5, detector=detector)
    data = movie.frames(1)
    counts = Counts(data if alter is None else alter(data))
    gain = movie.gain if isinstance(gain, str) else gain
    asked = MotionSettings(pixel_size=pixel_size, dose=told_dose or dose)
    corrected = correct_movie(counts, asked, gain=gain, log=logging.getLogger("pypcore.test"))
    found = corrected.field.on_grid(*scoring_points(motion.shape))
    ones = np.ones(motion.shape, np.float32)
    as_they_are = sum_frames(counts, ones if gain is None else gain, movie.truth, None)
    frcs = [
        [band.frc for band in ImageScore.of(image, movie.truth.ideal, pixel_size).bands[:3]]
        for image in (corrected.micrograph, as_they_are)
    ]
    return Outcome(corrected, MotionScore.of(found, motion, exposure), *frcs)
