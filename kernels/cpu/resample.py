"""``sample_grid`` in Numba, cell by cell, so that what a cell reads stays in the cache however the grid is turned.

The definition is ``reference/resample.py``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit

F = np.float32


@inlined
def _taps(f: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32, np.float32]:
    """Return 120 times the quintic B-spline's weights at the pixels -2 ... 3 for the fraction ``f``."""
    g = F(1) - f
    f2, g2 = f * f, g * g
    w0 = g2 * g2 * g
    w1 = F(26) + f * (F(-50) + f * (F(20) + f * (F(20) + f * (F(-20) + f * F(5)))))
    w2 = F(66) + f2 * (F(-60) + f2 * (F(30) - F(10) * f))
    w3 = F(66) + g2 * (F(-60) + g2 * (F(30) - F(10) * g))
    w4 = F(26) + g * (F(-50) + g * (F(20) + g * (F(20) + g * (F(-20) + g * F(5)))))
    w5 = f2 * f2 * f
    return w0, w1, w2, w3, w4, w5


@jit
def _careful(coefficients: NDArray[np.float32], y: float, x: float) -> np.float32:
    """Return the sample at a place where the spline's reach may leave the coefficients."""
    h, w = coefficients.shape
    if not (y > -3 and y < h + 2 and x > -3 and x < w + 2):
        return F(0)
    iy, ix = math.floor(y), math.floor(x)
    v = np.array(_taps(F(y - iy)), dtype=F)
    u = np.array(_taps(F(x - ix)), dtype=F)
    total = F(0)
    for a in range(6):
        row = int(iy) + a - 2
        if row >= 0 and row < h:
            for b in range(6):
                column = int(ix) + b - 2
                if column >= 0 and column < w:
                    total += v[a] * u[b] * coefficients[row, column]
    return total


@jit("void(float32[:,::1], float64[:,::1], float64[:,::1], int64, float32[:,::1])")
def sample_grid(
    coefficients: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    cell: int,
    out: NDArray[np.float32],
) -> None:
    """See ``reference.resample.sample_grid``."""
    h, w = coefficients.shape
    m, n = out.shape
    scale = F(1 / 14400)
    offsets = np.empty(cell, np.int64)
    v = np.empty((6, cell), F)
    u = np.empty((6, cell), F)
    for i0 in range(0, m, cell):
        for j0 in range(0, n, cell):
            a, b = i0 // cell, j0 // cell
            length = min(cell, n - j0)
            for i in range(i0, min(i0 + cell, m)):
                f = (i - i0) / cell
                y0 = y[a, b] * (1 - f) + y[a + 1, b] * f
                x0 = x[a, b] * (1 - f) + x[a + 1, b] * f
                ys = (y[a, b + 1] * (1 - f) + y[a + 1, b + 1] * f - y0) / cell
                xs = (x[a, b + 1] * (1 - f) + x[a + 1, b + 1] * f - x0) / cell
                y1 = y0 + ys * (length - 1)
                x1 = x0 + xs * (length - 1)
                if min(y0, y1) >= 2 and max(y0, y1) < h - 3 and min(x0, x1) >= 2 and max(x0, x1) < w - 3:
                    for j in range(length):  # apart from the gathering, so that it vectorises
                        yy = y0 + ys * j
                        xx = x0 + xs * j
                        iy = np.int64(yy)
                        ix = np.int64(xx)
                        offsets[j] = (iy - 2) * w + ix - 2
                        v[0, j], v[1, j], v[2, j], v[3, j], v[4, j], v[5, j] = _taps(F(yy - iy))
                        u[0, j], u[1, j], u[2, j], u[3, j], u[4, j], u[5, j] = _taps(F(xx - ix))
                    flat = coefficients.reshape(-1)
                    for j in range(length):
                        total = F(0)
                        for k in range(6):
                            row = flat[offsets[j] + k * w : offsets[j] + k * w + 6]
                            total += v[k, j] * (
                                u[0, j] * row[0]
                                + u[1, j] * row[1]
                                + u[2, j] * row[2]
                                + u[3, j] * row[3]
                                + u[4, j] * row[4]
                                + u[5, j] * row[5]
                            )
                        out[i, j0 + j] = total * scale
                else:
                    for j in range(length):
                        out[i, j0 + j] = _careful(coefficients, y0 + ys * j, x0 + xs * j) * scale
