"""Views shrunk to where a bead is about ten pixels across: all that beads are looked for in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.motion.parallel import Threads
from pypcore.tilts.small import Tilts

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_ACROSS = 10.0  # px: a bead of so many has its edge resolved; more says little and costs time
_COUNTS = 0.2  # of their spread, which the mean of counts is above


@dataclass(frozen=True)
class SmallViews:
    """Contrast (intensity over the view's mean, less 1) [T, y, x], ``step`` raw px a pixel.

    Where means are near 0 (a series normalised before), intensity over the views' usual spread. ``offset`` (x, y):
    the first pixel's centre in the raw view, px from that view's centre. Kept in half precision: a bead differs from
    ice by tenths.
    """

    views: NDArray[np.float16]
    step: int
    offset: tuple[float, float]

    def view(self, t: int) -> Image:
        """Return one view [y, x]."""
        return self.views[t].astype(np.float32)

    def to_raw(self, points: Array) -> Array:
        """Turn pixels (x, y) [..., 2] into raw px from the view's centre."""
        return np.asarray(points) * self.step + np.array(self.offset)

    def to_small(self, points: Array) -> Array:
        """Turn raw px (x, y) [..., 2] from the view's centre into pixels."""
        return (np.asarray(points) - np.array(self.offset)) / self.step


def shrink_for_beads(tilts: Tilts, diameter: float, threads: Threads) -> SmallViews:
    """Average the views [T, y, x] over squares, to where beads of ``diameter`` raw px are ten across or a little more.

    Pixels that are NaN or infinite are the caller's to keep out.
    """
    count, height, width = tilts.shape
    step = max(1, int(diameter / _ACROSS))
    y, x = height // step, width // step
    top, left = (height - y * step) // 2, (width - x * step) // 2
    views = np.empty((count, y, x), np.float32)

    def one(t: int) -> tuple[float, float]:
        view = np.asarray(tilts[t], np.float32)[top : top + y * step, left : left + x * step]
        views[t] = view.reshape(y, step, x, step).mean((1, 3))
        return float(view.mean(dtype=np.float64)), float(view.std(dtype=np.float64))

    levels = np.array(list(threads.map(one, range(count))))
    usual = float(np.median(levels[:, 1]))
    counts = float(np.median(levels[:, 0])) > _COUNTS * usual
    scales = levels[:, 0] if counts else np.full(count, usual)
    out = np.empty(views.shape, np.float16)
    for t, (view, mean, scale) in enumerate(zip(views, levels[:, 0], scales, strict=True)):
        out[t] = np.clip((view - np.float32(mean)) / np.float32(scale or 1.0), -6e4, 6e4)
    first = (left + step / 2 - width / 2, top + step / 2 - height / 2)
    return SmallViews(out, step, first)
