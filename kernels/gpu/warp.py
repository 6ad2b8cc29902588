"""``warp_accumulate`` on a GPU. The definition is ``reference/warp.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_BLOCK = (32, 8)


def add_warped(rows: Any, top: int, pad: int, dy: Any, dx: Any, cell: int, weights: Any, first: int, out: Any) -> None:
    """Do as ``warp_accumulate``, on arrays that lie on the current device."""
    sums, m, width = out.shape
    grid = (blocks(width, _BLOCK[0]), blocks(m, _BLOCK[1]))
    numbers = [np.int32(n) for n in (width, m, pad, top, first, cell, dy.shape[1], sums)]
    kernel("warp_accumulate", "warp")(grid, _BLOCK, (rows, dy, dx, weights, out, *numbers))


def warp_accumulate(
    rows: NDArray[np.float32],
    top: int,
    pad: int,
    dy: NDArray[np.float32],
    dx: NDArray[np.float32],
    cell: int,
    weights: NDArray[np.float32],
    first: int,
    out: NDArray[np.float32],
) -> None:
    """See ``reference.warp.warp_accumulate``; to the current device and back."""
    import cupy

    on_device = [cupy.asarray(a) for a in (rows, dy, dx, weights, out)]
    add_warped(on_device[0], top, pad, on_device[1], on_device[2], cell, on_device[3], first, on_device[4])
    out[...] = on_device[4].get()
