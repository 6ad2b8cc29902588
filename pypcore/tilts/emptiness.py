"""Is the specimen a bright object in empty, dark space, as in dark-field scanning of needles and particles?

Empty space is flat: much of such a view lies within a narrow band at the dark end of all its intensities. That of a
specimen that fills the field doesn't, nor that of a hole in a dark film, which is flat at the bright end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BANDS = 20  # of equal width that a view's intensities are sorted into
_ENDS = (0.5, 99.5)  # percentiles between which they lie
_FLAT = 0.35  # share of a view in its fullest band, where that is emptiness
_DARK = 4  # the first so many bands are dark
_MOST = 0.8  # share of the views in which it must be so
_BLOCKS = 64  # along the shorter side: means over blocks of pixels are looked at


@dataclass(frozen=True)
class Emptiness:
    """The intensity of each view's fullest band [T], and whether that is the emptiness round an isolated object."""

    levels: Array
    isolated: bool


def emptiness(views: NDArray[np.float32]) -> Emptiness:
    """Look at views [T, y, x] as recorded."""
    levels, empty = np.zeros(len(views)), np.zeros(len(views), bool)
    for t, view in enumerate(views):
        size = max(1, min(view.shape) // _BLOCKS)
        y, x = (n // size * size for n in view.shape)
        blocks = view[:y, :x].reshape(y // size, size, x // size, size).mean((1, 3))
        low, high = np.percentile(blocks, _ENDS)
        if high <= low:
            continue
        numbers, edges = np.histogram(blocks, _BANDS, (low, high))
        fullest = int(numbers.argmax())
        inside = (blocks >= edges[fullest]) & (blocks <= edges[fullest + 1])
        levels[t] = float(np.median(blocks[inside]))
        empty[t] = fullest < _DARK and numbers[fullest] > _FLAT * blocks.size
    return Emptiness(levels, bool(len(views)) and bool(empty.mean() > _MOST))
