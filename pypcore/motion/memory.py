"""How a movie is worked on within the memory allowed.

What a movie takes is known beforehand, from its size: the most of what four stages take, in bytes a pixel of one
frame where nothing else is said.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from pypcore.motion.patches import boxes
from pypcore.motion.small import small_shape

_PROCESS = 95 * 2**20  # Python, NumPy, SciPy, Matplotlib, the compiled kernels, and what a thread works in
_MKL = 25 * 2**20  # its library; a part of the process in any case, so that plans don't depend on it
_KEPT_SHARE = 0.39  # of a box's pixels: coefficients used (half a plane, a disc in it), and what fills up their rows
_CELL = 256  # pixels that share a displacement


@dataclass(frozen=True)
class MemoryPlan:
    """What is kept and what is done over: results don't depend on it, time does."""

    keep: bool  # raw frames stay in memory; otherwise they are decoded again for each pass
    ahead: int  # frames in memory at a time where they are not kept
    sums: int  # of the weighted sums, how many are made in one pass
    needed: int  # bytes in all


@dataclass(frozen=True)
class Work:
    """What decides how much memory a movie takes."""

    shape: tuple[int, int, int]  # frames used, height, width
    dtype: DTypeLike  # of the raw counts
    step: int  # of the small copy
    group: int  # frames
    numbers: tuple[int, int]  # of patches (x, y); (0, 0) for one over all
    sums: int
    images: int  # made of the sums
    threads: int
    again: bool = False  # whether the frames are needed after the sums were made

    @property
    def raw(self) -> int:
        """Return the bytes of one raw frame."""
        size = np.dtype(self.dtype).itemsize
        return self.shape[1] * self.shape[2] * (size if np.dtype(self.dtype).char in "bBhHf" else 4)

    def needed(self, at_once: int, frames: int) -> int:
        """Return the bytes taken with ``frames`` raw frames in memory and ``at_once`` sums made together."""
        count, height, width = self.shape
        pixels = height * width
        raw = frames * self.raw
        y, x = small_shape(height, width, self.step)
        groups = max(count // self.group, 1)
        small = groups * y * x * 2
        of_patches = boxes((height // self.step, width // self.step), self.numbers)
        spectra = int(groups * of_patches * _KEPT_SHARE * 4)
        # The gain, and what becomes of it where pixels are bad; which curve a coefficient of the sums is on; what the
        # allocator holds back; a frame and its compressed bytes in each thread that decodes.
        always = 11 * pixels + int(1.4 * self.threads * self.raw)
        reading = raw + 13 * pixels  # the gain; the sum of the movie, what of it is good, and masks
        estimating = raw + always + small + spectra
        adding = raw + always + at_once * 4 * pixels + 8 * count * pixels // _CELL
        # A padded sum and its spectrum in each thread, one more that waits, and a spectrum of each image. The allocator
        # gave back what it held when the frames were let go.
        combining = always - 5 * pixels + at_once * 4 * pixels + int((self.threads + 2 + self.images) * 4.2 * pixels)
        if self.again or at_once < self.sums:
            combining += raw
        return _PROCESS + _MKL + max(reading, estimating, adding, combining)


def plan_memory(work: Work, memory: int) -> MemoryPlan:
    """Fit the work into ``memory`` bytes: all sums at once first, then all frames kept.

    Where not even the least fits, that least is planned; ``needed`` says what it takes.
    """
    count, sums = work.shape[0], work.sums
    # Reading again is dearer than going over frames in memory once more: fewer sums at once are tried first.
    for at_once in range(sums, 0, -1):
        if work.needed(at_once, count) <= memory:
            return MemoryPlan(True, count, at_once, work.needed(at_once, count))
    least = min(2 * work.threads, count)
    for at_once in range(sums, 0, -1):
        if work.needed(at_once, least) <= memory:
            ahead = min(count, least + (memory - work.needed(at_once, least)) // work.raw)
            return MemoryPlan(False, ahead, at_once, work.needed(at_once, ahead))
    return MemoryPlan(False, least, 1, work.needed(1, least))
