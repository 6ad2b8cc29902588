"""A movie's frames, corrected for gain and bad pixels, from memory or decoded again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pypcore.errors import InputError
from pypcore.motion.defects import Replacement, find_hot
from pypcore.motion.parallel import Threads

Image = NDArray[np.float32]


class FrameSource(Protocol):
    """Where frames come from; ``read`` may be called by several threads at once."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102
    @property
    def dtype(self) -> DTypeLike: ...  # noqa: D102
    def read(self, index: int, /) -> NDArray[np.generic]: ...  # noqa: D102


@dataclass(frozen=True)
class Frame:
    """One frame: raw counts, and what makes them right when rows are asked for."""

    raw: NDArray[np.generic]
    gain: Image | None
    bad_y: NDArray[np.intp]  # sorted
    bad_x: NDArray[np.intp]
    values: Image  # in place of the bad pixels

    def rows(self, low: int, high: int, out: Image) -> None:
        """Write the corrected rows low ... high - 1 to ``out`` [high - low, w]."""
        if self.gain is None:
            out[...] = self.raw[low:high]
        else:
            np.multiply(self.raw[low:high], self.gain[low:high], out=out, dtype=np.float32, casting="unsafe")
        a, b = np.searchsorted(self.bad_y, (low, high))
        out[self.bad_y[a:b] - low, self.bad_x[a:b]] = self.values[a:b]


class Frames:
    """The frames used of one movie, counted from 0 at the first one used.

    All raw frames are kept when ``keep`` says so; otherwise each pass over the movie reads it again and holds
    ``ahead`` frames at a time. Nothing that comes out depends on which.
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
        self._movie, self._used, self._gain, self._threads = movie, used, gain, threads
        self._ahead = ahead
        self._kept: list[NDArray[np.generic]] | None = [] if keep else None
        total = np.zeros((self.height, self.width), np.float32)
        for raw in threads.map(self._read, range(self.count)):
            np.add(total, raw, out=total, casting="unsafe")  # in order: the sum of floats depends on it
            if self._kept is not None:
                self._kept.append(raw)
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

    def _read(self, t: int) -> NDArray[np.generic]:
        raw = self._movie.read(self._used[t])
        if raw.dtype.kind == "f" and not np.isfinite(raw).all():
            wrong = raw.size - int(np.isfinite(raw).sum())
            raise InputError(
                f"{self._movie.path}: frame {self._used[t] + 1} has {wrong} values that are NaN or infinite; "
                "counts are numbers; write the movie again or leave the frame out with first and last"
            )
        return raw

    def _frame(self, t: int) -> Frame:
        raw = self._kept[t] if self._kept is not None else self._read(t)
        source = self._replacement.sources(t)
        values = raw.ravel()[source].astype(np.float32)
        if self._gain is not None:
            values *= self._gain.ravel()[source]
        return Frame(raw, self._gain, self._replacement.y, self._replacement.x, values)

    def chunks(self) -> Iterator[list[tuple[int, Frame]]]:
        """Yield all frames in order, with their numbers, as many at a time as memory allows."""
        size = self.count if self._kept is not None else self._ahead
        for start in range(0, self.count, size):
            span = range(start, min(start + size, self.count))
            yield list(zip(span, self._threads.map(self._frame, span), strict=True))
