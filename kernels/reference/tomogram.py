"""Definitions of ``backproject`` and ``project``, each the other's adjoint; and of the ways of tiles to planes."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tile = NDArray[np.float32]


def backproject(images: Tile, lines: Array, volume: Tile) -> None:
    """Add to each voxel what it sees in every image, linear in between pixels: volume[z, x] += image[t, u].

    ``images`` [T, U, Y] and ``volume`` [Z, X, Y] are tiles of Y slices, y contiguous. ``lines`` [T, 3]: (a, b, c) of
    u = a x + b z + c, all in indices. Pixels beyond the images are zero, so that half a pixel beyond the edge still
    sees half of the last one: nothing is extrapolated. Changes ``volume`` in place.
    """
    for t, low, high, here, below, above in _weights(images, lines, volume):
        z, x = np.nonzero(here)
        added = below[here][:, None] * images[t, low[here]] + above[here][:, None] * images[t, high[here]]
        volume[z, x] += added.astype(np.float32)


def project(volume: Tile, lines: Array, images: Tile) -> None:
    """Add each voxel to the two pixels of every image that see it: the adjoint of ``backproject``, in place."""
    for t, low, high, here, below, above in _weights(images, lines, volume):
        total = np.zeros(images.shape[1:])
        np.add.at(total, low[here], below[here][:, None] * volume[here])
        np.add.at(total, high[here], above[here][:, None] * volume[here])
        images[t] += total.astype(np.float32)


def _weights(images: Tile, lines: Array, volume: Tile):  # type: ignore[no-untyped-def]
    """Yield, for each image, the two pixels that a voxel [z, x] sees, whether it sees any, and its weights."""
    size = images.shape[1]
    z, x = np.indices(volume.shape[:2])
    for t, (a, b, c) in enumerate(np.asarray(lines, float)):
        u = a * x + b * z + c
        low = np.floor(u).astype(int)
        fraction = u - low
        below = np.where((low >= 0) & (low < size), 1 - fraction, 0.0)
        above = np.where((low >= -1) & (low < size - 1), fraction, 0.0)
        here = (below > 0) | (above > 0)
        yield t, np.clip(low, 0, size - 1), np.clip(low + 1, 0, size - 1), here, below, above


def tile_to_planes(tile: Tile, planes: Tile) -> None:
    """Write the first slices of a tile [Z, X, Y] into planes [Z, y, X], a part of a volume; y may be less than Y."""
    planes[:] = tile[:, :, : planes.shape[1]].transpose(0, 2, 1)


def planes_to_tile(planes: Tile, tile: Tile) -> None:
    """Write planes [Z, y, X] into a tile [Z, X, Y] of as many slices or more; those beyond become zero."""
    rows = planes.shape[1]
    tile[:, :, :rows] = planes.transpose(0, 2, 1)
    tile[:, :, rows:] = 0
