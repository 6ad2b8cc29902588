"""``sample_affine`` in Numba. The definition is ``reference/affine.py``."""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit

F = np.float32


@inlined
def _taps(f: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Return the cubic B-spline's weights at the pixels -1 ... 2 for the fraction ``f``."""
    g = F(1) - f
    sixth = F(1 / 6)
    return (
        g * g * g * sixth,
        (F(4) + f * f * (F(3) * f - F(6))) * sixth,
        (F(4) + g * g * (F(3) * g - F(6))) * sixth,
        f * f * f * sixth,
    )


@jit("void(float32[:,::1], float64[:,::1], float64[::1], float32[:,::1])")
def sample_affine(
    coefficients: NDArray[np.float32],
    matrix: NDArray[np.float64],
    origin: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """See ``reference.affine.sample_affine``."""
    height, width = coefficients.shape
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            y = origin[0] + matrix[0, 0] * i + matrix[0, 1] * j
            x = origin[1] + matrix[1, 0] * i + matrix[1, 1] * j
            iy = math.floor(y)
            ix = math.floor(x)
            if iy < -2 or ix < -2 or iy > height or ix > width:
                out[i, j] = F(0)
                continue
            v0, v1, v2, v3 = _taps(F(y - iy))
            u0, u1, u2, u3 = _taps(F(x - ix))
            top = int(iy) - 1
            left = int(ix) - 1
            if top >= 0 and left >= 0 and top + 3 < height and left + 3 < width:
                r0 = coefficients[top, left : left + 4]
                r1 = coefficients[top + 1, left : left + 4]
                r2 = coefficients[top + 2, left : left + 4]
                r3 = coefficients[top + 3, left : left + 4]
                c0 = v0 * r0[0] + v1 * r1[0] + v2 * r2[0] + v3 * r3[0]
                c1 = v0 * r0[1] + v1 * r1[1] + v2 * r2[1] + v3 * r3[1]
                c2 = v0 * r0[2] + v1 * r1[2] + v2 * r2[2] + v3 * r3[2]
                c3 = v0 * r0[3] + v1 * r1[3] + v2 * r2[3] + v3 * r3[3]
                out[i, j] = u0 * c0 + u1 * c1 + u2 * c2 + u3 * c3
            else:
                total = F(0)
                for a in range(4):
                    yy = top + a
                    if yy < 0 or yy >= height:
                        continue
                    v = v0 if a == 0 else (v1 if a == 1 else (v2 if a == 2 else v3))
                    for b in range(4):
                        xx = left + b
                        if xx < 0 or xx >= width:
                            continue
                        u = u0 if b == 0 else (u1 if b == 1 else (u2 if b == 2 else u3))
                        total += v * u * coefficients[yy, xx]
                out[i, j] = total
