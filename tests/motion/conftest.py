"""Small movies of known motion, made by Fourier shifts: quick, and independent of pypcore's own simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

PIXEL = 1.5  # Å
DOSE = 2.0  # e-/Å² per frame


@dataclass
class ArrayMovie:
    """A movie in memory."""

    data: NDArray[np.generic]
    path: Path = Path("made.mrc")
    reads: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        n, height, width = self.data.shape
        return n, height, width

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def read(self, index: int) -> NDArray[np.generic]:
        self.reads.append(index)
        return self.data[index]


def specimen(height: int, width: int, seed: int = 0, finest: float = 8.0) -> NDArray[np.float64]:
    """A smooth random contrast of rms 0.2 with structure from 200 Å to ``finest`` Å."""
    noise = np.fft.rfft2(np.random.default_rng(seed).normal(size=(height, width)))
    k = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) / PIXEL
    noise *= np.exp(-((k * finest) ** 2)) * (1 - np.exp(-((k * 100) ** 2)))
    image = np.fft.irfft2(noise, s=(height, width))
    return 0.2 * image / image.std()


def shifted(image: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move what is at x to x + d."""
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])
    return np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2j * np.pi * (ky * d[0] + kx * d[1])), s=image.shape)


@pytest.fixture(scope="session")
def make_movie() -> Callable[..., ArrayMovie]:
    """Return a maker of movies: displacements [T, 2] (y, x) px, shape (h, w), counts per pixel and frame."""

    def make(
        d: NDArray[np.float64],
        shape: tuple[int, int] = (256, 288),
        rate: float = 8.0,
        contrast: float = 1.0,
        seed: int = 0,
        dtype: type = np.uint8,
    ) -> ArrayMovie:
        rim = max(16, int(np.ceil(np.abs(d).max())) + 8)  # one size for all gentle motions: one specimen
        canvas = contrast * specimen(shape[0] + 2 * rim, shape[1] + 2 * rim, seed)
        rng = np.random.default_rng(seed + 1)
        inside = np.s_[rim : rim + shape[0], rim : rim + shape[1]]
        frames = [rng.poisson(rate * np.clip(1 + shifted(canvas, step)[inside], 0, None)) for step in d]
        return ArrayMovie(np.array(frames).astype(dtype))

    return make


@pytest.fixture(scope="session")
def drift() -> NDArray[np.float64]:
    """A drift [12, 2] px that slows down, 0 in the first frame."""
    t = np.arange(12.0)
    return np.stack([6 * (1 - np.exp(-t / 3)), -0.4 * t], 1)


def settings_for(**changes: object) -> "object":
    from pypcore.motion import MotionSettings

    return MotionSettings(**{"pixel_size": PIXEL, "dose": DOSE, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def settings() -> Callable[..., object]:
    """Return a maker of settings for these movies."""
    return settings_for
