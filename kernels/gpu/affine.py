"""``sample_affine`` on a GPU, many images at once. The definition is ``reference/affine.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_BLOCK = (32, 8)


def sample_many(coefficients: Any, image: NDArray[np.int32], grids: NDArray[np.float64], out: Any) -> None:
    """Do as ``sample_affine`` for each of ``out`` [V, y, x], from ``coefficients`` [N, y, x], on the current device.

    ``image`` [V]: which of them; ``grids`` [V, 6]: origin (y, x) and matrix (yy, yx, xy, xx) of each.
    """
    import cupy

    (views, rows, columns), (_, height, width) = out.shape, coefficients.shape
    if out.size:
        numbers = [np.int32(n) for n in (height, width, rows, columns)]
        grid = (blocks(columns, _BLOCK[0]), blocks(rows, _BLOCK[1]), views)
        there = cupy.asarray(image), cupy.asarray(np.ascontiguousarray(grids))
        kernel("sample_affine", "affine")(grid, _BLOCK, (coefficients, *there, out, *numbers))


def sample_affine(
    coefficients: NDArray[np.float32],
    matrix: NDArray[np.float64],
    origin: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """See ``reference.affine.sample_affine``; to the current device and back."""
    import cupy

    there = cupy.empty((1, *out.shape), cupy.float32)
    grids = np.concatenate([origin, matrix.ravel()])[None]
    sample_many(cupy.asarray(coefficients[None]), np.zeros(1, np.int32), grids, there)
    out[...] = there.get()[0]
