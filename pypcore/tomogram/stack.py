"""Aligned images as the kernels want them: cut into tiles of slices, the slices of a tile side by side."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels

Image = NDArray[np.float32]

ROW = 64  # slices of a tile: their voxels stay in registers over all tilts


def tiles_of(slices: int) -> int:
    """Return how many tiles so many slices take."""
    return -(-slices // ROW)


def empty_stack(height: int, tilts: int, width: int) -> Image:
    """Return room for ``tilts`` images [height, width] as tiles [tile, T, u, ROW]."""
    return np.empty((tiles_of(height), tilts, width, ROW), np.float32)


def put(stack: Image, tilt: int, image: Image) -> None:
    """Put an image [y, u] in its place."""
    turn = kernels.get("planes_to_tile", "cython")
    for k, tile in enumerate(stack):
        turn(image[None, k * ROW : (k + 1) * ROW], tile[tilt : tilt + 1])


Read = Callable[[int], NDArray[np.generic]]


def reader(tilts: Sequence[NDArray[np.generic]] | NDArray[np.generic], chosen: Sequence[int]) -> Read:
    """Return a function that reads the n-th of the ``chosen`` tilts."""
    return lambda n: np.asarray(tilts[int(chosen[n])])
