"""``fill_discs`` in Numba. The definition is ``reference/discs.py``."""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import jit
from pypcore.kernels.reference.discs import FEWEST


@jit
def _plane(s: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the plane of the sums (1, y, x, yy, yx, xx, v, vy, vx), by elimination about the ring's own centre."""
    my, mx, mv = s[1] / s[0], s[2] / s[0], s[6] / s[0]
    yy, yx, xx = s[3] / s[0] - my * my, s[4] / s[0] - my * mx, s[5] / s[0] - mx * mx
    vy, vx = s[7] / s[0] - mv * my, s[8] / s[0] - mv * mx
    det = yy * xx - yx * yx
    if det < 1e-10:  # pixels on a line: no plane, but their mean
        return mv, 0.0, 0.0
    by, bx = (vy * xx - vx * yx) / det, (vx * yy - vy * yx) / det
    return mv - by * my - bx * mx, by, bx


@jit
def fill_discs(
    image: NDArray[np.float32], discs: NDArray[np.float64], width: float, normals: NDArray[np.float32]
) -> None:
    """See ``reference.discs.fill_discs``."""
    height, breadth = image.shape
    taken = np.zeros(image.shape, np.uint8)
    for n in range(len(discs)):
        cy, cx, radius = discs[n]
        for i in range(max(0, math.ceil(cy - radius)), min(height, math.floor(cy + radius) + 1)):
            for j in range(max(0, math.ceil(cx - radius)), min(breadth, math.floor(cx + radius) + 1)):
                if math.hypot(i - cy, j - cx) <= radius:
                    taken[i, j] = 1
    usual = np.zeros(3)  # pixels outside discs, their mean and deviation: reckoned when first needed
    sums = np.zeros(9)
    for n in range(len(discs)):
        cy, cx, radius = discs[n]
        outer = radius + width
        rows = max(0, math.ceil(cy - outer)), min(height, math.floor(cy + outer) + 1)
        columns = max(0, math.ceil(cx - outer)), min(breadth, math.floor(cx + outer) + 1)
        sums[:] = 0
        for i in range(rows[0], rows[1]):
            y = (i - cy) / outer
            for j in range(columns[0], columns[1]):
                if taken[i, j] or math.hypot(i - cy, j - cx) - radius > width:
                    continue
                x = (j - cx) / outer
                v = np.float64(image[i, j])
                sums[0] += 1
                sums[1] += y
                sums[2] += x
                sums[3] += y * y
                sums[4] += y * x
                sums[5] += x * x
                sums[6] += v
                sums[7] += v * y
                sums[8] += v * x
        if sums[0] >= FEWEST:
            level, by, bx = _plane(sums)
            squares = 0.0
            for i in range(rows[0], rows[1]):
                for j in range(columns[0], columns[1]):
                    if taken[i, j] or math.hypot(i - cy, j - cx) - radius > width:
                        continue
                    off = image[i, j] - (level + by * (i - cy) / outer + bx * (j - cx) / outer)
                    squares += off * off
            deviation = math.sqrt(squares / sums[0])
        else:
            if usual[0] == 0:
                _usual(image, taken, usual)
            if usual[0] == 0:
                continue
            level, by, bx, deviation = usual[1], 0.0, 0.0, usual[2]
        k = 0
        for i in range(max(0, math.ceil(cy - radius)), min(height, math.floor(cy + radius) + 1)):
            for j in range(max(0, math.ceil(cx - radius)), min(breadth, math.floor(cx + radius) + 1)):
                if math.hypot(i - cy, j - cx) <= radius:
                    value = level + by * (i - cy) / outer + bx * (j - cx) / outer + deviation * normals[n, k]
                    image[i, j] = np.float32(value)
                    k += 1


@jit
def _usual(image: NDArray[np.float32], taken: NDArray[np.uint8], out: NDArray[np.float64]) -> None:
    """Write how many pixels lie outside discs, their mean and their deviation."""
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            if not taken[i, j]:
                out[0] += 1
                out[1] += image[i, j]
    if out[0] == 0:
        return
    out[1] /= out[0]
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            if not taken[i, j]:
                out[2] += (image[i, j] - out[1]) ** 2
    out[2] = math.sqrt(out[2] / out[0])
