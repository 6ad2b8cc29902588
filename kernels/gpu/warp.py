"""``warp_accumulate`` on a GPU. The definition is ``reference/warp.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_BLOCK = (32, 8)


def add_warped(frame: Any, shifts: Any, offset: int, weights: Any, first: int, out: Any) -> None:
    """Do as ``warp_accumulate`` for one ``frame`` [h, w] float32, gain applied; all arrays on the current device."""
    (height, width), (sums, m, _), (_, cells_y, cells_x) = frame.shape, out.shape, shifts.shape
    grid = (blocks(width, _BLOCK[0]), blocks(m, _BLOCK[1]))
    numbers = [np.int32(n) for n in (height, width, m, first, offset, cells_y, cells_x, sums)]
    kernel("warp_accumulate", "warp")(grid, _BLOCK, (frame, shifts, weights, out, *numbers))


def warp_accumulate(
    frames: list[NDArray[Any]],
    gain: NDArray[np.float32] | None,
    shifts: NDArray[np.int32],
    offsets: NDArray[np.int32],
    weights: NDArray[np.float32],
    first: int,
    out: NDArray[np.float32],
) -> None:
    """See ``reference.warp.warp_accumulate``; to the current device and back, a frame at a time."""
    import cupy

    sums, multiplier = cupy.asarray(out), None if gain is None else cupy.asarray(gain)
    for frame, shift, offset, weight in zip(frames, shifts, offsets, weights, strict=True):
        counts = cupy.asarray(frame).astype(cupy.float32)  # raw counts travel: a quarter of the bytes
        if multiplier is not None:
            counts *= multiplier
        add_warped(counts, cupy.asarray(shift), int(offset), cupy.asarray(weight), first, sums)
    out[...] = sums.get()
