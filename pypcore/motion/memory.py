"""How a movie is worked on within the memory allowed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from pypcore.motion.small import small_shape

_PROCESS = 200 * 2**20  # Python, NumPy, SciPy and the compiled kernels


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
    # While motion is estimated: gain, mask, sum of the movie, small copy; rows of a frame half transformed a thread.
    estimating = 9 * pixels + small + threads * (raw + 3 * y * step * (x + 2) * 8)
    # While sums are combined: gain, mask, sums; a padded image and two spectra a thread, one more, and their total.
    combining = 5 * pixels + int((3 * threads + 2) * 4.3 * pixels)

    def needed(at_once: int, frames: int) -> int:
        return _PROCESS + frames * raw + max(estimating, combining + at_once * 4 * pixels)

    # Reading again is dearer than going over frames in memory once more: fewer sums at once are tried first.
    for at_once in range(sums, 0, -1):
        if needed(at_once, count) <= memory:
            return MemoryPlan(True, count, at_once, needed(at_once, count))
    least = min(2 * threads, count)
    for at_once in range(sums, 0, -1):
        if needed(at_once, least) <= memory:
            ahead = min(count, least + (memory - needed(at_once, least)) // raw)
            return MemoryPlan(False, ahead, at_once, needed(at_once, ahead))
    return MemoryPlan(False, least, 1, needed(1, least))
