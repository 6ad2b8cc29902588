"""Iterative reconstruction of slices: SIRT, or with subsets of tilts SART, each slice by itself.

x <- x + relaxation C A' R (b - A x), for one subset of tilts after another: A projects, A' is its adjoint, R divides by
each ray's path through the volume, C by what each voxel sees of the subset (Gregor and Benson 2008, IEEE Trans. Med.
Imaging 27, 918). Rays that miss the volume and voxels that no tilt sees are left alone.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.wbp import BREADTH, DEPTH, lines_from

Array = NDArray[np.float64]
Tile = NDArray[np.float32]

_SHORTEST = 0.05  # of the longest path: a ray that only grazes the volume says nothing of it


class Sirt:
    """Reconstructs tiles of one series; may be called by several threads."""

    def __init__(self, lines: Array, width: int, settings: TomogramSettings) -> None:
        """Prepare for images of ``width`` pixels along ``lines`` [T, 3], in the order of their angles."""
        self.settings = settings
        count = min(settings.subsets, len(lines))
        # Every count-th tilt: a subset covers all angles, and those after one another lie apart.
        self.subsets = [np.arange(first, len(lines), count) for first in _apart(count)]
        self.project = kernels.get("project", "cython")
        self.backproject = kernels.get("backproject", "cython")
        self.lines = [np.ascontiguousarray(lines[s]) for s in self.subsets]
        z, _, x = settings.shape
        self.rays, self.voxels = [], []
        for own in self.lines:
            paths = np.zeros((len(own), width, 1), np.float32)
            self.project(np.ones((z, x, 1), np.float32), own, paths)
            seen = np.zeros((z, x, 1), np.float32)
            self.backproject(np.ones((len(own), width, 1), np.float32), own, seen)
            self.rays.append(_inverse(paths))
            self.voxels.append(np.float32(settings.relaxation) * _inverse(seen))

    def __call__(self, images: Tile, tell: Callable[[int], None] | None = None) -> Tile:
        """Return the volume [Z, X, Y] of ``images`` [T, U, Y]; ``tell`` hears of each iteration."""
        z, _, x = self.settings.shape
        volume = np.zeros((z, x, images.shape[2]), np.float32)
        scratch = np.empty(DEPTH * BREADTH * images.shape[2], np.float32)
        for n in range(self.settings.iterations):
            for subset, lines, rays, voxels in zip(self.subsets, self.lines, self.rays, self.voxels, strict=True):
                seen = np.zeros((len(subset), *images.shape[1:]), np.float32)
                if n or len(self.subsets) > 1:
                    self.project(volume, lines, seen)
                np.subtract(images[subset], seen, out=seen)
                seen *= rays
                self._add(volume, seen, lines, voxels, scratch)
            if tell:
                tell(n)
        return volume

    def _add(self, volume: Tile, seen: Tile, lines: Array, voxels: Tile, scratch: Tile) -> None:
        """Back-project what is ``seen`` into ``volume``, times ``voxels``: by blocks, which stay in the cache."""
        depth, breadth, _ = volume.shape
        for z in range(0, depth, DEPTH):
            for x in range(0, breadth, BREADTH):
                block = volume[z : z + DEPTH, x : x + BREADTH]
                update = scratch[: block.size].reshape(block.shape)
                update[:] = 0
                self.backproject(seen, lines_from(lines, z, x), update)
                update *= voxels[z : z + DEPTH, x : x + BREADTH]
                block += update
                if self.settings.nonnegative:
                    np.maximum(block, 0, out=block)


def tile_bytes(settings: TomogramSettings, tilts: int, width: int, row: int) -> int:
    """Return the memory that one tile of ``row`` slices takes while it is reconstructed."""
    z, _, x = settings.shape
    return 4 * row * (z * x + 2 * tilts * width + DEPTH * BREADTH)


def _inverse(of: Tile) -> Tile:
    enough = of > _SHORTEST * of.max()
    return np.where(enough, 1 / np.where(enough, of, 1), 0).astype(np.float32)


def _apart(count: int) -> list[int]:
    """Return 0 ... count - 1 in an order in which neighbours lie far apart: by the golden ratio."""
    return sorted(range(count), key=lambda i: (i * 0.6180339887498949) % 1)
