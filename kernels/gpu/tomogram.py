"""``backproject`` and ``project`` on a GPU. The definition is ``reference/tomogram.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

Array = NDArray[np.float64]
Tile = NDArray[np.float32]

_SLICES, _PLACES = 32, 8  # of a block, as tomogram.cu has them


def add_backprojection(images: Any, lines: Any, volume: Any) -> None:
    """Do as ``backproject``, everything on the current device."""
    (tilts, pixels, slices), (nz, nx, _) = images.shape, volume.shape
    if volume.size and images.size:
        numbers = [np.int32(n) for n in (tilts, pixels, nz, nx, slices)]
        grid = (blocks(slices, _SLICES), blocks(nx, _PLACES), nz)
        kernel("backproject", "tomogram")(grid, (_SLICES, _PLACES), (images, lines, volume, *numbers))


def add_projection(volume: Any, lines: Any, images: Any) -> None:
    """Do as ``project``, everything on the current device."""
    (tilts, pixels, slices), (nz, nx, _) = images.shape, volume.shape
    if volume.size and images.size:
        numbers = [np.int32(n) for n in (tilts, pixels, nz, nx, slices)]
        grid = (blocks(slices, _SLICES), blocks(pixels, _PLACES), tilts)
        kernel("project", "tomogram")(grid, (_SLICES, _PLACES), (volume, lines, images, *numbers))


def backproject(images: Tile, lines: Array, volume: Tile) -> None:
    """See ``reference.tomogram.backproject``; to the current device and back."""
    import cupy

    there = cupy.asarray(volume)
    add_backprojection(cupy.asarray(images), cupy.asarray(lines), there)
    volume[...] = there.get()


def project(volume: Tile, lines: Array, images: Tile) -> None:
    """See ``reference.tomogram.project``; to the current device and back."""
    import cupy

    there = cupy.asarray(images)
    add_projection(cupy.asarray(volume), cupy.asarray(lines), there)
    images[...] = there.get()
