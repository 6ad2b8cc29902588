"""What motion correction can't do without, measured in the same run as what it is compared with.

Three things, each by the quickest way known here, and nothing else (no process to start, no motion to find, nothing
to write):

1. every frame is decoded, and kept: the pixels have to come from the file;
2. one pass over all frames in real space, in which every pixel is corrected for gain, interpolated and added to four
   weighted sums: less than one interpolation a pixel corrects nothing, and four sums are what dose weights need;
3. four transforms of a whole image and one back: weights are functions of frequency.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.process import cores
from pypcore import kernels
from pypcore.formats.movies import open_movie
from pypcore.kernels import fft
from pypcore.kernels.reference.warp import CELL, UNIT
from pypcore.motion.summing import Grid

Result = TypeVar("Result")

SUMS = 4
_BAND = 64  # rows a thread works on


@dataclass(frozen=True)
class Floor:
    """Seconds for one movie: wall and CPU of everything, and the wall time of each part."""

    wall: float
    cpu: float
    decode: float
    real_space: float
    transforms: dict[str, float]  # by each FFT library that is installed; the quicker one counts


def floor(path: Path, threads: int) -> Floor:
    """Measure it now, on ``threads`` cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores(threads))
    try:
        with open_movie(path) as movie, ThreadPoolExecutor(threads) as pool:
            movie.read(0)  # the first call sets up tables
            (decode, decode_cpu), frames = _timed(lambda: list(pool.map(movie.read, range(movie.shape[0]))))
            gain = np.ones(movie.shape[1:], np.float32)
            sums = np.zeros((SUMS, *movie.shape[1:]), np.float32)
            work = _pass(frames, gain, sums)
            bands = range(0, movie.shape[1], _BAND)
            (real_space, real_space_cpu), _ = _timed(lambda: list(pool.map(work, bands)))
            del frames
            shape = Grid.of((movie.shape[1], movie.shape[2]), 1).padded
            transforms = {name: _transforms(name, shape, pool) for name in fft.LIBRARIES if name != "mkl" or _mkl()}
    finally:
        os.sched_setaffinity(0, before)
    best = min(transforms.values())
    return Floor(
        decode + real_space + best[0],
        decode_cpu + real_space_cpu + best[1],
        decode,
        real_space,
        {name: wall for name, (wall, _) in transforms.items()},
    )


def _mkl() -> bool:
    return find_spec("mkl_fft") is not None


def _pass(frames: list[np.ndarray], gain: np.ndarray, sums: np.ndarray) -> Callable[[int], None]:
    kernel = kernels.get("warp_accumulate", "cython")
    _, height, width = sums.shape
    weights = np.ones((len(frames), SUMS), np.float32)
    offsets = np.zeros(len(frames), np.int32)

    def band(first: int) -> None:
        last = min(first + _BAND, height)
        cells = (-(-(last - first) // CELL), -(-width // CELL))
        shifts = np.full((len(frames), 2, *cells), UNIT // 3, np.int32)
        kernel(frames, gain, shifts, offsets, weights, first, sums[:, first:last])

    return band


def _transforms(library: str, shape: tuple[int, int], pool: ThreadPoolExecutor) -> tuple[float, float]:
    images = [np.ones(shape, np.float32) for _ in range(SUMS)]
    with fft.library(library):
        spectrum = fft.rfft2(images[0])
        forward, _ = _timed(lambda: list(pool.map(fft.rfft2, images)))
        back, _ = _timed(lambda: fft.irfft2(spectrum, shape))
    return forward[0] + back[0], forward[1] + back[1]


def _timed(work: Callable[[], Result]) -> tuple[tuple[float, float], Result]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return (time.perf_counter() - wall, time.process_time() - cpu), result
