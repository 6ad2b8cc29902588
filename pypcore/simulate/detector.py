"""A counting camera: its gain, its bad pixels, and what it makes of the electrons that arrive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detector:
    """A camera of height h and width w.

    ``gain`` multiplies raw counts (0 = bad pixel), as ``pypcore.formats.gain.load_gain`` returns it. Hot
    pixels are NOT marked in it: a program has to find them.
    """

    gain: NDArray[np.float32]  # [y, x]
    hot: NDArray[np.float32]  # [y, x]: counts per frame beside those of the electrons

    @property
    def defects(self) -> NDArray[np.bool_]:
        """Dead pixels and columns, [y, x]."""
        return self.gain == 0

    @property
    def hot_pixels(self) -> NDArray[np.intp]:
        """Where the hot pixels are, [n, (y, x)]."""
        return np.argwhere(self.hot > 0)

    def expected(self, electrons: NDArray[np.float32]) -> NDArray[np.float32]:
        """Expected raw counts for expected ``electrons`` per px (negative ones count as none)."""
        working = self.gain > 0
        counts = np.divide(electrons, self.gain, out=np.zeros_like(self.gain), where=working)
        return np.maximum(counts, 0) + self.hot * working


def perfect_detector(shape: tuple[int, int]) -> Detector:
    """Gain 1 and no bad pixel."""
    return Detector(np.ones(shape, np.float32), np.zeros(shape, np.float32))


def typical_detector(
    shape: tuple[int, int],
    *,
    seed: int,
    gain_spread: float = 0.04,
    dead_pixels: int = 20,
    dead_columns: int = 2,
    hot_pixels: int = 20,
) -> Detector:
    """A camera with white gain variation of ``gain_spread`` rms, a tap pattern of 3 %, and bad pixels."""
    rng = np.random.default_rng([seed, 2])
    height, width = shape
    gain = 1 + np.float32(gain_spread) * rng.standard_normal(shape, dtype=np.float32)
    gain *= np.where(np.arange(width) // 256 % 2 == 0, 1.03, 0.97).astype(np.float32)
    gain = np.clip(gain, 0.5, 2)
    gain[rng.integers(height, size=dead_pixels), rng.integers(width, size=dead_pixels)] = 0
    gain[:, rng.integers(8, width - 8, size=dead_columns)] = 0
    hot = np.zeros(shape, np.float32)
    places = rng.integers(height, size=hot_pixels), rng.integers(width, size=hot_pixels)
    hot[places] = rng.uniform(8, 60, hot_pixels)
    hot[gain == 0] = 0
    return Detector(gain, hot)
