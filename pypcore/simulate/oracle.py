"""The best picture a movie allows: summed with the true motion, a sharp interpolator and known bad pixels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore.kernels.cpu.simulate import warp
from pypcore.simulate.movie import Truth, quintic_response
from pypcore.simulate.physics import critical_exposure

_CELL = 16


class Frames(Protocol):
    """A movie [frame, y, x] read one frame at a time."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""

    def read(self, i: int, /) -> NDArray[np.generic]:
        """Frame ``i`` [y, x]."""


Index = tuple[NDArray[np.intp], ...]
Displacement = Callable[[int, NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def sum_frames(
    movie: Frames,
    gain: NDArray[np.float32],
    truth: Truth,
    displacement: Displacement | None,
    *,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Sum frames moved back by ``displacement(frame, ys, xs)`` px (None: as they are), weighted by dose.

    Quintic spline interpolation; dose weights exp(-N/2Ne) of Grant and Grigorieff 2015 at the dose after each
    frame, divided by the root of their summed squares, as RELION has them (1 where nothing fades). Dead and hot
    pixels get the value of a random good neighbour. With ``truth.motion.at`` this is the oracle.
    """
    exposure, (height, width) = truth.exposure, movie.shape[1:]
    ky, kx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    k = (np.hypot(ky, kx) / exposure.pixel_size).astype(np.float32)
    decay = (1 / (2 * critical_exposure(k, exposure.voltage))).astype(np.float32)
    after = [exposure.pre_dose + (t + 1) * exposure.dose for t in range(movie.shape[0])]
    doses = after if exposure.fading else [0.0] * len(after)
    norm = np.sqrt(sum(np.exp(-2 * dose * decay) for dose in doses))
    sharpen = 1 / (norm * quintic_response(ky) * quintic_response(kx)).astype(np.float32)
    bad = gain == 0
    bad[tuple(truth.hot_pixels.T)] = True
    replaced, replacing = _good_neighbours(bad)
    ys, xs = np.meshgrid(*(np.arange(0, n + 2 * _CELL, _CELL, dtype=float) for n in (height, width)), indexing="ij")
    still = np.zeros((2, *ys.shape))

    def moved_back(t: int) -> NDArray[np.float32]:
        frame = movie.read(t).astype(np.float32) * gain
        frame[replaced] = frame[replacing]
        spectrum = scipy.fft.rfft2(frame)
        spectrum *= sharpen * np.exp(-doses[t] * decay)
        coefficients = scipy.fft.irfft2(spectrum, s=(height, width))
        dy, dx = still if displacement is None else displacement(t, ys, xs)
        out = np.empty((height, width), np.float32)
        warp(coefficients, dy, dx, _CELL, 0, 0, out)
        return out

    total = np.zeros((height, width), np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, movie.shape[0], threads):
            for frame in pool.map(moved_back, range(start, min(start + threads, movie.shape[0]))):
                total += frame
    return total


def _good_neighbours(bad: NDArray[np.bool_]) -> tuple[Index, Index]:
    """Indices of the bad pixels, and for each that of a random good one up to 3 px away."""
    rng = np.random.default_rng(0)
    places = np.argwhere(bad)
    most = np.array(bad.shape) - 1
    neighbours = np.clip(places + rng.integers(-3, 4, places.shape), 0, most)
    while (wrong := bad[tuple(neighbours.T)]).any():
        neighbours[wrong] = np.clip(places[wrong] + rng.integers(-3, 4, (wrong.sum(), 2)), 0, most)
    return tuple(places.T), tuple(neighbours.T)
