"""How a movie is worked on within the memory allowed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from pypcore.motion.small import small_shape

_PROCESS = 300 * 2**20  # Python, NumPy, SciPy and the compiled kernels


@dataclass(frozen=True)
class MemoryPlan:
    """What is kept and what is done over: results don't depend on it, time does."""

    keep: bool  # raw frames stay in memory; otherwise they are decoded again for each pass
    ahead: int  # frames in memory at a time where they are not kept
    sums: int  # of the weighted sums, how many are made in one pass
    needed: int  # bytes in all


def plan_memory(
    shape: tuple[int, int, int], dtype: DTypeLike, step: int, group: int, sums: int, threads: int, memory: int
) -> MemoryPlan:
    """Fit a movie of ``shape`` into ``memory`` bytes: all sums at once first, then all frames kept.

    Where not even the least fits, that least is planned; ``needed`` says what it takes.
    """
    count, height, width = shape
    pixels = height * width
    raw = pixels * np.dtype(dtype).itemsize
    y, x = small_shape(height, width, step)
    small = max(count // group, 1) * y * x * 4
    # Gain, mask, sum of the movie; one corrected frame's half-transformed rows and small transforms a thread.
    fixed = _PROCESS + 9 * pixels + small + threads * (raw + height * (x + 2) * 4 + 3 * y * step * (x + 2) * 8)
    one_sum = pixels * 4
    # While sums are combined: a padded image and two spectra a thread, the total; the small copy is gone by then.
    combining = max(int((3 * threads + 2) * 4.3 * pixels) - small, 0)
    best = None
    for at_once in range(sums, 0, -1):
        base = fixed + combining + at_once * one_sum
        if base + count * raw <= memory:
            return MemoryPlan(True, count, at_once, base + count * raw)
        ahead = min(count, (memory - base) // raw)
        if best is None and ahead >= 2 * threads:
            best = MemoryPlan(False, int(ahead), at_once, int(base + ahead * raw))
    # Decoding again for every pass is dearer than another pass over frames in memory, so keeping went first.
    least = min(threads, count)
    return best or MemoryPlan(False, least, 1, fixed + combining + one_sum + least * raw)
