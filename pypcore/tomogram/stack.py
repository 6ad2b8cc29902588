"""Aligned images as the kernels want them: cut into tiles of slices, the slices of a tile side by side."""

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.tomogram import weighting

Image = NDArray[np.float32]

ROW = 64  # slices of a tile: their voxels stay in registers over all tilts


def tiles_of(slices: int) -> int:
    """Return how many tiles so many slices take."""
    return -(-slices // ROW)


def empty_stack(height: int, tilts: int, width: int) -> Image:
    """Return room for ``tilts`` images [height, width] as tiles [tile, T, u, ROW]."""
    return np.empty((tiles_of(height), tilts, width, ROW), np.float32)


def put(stack: Image, tilt: int, image: Image, weight: Image | None = None) -> None:
    """Put an image [y, u] in its place, weighted along u by ``weight``; a tile at a time, which stays in the cache."""
    turn = kernels.get("planes_to_tile", "cython")
    for k, tile in enumerate(stack):
        rows = image[k * ROW : (k + 1) * ROW]
        if weight is not None:
            rows = weighting.apply(rows, weight)
        turn(rows[None], tile[tilt : tilt + 1])
