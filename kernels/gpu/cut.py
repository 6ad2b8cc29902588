"""``cut_windows`` on a GPU, many patches at once. The definition is ``reference/cut.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_BLOCK = (32, 8)
MOST = 65535  # boxes that one launch can cut


def cut(frames: Any, corners: Any, window_y: Any, window_x: Any, first: int) -> Any:
    """Return boxes [P, n, by, bx] of the frames from ``first`` on, at most ``MOST`` in all.

    ``frames`` [T, h, w] float32, ``corners`` [P, n, 2] int32 (y, x), ``window_y`` [P, by] and ``window_x`` [P, bx]
    float32, on the current device.
    """
    import cupy

    (_, height, width), (patches, n, _) = frames.shape, corners.shape
    by, bx = window_y.shape[1], window_x.shape[1]
    out = cupy.empty((patches, n, by, bx), cupy.float32)
    grid = (blocks(bx, _BLOCK[0]), blocks(by, _BLOCK[1]), patches * n)
    numbers = [np.int32(one) for one in (height, width, by, bx, n, first)]
    kernel("cut_windows", "cut")(grid, _BLOCK, (frames, corners, window_y, window_x, out, *numbers))
    return out


def cut_windows(
    frames: NDArray[np.float32],
    corners: NDArray[np.int32],
    window_y: NDArray[np.float32],
    window_x: NDArray[np.float32],
    first: int,
    out: NDArray[np.float32],
) -> None:
    """See ``reference.cut.cut_windows``; to the current device and back."""
    import cupy

    where, along_y, along_x = (cupy.asarray(array[None]) for array in (corners, window_y, window_x))
    out[...] = cut(cupy.asarray(frames), where, along_y, along_x, first).get()[0]
