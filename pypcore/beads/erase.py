"""Views without their beads, so that the tomogram has no streaks of them.

A bead's disc is filled with the plane through the ring around it and with noise as strong as that ring's, before
anything is interpolated, so that the noise is white like that of the pixels it replaces. The noise hangs on the
series, the view and the bead alone: the same views give the same bytes.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.beads.align import Beads
from pypcore.geometry import tilt_centre
from pypcore.tilts.small import Tilts

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_MARGIN = 1.1  # of the radius at which a bead ends in the mean of all
_RING = 0.6  # of that radius: how wide the ring is that a disc is filled from
_NARROWEST = 3.0  # px


class Erased(Sequence[NDArray[Any]]):
    """Views [T, y, x] with their beads filled in; threads may read at once."""

    def __init__(self, tilts: Tilts, beads: Beads, seed: Sequence[int]) -> None:
        """``beads`` are those of these T views; ``seed`` decides the noise: another for another half of the frames."""
        self._tilts, self._seed = tilts, list(seed)
        self.shape = tuple(tilts.shape)
        self.radius = _MARGIN * beads.reach
        self._discs = [discs_of(beads, t, (self.shape[1], self.shape[2]), self.radius) for t in range(self.shape[0])]

    def __len__(self) -> int:
        """Return the number of views."""
        return self.shape[0]

    @overload
    def __getitem__(self, number: int) -> Image: ...

    @overload
    def __getitem__(self, number: slice) -> list[NDArray[Any]]: ...

    def __getitem__(self, number: int | slice) -> Image | list[NDArray[Any]]:
        """Return view ``number`` [y, x], or several."""
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        image = np.array(self._tilts[number], np.float32)
        discs = self._discs[number]
        if len(discs):
            pixels = (2 * int(np.ceil(self.radius)) + 1) ** 2
            normals = np.random.default_rng([*self._seed, number]).standard_normal((len(discs), pixels), np.float32)
            width = max(_RING * self.radius, _NARROWEST)
            kernels.get("fill_discs", "numba")(image, discs, width, normals)
        return image


def discs_of(beads: Beads, view: int, shape: tuple[int, int], radius: float) -> Array:
    """Return the discs [n, (y, x, radius)] that hide the beads of one view of ``shape`` (y, x); pixels from 0.

    A bead is where it was seen, if clearly, or if it doesn't hold still; else where the alignment has it.
    """
    seen = np.isfinite(beads.points[view, :, 0]) & (beads.counted[view] | ~beads.steady)
    points = np.where(seen[:, None], beads.points[view], beads.expected[view])
    others = beads.others[beads.others[:, 0] == view, 1:]
    pixels = np.concatenate([points, others]) + tilt_centre(np.array(shape[::-1]))
    near = ((pixels > -radius) & (pixels < np.array(shape[::-1]) - 1 + radius)).all(1)
    x, y = pixels[near].T
    return np.stack([y, x, np.full(len(y), radius)], -1)
