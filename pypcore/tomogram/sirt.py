"""Iterative reconstruction of slices: SIRT, or with subsets of tilts SART, each slice by itself.

x <- x + relaxation C A' R (b - A x), for one subset of tilts after another: A projects, A' is its adjoint, R divides by
each ray's path through the volume, C by what each voxel sees of the subset (Gregor and Benson 2008, IEEE Trans. Med.
Imaging 27, 918). Rays that miss the volume and voxels that no tilt sees are left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.wbp import BREADTH, DEPTH, lines_from

Array = NDArray[np.float64]
Tile = Any  # float32, of the library that does the work

_SHORTEST = 0.05  # of the longest path: a ray that only grazes the volume says nothing of it


@dataclass(frozen=True)
class Operators:
    """Who does the work: an array library, and both projections of its arrays, which add to what is there."""

    xp: Any
    project: Callable[[Tile, Any, Tile], None]  # volume, lines, images
    backproject: Callable[[Tile, Any, Tile], None]  # images, lines, volume
    block: tuple[int, int] | None = None
    """(Z, X) of what is back-projected at once, where that has to stay in a cache; None: all."""


def on_cpu() -> Operators:
    """Return those of NumPy's arrays."""
    return Operators(np, kernels.get("project", "cython"), kernels.get("backproject", "cython"), (DEPTH, BREADTH))


def on_gpu() -> Operators:
    """Return those of arrays on the current device."""
    import cupy

    from pypcore.kernels.gpu.tomogram import add_backprojection, add_projection

    return Operators(cupy, add_projection, add_backprojection)


class Sirt:
    """Reconstructs tiles of one series; may be called by several threads."""

    def __init__(self, lines: Array, width: int, settings: TomogramSettings, by: Operators | None = None) -> None:
        """Prepare for images of ``width`` pixels along ``lines`` [T, 3], in the order of their angles.

        ``by``: who works, default the CPU; on a GPU it belongs to the device that is current.
        """
        self.settings = settings
        self.by = by or on_cpu()
        xp = self.by.xp
        count = min(settings.subsets, len(lines))
        # Every count-th tilt: a subset covers all angles, and those after one another lie apart.
        self.subsets = [slice(first, None, count) for first in _apart(count)]
        self.lines = [xp.asarray(np.ascontiguousarray(lines[s])) for s in self.subsets]
        z, _, x = settings.shape
        self.rays, self.voxels = [], []
        for own in self.lines:
            paths = xp.zeros((len(own), width, 1), np.float32)
            self.by.project(xp.ones((z, x, 1), np.float32), own, paths)
            seen = xp.zeros((z, x, 1), np.float32)
            self.by.backproject(xp.ones((len(own), width, 1), np.float32), own, seen)
            self.rays.append(_inverse(xp, paths))
            self.voxels.append(np.float32(settings.relaxation) * _inverse(xp, seen))

    def __call__(self, images: Tile, tell: Callable[[int], None] | None = None) -> Tile:
        """Return the volume [Z, X, Y] of ``images`` [T, U, Y]; ``tell`` hears of each iteration."""
        z, _, x = self.settings.shape
        xp = self.by.xp
        volume = xp.zeros((z, x, images.shape[2]), np.float32)
        depth, breadth = self.by.block or (z, x)
        scratch = xp.empty(min(depth, z) * min(breadth, x) * images.shape[2], np.float32)
        for n in range(self.settings.iterations):
            for subset, lines, rays, voxels in zip(self.subsets, self.lines, self.rays, self.voxels, strict=True):
                seen = xp.zeros((len(lines), *images.shape[1:]), np.float32)
                if n or len(self.subsets) > 1:
                    self.by.project(volume, lines, seen)
                xp.subtract(images[subset], seen, out=seen)
                seen *= rays
                self._add(volume, seen, lines, voxels, scratch)
            if tell:
                tell(n)
        return volume

    def _add(self, volume: Tile, seen: Tile, lines: Any, voxels: Tile, scratch: Tile) -> None:
        """Back-project what is ``seen`` into ``volume``, times ``voxels``, by blocks."""
        depth, breadth = self.by.block or volume.shape[:2]
        for z in range(0, volume.shape[0], depth):
            for x in range(0, volume.shape[1], breadth):
                block = volume[z : z + depth, x : x + breadth]
                update = scratch[: block.size].reshape(block.shape)
                update[:] = 0
                self.by.backproject(seen, lines_from(lines, z, x), update)
                update *= voxels[z : z + depth, x : x + breadth]
                block += update
                if self.settings.nonnegative:
                    self.by.xp.maximum(block, 0, out=block)


def tile_bytes(settings: TomogramSettings, tilts: int, width: int, row: int, *, whole: bool = False) -> int:
    """Return the memory that one tile of ``row`` slices takes, back-projected by blocks or as a ``whole``."""
    z, _, x = settings.shape
    return 4 * row * (z * x + 2 * tilts * width + (z * x if whole else DEPTH * BREADTH))


def _inverse(xp: Any, of: Tile) -> Tile:
    enough = of > _SHORTEST * of.max()
    return xp.where(enough, 1 / xp.where(enough, of, 1), 0).astype(np.float32)


def _apart(count: int) -> list[int]:
    """Return 0 ... count - 1 in an order in which neighbours lie far apart: by the golden ratio."""
    return sorted(range(count), key=lambda i: (i * 0.6180339887498949) % 1)
