"""A specimen of Gaussian blobs, whose projections are exact at any tilt, axis and shift."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from pypcore.geometry import tilt_centre, tilt_depth, tilt_project
from pypcore.tilts.alignment import TiltAlignment


@dataclass
class Specimen:
    """Blobs at ``points`` [n, 3] (X, Y, Z, voxels from the centre), of one width and of amplitudes [n]."""

    points: np.ndarray
    amplitudes: np.ndarray
    sigma: float

    def volume(self, shape: tuple[int, int, int], offset=(0.0, 0.0, 0.0)) -> np.ndarray:
        """Return the densities [z, y, x] of a volume whose middle is at ``offset`` (z, y, x)."""
        along = [
            self._profile(self.points[:, axis], tilt_centre(n) - o, n)
            for axis, n, o in zip((2, 1, 0), shape, offset, strict=True)
        ]
        z, y, x = along
        return np.stack([(y * (self.amplitudes * plane)[:, None]).T @ x for plane in z.T]).astype(np.float32)

    def image(self, alignment: TiltAlignment, tilt: int, magnify: float = 1.0, where=None) -> np.ndarray:
        """Return raw image ``tilt``: ``magnify`` raw pixels a voxel; ``where``: only those points."""
        use = slice(None) if where is None else where
        seen = tilt_project(self.points, alignment.specimen_angles[tilt], alignment.x_tilt)
        centre = tilt_centre(alignment.aligned_shape[::-1])
        raw = alignment.to_raw(tilt, seen * magnify + centre)[use]
        height, width = alignment.image_shape
        sigma = self.sigma * magnify
        y = self._profile(raw[:, 1], 0.0, height, sigma)
        x = self._profile(raw[:, 0], 0.0, width, sigma)
        path = self.sigma * np.sqrt(2 * np.pi)  # the integral along the beam, in voxels
        return ((y * (self.amplitudes[use] * path)[:, None]).T @ x).astype(np.float32)

    def tilts(self, alignment: TiltAlignment, magnify: float = 1.0) -> np.ndarray:
        """Return the raw images [T, y, x]."""
        return np.stack([self.image(alignment, t, magnify) for t in range(len(alignment))])

    def depths(self, alignment: TiltAlignment, tilt: int) -> np.ndarray:
        """Return how far along the beam each blob is, in voxels."""
        return tilt_depth(self.points, alignment.specimen_angles[tilt], alignment.x_tilt)

    def _profile(self, at: np.ndarray, centre: float, n: int, sigma: float | None = None) -> np.ndarray:
        return np.exp(-((np.arange(n) - centre - at[:, None]) ** 2) / (2 * (sigma or self.sigma) ** 2))


@pytest.fixture
def specimen() -> Callable[..., Specimen]:
    """Return what makes a specimen in a box (z, y, x)."""

    def make(box: tuple[float, float, float], count: int = 150, sigma: float = 1.6, seed: int = 3) -> Specimen:
        rng = np.random.default_rng(seed)
        points = rng.uniform(-0.5, 0.5, (count, 3)) * np.array(box[::-1])
        return Specimen(points, rng.uniform(0.5, 1.5, count), sigma)

    return make
