"""Definition of ``warp_accumulate``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

CELL = 16  # pixels: a displacement holds for a square of so many a side
UNIT = 1024  # displacements are whole numbers of 1/1024 px


def quintic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centred quintic B-spline at ``distance`` (pixels); zero from 3 on."""
    d = np.abs(distance)
    near = 66 - 60 * d**2 + 30 * d**4 - 10 * d**5
    middle = 51 + 75 * d - 210 * d**2 + 150 * d**3 - 45 * d**4 + 5 * d**5
    return np.select([d < 1, d < 2, d < 3], [near, middle, (3 - d) ** 5], 0.0) / 120


def warp_accumulate(
    frames: list[NDArray[Any]],
    gain: NDArray[np.float32] | None,
    shifts: NDArray[np.int32],
    offsets: NDArray[np.int32],
    weights: NDArray[np.float32],
    first: int,
    out: NDArray[np.float32],
) -> None:
    """Sample frames at x + d(x) with a quintic B-spline, unfiltered, and add each to R sums, weighted.

    ``frames``: T raw frames [h, w] of bytes, 16-bit whole numbers or float32; ``gain`` [h, w] multiplies them, or
    None. ``shifts`` [T, 2, cells down, cells along]: displacement (y, x) in 1/1024 px in cells of 16 x 16 px of the
    band. ``offsets`` [T]: about the mean of a frame's x shift, whole px. ``weights`` [T, R]. ``out`` [R, m, w]: sums
    of the rows first ... first + m - 1, changed in place. Beyond its edges a frame is mirrored.

    The two axes are filtered one after the other. For column c of the frame, first, with the y shift of the cell
    that c - offset is in (it is the same cell, or its neighbour, in which the result is wanted); then along the row.
    Dividing the sum's transform by the spline's (see ``pypcore.motion.summing``) makes it interpolate.
    """
    _, m, width = out.shape
    y = first + np.arange(m)[:, None]
    x = np.arange(width)[None, :]
    for frame, shift, offset, weight in zip(frames, shifts, offsets, weights, strict=True):
        pixels = frame.astype(float) if gain is None else frame.astype(float) * gain
        down, along = (s.astype(int).repeat(CELL, 0)[:m] for s in shift)
        column = np.arange(along.min() // UNIT - 2, width + along.max() // UNIT + 4)
        cell = np.clip((column - offset) // CELL, 0, down.shape[1] - 1)
        v = down[:, cell]
        at_column = _mirror(column, width)
        filtered = np.zeros((m, column.size))
        for k in range(-2, 4):
            row = _mirror(y + v // UNIT + k, len(pixels))
            filtered += quintic(v % UNIT / UNIT - k) * pixels[row, at_column]
        u = along.repeat(CELL, 1)[:, :width]
        value = np.zeros((m, width))
        for k in range(-2, 4):
            taken = np.take_along_axis(filtered, x + u // UNIT + k - column[0], 1)
            value += quintic(u % UNIT / UNIT - k) * taken
        out += (weight[:, None, None] * value).astype(np.float32)


def _mirror(index: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    folded = np.mod(index, 2 * n)
    return np.minimum(folded, 2 * n - 1 - folded)
