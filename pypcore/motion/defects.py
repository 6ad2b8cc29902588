"""Bad pixels: which they are, and what stands in for them."""

import numpy as np
from numpy.typing import NDArray

HOT = 7.0  # standard deviations above the mean of the summed movie
_OFFSETS = 24  # candidates tried for each bad pixel and radius
_RADII = (3, 6, 12, 24, 48)  # pixels


def find_hot(total: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the pixels [n, 2] (y, x) of a summed movie that count far too much.

    Mean and deviation leave out the highest and lowest thousandth, so that hot pixels and dead columns don't
    hide themselves. ``known`` bad pixels are not looked at.
    """
    sample = total[::3, ::5][~known[::3, ::5]]
    if sample.size == 0:
        return np.empty((0, 2), np.intp)
    low, high = np.quantile(sample, [0.001, 0.999])
    middle = np.clip(sample, low, high).astype(np.float64)
    hot = (total > middle.mean() + HOT * middle.std()) & ~known
    # In a movie of almost no counts the limit means nothing: hot pixels are few, or they are the picture.
    return np.argwhere(hot) if 0 < hot.mean() < 1e-3 else np.empty((0, 2), np.intp)


class Replacement:
    """Stands each bad pixel's good neighbours ready and picks one a frame by a hash of pixel and frame.

    A neighbour's own count, not an average, keeps mean and noise; another one in each frame keeps any one
    neighbour from being copied into the sum. The choice depends on nothing but the pixel and the frame.
    """

    def __init__(self, bad: NDArray[np.bool_]) -> None:
        """Prepare for the mask ``bad`` [y, x]."""
        height, width = bad.shape
        self.y, self.x = np.nonzero(bad)
        self._pixel = (self.y * width + self.x).astype(np.uint64)
        self._source = np.empty((self.y.size, _OFFSETS), np.int64)
        self._count = np.zeros(self.y.size, np.int64)
        for radius in _RADII:
            todo = np.flatnonzero(self._count == 0)
            if todo.size == 0:
                break
            offsets = np.random.default_rng(radius).integers(-radius, radius + 1, (_OFFSETS, 2))
            ys, xs = self.y[todo, None] + offsets[:, 0], self.x[todo, None] + offsets[:, 1]
            inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
            good = inside & ~bad[np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)]
            first = np.argsort(~good, axis=1, kind="stable")  # good ones to the front
            self._source[todo] = np.take_along_axis(ys * width + xs, first, 1)
            self._count[todo] = good.sum(1)
        self.hopeless = int((self._count == 0).sum())  # no good pixel within reach: these keep their counts
        self._source[self._count == 0] = self._pixel[self._count == 0, None].astype(np.int64)
        self._count = np.maximum(self._count, 1)

    def sources(self, frame: int) -> NDArray[np.int64]:
        """Return the flat index of the pixel that stands in for each bad one in ``frame``."""
        choice = _hash(self._pixel + (np.uint64(frame) << np.uint64(40))) % self._count.astype(np.uint64)
        return self._source[np.arange(self.y.size), choice.astype(np.int64)]

    def gain(self, gain: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what makes a neighbour's raw count right at each bad pixel, over all neighbours that may come.

        The reciprocal of the mean of their reciprocal gains; 1 where no good pixel is within reach.
        """
        few = np.arange(_OFFSETS) < self._count[:, None]
        around = gain.ravel()[np.where(few, self._source, 0)]
        with np.errstate(divide="ignore"):
            mean = np.where(few, 1 / around.astype(np.float64), 0).sum(1) / self._count
        return np.where(np.isfinite(mean) & (mean > 0), 1 / np.where(mean > 0, mean, 1), 1).astype(np.float32)


def _hash(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits (the finaliser of SplitMix64; Steele, Lea and Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
