"""``warp_accumulate`` in Numba. The definition is ``reference/warp.py``.

The displacement is smooth, so over the width of a cell the whole-pixel part of it hardly ever changes: such a
stretch of a row reads 36 stretches of the source at fixed offsets, which the compiler turns into vector code.
Where it does change, the stretch is done pixel by pixel.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit

F = np.float32


@inlined
def _taps(f: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32, np.float32]:
    """Return the quintic B-spline's weights at the pixels -2 ... 3 for the fraction ``f``."""
    g = F(1) - f
    f2, g2 = f * f, g * g
    f3, g3 = f2 * f, g2 * g
    w0 = g2 * g3
    w1 = F(26) + f * (F(-50) + f * (F(20) + f * (F(20) + f * (F(-20) + f * F(5)))))
    w2 = F(66) + f2 * (F(-60) + f2 * (F(30) - F(10) * f))
    w3 = F(66) + g2 * (F(-60) + g2 * (F(30) - F(10) * g))
    w4 = F(26) + g * (F(-50) + g * (F(20) + g * (F(20) + g * (F(-20) + g * F(5)))))
    w5 = f2 * f3
    return w0, w1, w2, w3, w4, w5


@jit("void(float32[:,::1], int64, int64, float32[:,::1], float32[:,::1], int64, float32[::1], int64, float32[:,:,::1])")
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
    """See ``reference.warp.warp_accumulate``."""
    n_sums, m, w = out.shape
    value = np.empty(cell, F)
    scale = F(1 / 120) * F(1 / 120)
    for i in range(m):
        y = first + i
        a = y // cell
        f = F(y - a * cell) / F(cell)
        for b in range((w + cell - 1) // cell):
            start = b * cell
            n = min(cell, w - start)
            y0 = dy[a, b] * (F(1) - f) + dy[a + 1, b] * f
            x0 = dx[a, b] * (F(1) - f) + dx[a + 1, b] * f
            ys = (dy[a, b + 1] * (F(1) - f) + dy[a + 1, b + 1] * f - y0) / F(cell)
            xs = (dx[a, b + 1] * (F(1) - f) + dx[a + 1, b + 1] * f - x0) / F(cell)
            last = F(n - 1)
            whole = math.floor(y0) == math.floor(y0 + ys * last) and math.floor(x0) == math.floor(x0 + xs * last)
            done = 0
            while done < n:
                here = y0 + ys * F(done)
                there = x0 + xs * F(done)
                iy = math.floor(here)
                ix = math.floor(there)
                length = n if whole else 1
                row = int(y + iy - 2 - top)
                column = int(start + done + ix - 2 + pad)
                fy = F(here - iy)
                fx = F(there - ix)
                r0 = rows[row, column : column + length + 5]
                r1 = rows[row + 1, column : column + length + 5]
                r2 = rows[row + 2, column : column + length + 5]
                r3 = rows[row + 3, column : column + length + 5]
                r4 = rows[row + 4, column : column + length + 5]
                r5 = rows[row + 5, column : column + length + 5]
                for j in range(length):
                    v0, v1, v2, v3, v4, v5 = _taps(fy + ys * F(j))
                    u0, u1, u2, u3, u4, u5 = _taps(fx + xs * F(j))
                    c0 = v0 * r0[j] + v1 * r1[j] + v2 * r2[j] + v3 * r3[j] + v4 * r4[j] + v5 * r5[j]
                    k = j + 1
                    c1 = v0 * r0[k] + v1 * r1[k] + v2 * r2[k] + v3 * r3[k] + v4 * r4[k] + v5 * r5[k]
                    k = j + 2
                    c2 = v0 * r0[k] + v1 * r1[k] + v2 * r2[k] + v3 * r3[k] + v4 * r4[k] + v5 * r5[k]
                    k = j + 3
                    c3 = v0 * r0[k] + v1 * r1[k] + v2 * r2[k] + v3 * r3[k] + v4 * r4[k] + v5 * r5[k]
                    k = j + 4
                    c4 = v0 * r0[k] + v1 * r1[k] + v2 * r2[k] + v3 * r3[k] + v4 * r4[k] + v5 * r5[k]
                    k = j + 5
                    c5 = v0 * r0[k] + v1 * r1[k] + v2 * r2[k] + v3 * r3[k] + v4 * r4[k] + v5 * r5[k]
                    value[j] = (u0 * c0 + u1 * c1 + u2 * c2 + u3 * c3 + u4 * c4 + u5 * c5) * scale
                for r in range(n_sums):
                    weight = weights[r]
                    line = out[r, i, start + done : start + done + length]
                    for j in range(length):
                        line[j] += weight * value[j]
                done += length
