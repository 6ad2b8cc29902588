"""Beads in single views: peaks of the normalised correlation with a template, to a fraction of a pixel."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from pypcore.beads.small import Image, SmallViews
from pypcore.beads.template import Template
from pypcore.kernels import fft
from pypcore.motion.parallel import Threads

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Peaks:
    """Places that look like beads, in all views: a row each.

    ``view`` [n]; ``point`` [n, (x, y)] raw px from the view's centre; ``score`` [n], the normalised correlation, up to
    1; ``height`` [n], the contrast of the bead that fits best.
    """

    view: NDArray[np.intp]
    point: Array
    score: Array
    height: Array

    def part(self, which: NDArray[np.bool_]) -> "Peaks":
        """Return some of them."""
        return replace(
            self, view=self.view[which], point=self.point[which], score=self.score[which], height=self.height[which]
        )

    def by_view(self, count: int) -> list[NDArray[np.intp]]:
        """Return the rows of each of ``count`` views."""
        return [np.flatnonzero(self.view == t) for t in range(count)]


class Finder:
    """Compares views of one shape with one template."""

    def __init__(self, shape: tuple[int, int], template: Template) -> None:
        """Prepare for small views of ``shape`` (y, x)."""
        stamp, mask = template.stamp()
        self.shape, self.window, self.radius = shape, template.window, template.radius
        self.count = mask.sum()
        bead = (stamp - (stamp * mask).sum() / self.count) * mask
        self.power = (bead**2).sum()
        self.padded = (fft.good_size(shape[0] + 2 * self.window), fft.good_size(shape[1] + 2 * self.window))
        self.bead, self.mask = (self._spectrum(one) for one in (bead, mask))

    def _spectrum(self, stamp: Array) -> NDArray[np.complex64]:
        wide = np.zeros(self.padded, np.float32)
        wide[: len(stamp), : len(stamp)] = stamp
        wide = np.roll(wide, (-self.window, -self.window), (0, 1))
        return np.conj(fft.rfft2(wide))

    def maps(self, view: Image) -> tuple[Image, Image]:
        """Return the correlation and the contrast of a bead at every pixel [y, x] of a small view."""
        margin = [(self.window, p - n - self.window) for n, p in zip(self.shape, self.padded, strict=True)]
        wide = np.pad(view, margin, mode="reflect")
        first, second = fft.rfft2(wide), fft.rfft2(wide * wide)
        inner = tuple(slice(self.window, self.window + n) for n in self.shape)
        found, mean, square = (
            fft.irfft2(spectrum * kernel, self.padded)[inner]
            for spectrum, kernel in ((first, self.bead), (first, self.mask), (second, self.mask))
        )
        spread = np.maximum(square - mean**2 / np.float32(self.count), 1e-12)
        power = np.float32(self.power)
        return np.asarray(found / np.sqrt(spread * power), np.float32), np.asarray(found / power, np.float32)

    def peaks(self, score: Image, height: Image) -> tuple[Array, Array, Array]:
        """Return where a map has a top within a bead's radius: [n, (x, y)] pixels, its scores and heights [n].

        Beads nearer to an edge than their radius are cut off and left.
        """
        near = 2 * int(self.radius) + 1
        rim = int(np.ceil(self.radius)) + 1
        top = (score == maximum_filter(score, size=near, mode="nearest")) & (score > 0)
        top[:rim] = top[-rim:] = False
        top[:, :rim] = top[:, -rim:] = False
        i, j = np.nonzero(top)
        y, x = (
            at + _vertex(*(score[i + a * step, j + b * step].astype(float) for step in (-1, 0, 1)))
            for at, (a, b) in ((i, (1, 0)), (j, (0, 1)))
        )
        return np.stack([x, y], -1), score[i, j].astype(float), height[i, j].astype(float)


def find_peaks(small: SmallViews, template: Template, sign: int, threads: Threads) -> Peaks:
    """Return all tops of all views, high and low: beads are for the caller to tell; ``sign`` -1: darker than ice."""
    finder = Finder((small.views.shape[1], small.views.shape[2]), template)

    def one(t: int) -> tuple[Array, Array, Array]:
        score, height = finder.maps(small.view(t))
        return finder.peaks(sign * score, sign * height)

    found = list(threads.map(one, range(len(small.views))))
    view = np.repeat(np.arange(len(found)), [len(points) for points, _, _ in found])
    points, scores, heights = (np.concatenate(part) for part in zip(*found, strict=True))
    return Peaks(view, small.to_raw(points), scores, heights)


def learn(small: SmallViews, template: Template, points: Array, sign: int) -> Template:
    """Return the mean bead around ``points`` [T, J, 2] (raw px; NaN where there is none) of the views."""
    reach = int(np.ceil(2 * template.radius)) + 1
    side = np.arange(-reach, reach + 1)
    distances, values = [], []
    for t in range(len(small.views)):
        view = small.view(t)
        for x, y in small.to_small(points[t][np.isfinite(points[t, :, 0])]):
            i, j = round(y), round(x)
            if min(i, j) < reach or i + reach >= view.shape[0] or j + reach >= view.shape[1]:
                continue
            patch = sign * view[i - reach : i + reach + 1, j - reach : j + reach + 1]
            away = np.hypot(side + j - x, (side + i - y)[:, None])
            level = np.median(patch[away > 1.5 * template.radius])
            distances.append(away.ravel())
            values.append((patch - level).ravel())
    if not values:
        return template
    return Template.learned(template.radius, np.concatenate(distances), np.concatenate(values))


def _vertex(low: Array, middle: Array, high: Array) -> Array:
    """Return where parabolas through three points have their tops, from the middle one: -1/2 ... 1/2."""
    bend = np.minimum(low - 2 * middle + high, -1e-9)
    return np.clip((low - high) / (2 * bend), -0.5, 0.5)
