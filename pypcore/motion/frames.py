"""A movie's frames as raw counts that are good everywhere, from memory or decoded again.

Corrected counts are never stored: every pass multiplies the raw ones, which are a quarter as many bytes, with the
gain. What stands in for a bad pixel is therefore written into the raw frame itself: the raw count of a good
neighbour, another one in each frame, while the gain there becomes the neighbours' own (the reciprocal of the mean
of their reciprocals, so that the pixel's expected count is theirs).
"""

import ctypes
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pypcore import kernels
from pypcore.errors import InputError
from pypcore.motion.defects import Replacement, find_hot
from pypcore.motion.parallel import Threads

Image = NDArray[np.float32]
Raw = NDArray[np.generic]

_ROWS = 64  # summed by one thread at a time
KERNEL_TYPES = "bBhHf"  # what kernels read as it is: 8 and 16 bit whole numbers, float32; others become float32


class FrameSource(Protocol):
    """Where frames come from; ``read`` may be called by several threads at once.

    An array that ``read`` returns and that owns its data is the caller's to change; a view is left alone.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102
    @property
    def dtype(self) -> DTypeLike: ...  # noqa: D102
    def read(self, index: int, /) -> NDArray[np.generic]: ...  # noqa: D102


class Frames:
    """The frames used of one movie, counted from 0 at the first one used.

    All raw frames are kept when ``keep`` says so; otherwise each pass over the movie reads it again and holds
    ``ahead`` frames at a time. Nothing that comes out depends on which. ``gain`` multiplies raw frames; None: 1.
    """

    def __init__(
        self,
        movie: FrameSource,
        used: Sequence[int],
        gain: Image | None,
        defects: NDArray[np.bool_] | None,
        threads: Threads,
        *,
        keep: bool,
        ahead: int,
    ) -> None:
        """Read the movie once: check it, sum it, and find its hot pixels."""
        self.count = len(used)
        self.height, self.width = movie.shape[1:]
        self._movie, self._used, self._threads = movie, used, threads
        self._ahead = ahead
        self._kept: list[Raw] | None = [] if keep else None
        total = np.zeros((self.height, self.width), np.float32)
        for span in self._spans():
            raw = list(threads.map(self._read, span))
            threads.run(partial(_add, raw, total), range(0, self.height, _ROWS))
            if self._kept is not None:
                self._kept = raw
        if gain is not None:
            total *= gain
        bad = np.zeros(total.shape, bool) if defects is None else defects.copy()
        if gain is not None:
            bad |= gain == 0
        self.hot_pixels = find_hot(total, bad)
        bad[self.hot_pixels[:, 0], self.hot_pixels[:, 1]] = True
        self.bad_pixels = int(bad.sum())
        if self.bad_pixels == bad.size:
            raise InputError(f"{movie.path}: no good pixel is left; check the gain reference and the defects")
        self.mean = float(total[~bad].mean(dtype=np.float64)) / self.count
        self._replacement = Replacement(bad)
        self.gain = gain
        if gain is not None and self.bad_pixels:
            self.gain = gain.copy()
            self.gain[self._replacement.y, self._replacement.x] = self._replacement.gain(gain)
        if self._kept is not None:
            threads.run(self._repair, range(self.count))

    def _read(self, t: int) -> Raw:
        raw = self._movie.read(self._used[t])
        if raw.dtype.char not in KERNEL_TYPES:
            raw = raw.astype(np.float32)
        if not (raw.flags.owndata and raw.flags.writeable and raw.flags.c_contiguous):
            raw = raw.copy()
        if raw.dtype.kind == "f" and not np.isfinite(raw).all():
            wrong = raw.size - int(np.isfinite(raw).sum())
            raise InputError(
                f"{self._movie.path}: frame {self._used[t] + 1} has {wrong} values that are NaN or infinite; "
                "counts are numbers; write the movie again or leave the frame out with first and last"
            )
        return raw

    def _repair(self, t: int) -> Raw:
        raw = self._kept[t] if self._kept is not None else self._read(t)
        raw[self._replacement.y, self._replacement.x] = raw.ravel()[self._replacement.sources(t)]
        return raw

    def chunks(self) -> Iterator[list[tuple[int, Raw]]]:
        """Yield all frames in order, with their numbers, as many at a time as memory allows."""
        if self._kept is not None:
            yield list(enumerate(self._kept))
            return
        for span in self._spans():
            yield list(zip(span, self._threads.map(self._repair, span), strict=True))

    def release(self) -> None:
        """Let the raw frames go: no pass over them comes any more."""
        self._kept = None
        self._ahead = 0
        _trim()

    def _spans(self) -> list[range]:
        size = self.count if self._kept is not None else self._ahead
        return [range(low, min(low + size, self.count)) for low in range(0, self.count, size)]


def _trim() -> None:
    """Have glibc give freed memory back: frames of up to 32 MiB lie on its heap, which arrays larger can't reuse."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none, and keep less
    if trim is not None:
        trim(0)


def _add(raw: list[Raw], total: Image, low: int) -> None:
    """Add a band of rows of every frame, in order: the sum of floats depends on it."""
    kernels.get("sum_frames", "cython")([frame[low : low + _ROWS] for frame in raw], total[low : low + _ROWS])
