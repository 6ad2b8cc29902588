"""``shrink_frame`` on a GPU. The definition is ``reference/shrink.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_BLOCK = (32, 8)


def add_shrunk(frame: Any, mean: float, taps: Any, step: int, out: Any, extent: tuple[int, int]) -> None:
    """Do as ``shrink_frame`` for ``frame`` [h, w] float32, gain applied; ``extent`` (y, x) of ``out`` is added to.

    ``out`` [y, x] is in one piece; all arrays are on the current device.
    """
    import cupy

    (height, width), (m, n) = frame.shape, extent
    band = cupy.empty((m, width), cupy.float32)
    numbers = [np.int32(taps.size), np.int32(step)]
    grid = (blocks(width, _BLOCK[0]), blocks(m, _BLOCK[1]))
    sizes = [np.int32(one) for one in (height, width, m)]
    kernel("shrink_down", "shrink")(grid, _BLOCK, (frame, taps, band, *sizes, *numbers, np.float32(mean)))
    grid = (blocks(n, _BLOCK[0]), blocks(m, _BLOCK[1]))
    sizes = [np.int32(one) for one in (width, m, n, out.shape[1])]
    kernel("shrink_along", "shrink")(grid, _BLOCK, (band, taps, out, *sizes, *numbers))


def shrink_frame(
    frame: NDArray[Any],
    gain: NDArray[np.float32] | None,
    mean: float,
    taps: NDArray[np.float32],
    step: int,
    out: NDArray[np.float32],
) -> None:
    """See ``reference.shrink.shrink_frame``; to the current device and back."""
    import cupy

    counts = cupy.asarray(frame).astype(cupy.float32)
    if gain is not None:
        counts *= cupy.asarray(gain)
    sums = cupy.asarray(np.ascontiguousarray(out))
    add_shrunk(counts, mean, cupy.asarray(taps), step, sums, sums.shape)
    out[...] = sums.get()
