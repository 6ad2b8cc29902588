"""What motion correction can't do without: decode each frame, and go to Fourier space and back once."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.process import cores
from pypcore.formats.movies import open_movie
from pypcore.kernels import fft


@dataclass(frozen=True)
class Floor:
    """Time for all frames of a movie: decoding, and one forward and one inverse real transform at good sizes."""

    wall: float  # s
    cpu: float  # s


def floor(path: Path, threads: int) -> Floor:
    """Measure it now, on ``threads`` cores, frames side by side."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores(threads))
    try:
        with open_movie(path) as movie, ThreadPoolExecutor(threads) as pool:
            good = (fft.good_size(movie.shape[1]), fft.good_size(movie.shape[2]))

            def work(frame: int) -> None:
                image = movie.read(frame).astype(np.float32)
                fft.irfft2(fft.rfft2(image, good), good)

            work(0)  # the first call sets up tables
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in pool.map(work, range(movie.shape[0])):
                pass
            return Floor(time.perf_counter() - wall, time.process_time() - cpu)
    finally:
        os.sched_setaffinity(0, before)
