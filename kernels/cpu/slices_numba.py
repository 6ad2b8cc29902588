"""``insert_slices`` in Numba: the readable twin of ``slices.h``, some five to eight times slower.

The definition is ``reference/slices.py``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit
from pypcore.kernels.reference.slices import (
    CONSTANT,
    ENVELOPE,
    GXX,
    GXY,
    GYY,
    OVERLAP,
    QUARTIC,
    SCALE,
    STATE,
    WEIGHT,
    XX,
    XY,
    YY,
)

F = np.float32


@inlined
def _add(volume, middle, x, y, z, re, im, weight, nearest, beyond):  # type: ignore[no-untyped-def]
    """Add one sample to its eight cells."""
    if x < 0:
        x, y, z, im = -x, -y, -z, -im
    y += middle
    z += middle
    ix, iy, iz = int(x), int(y), int(z)
    fx, fy, fz = F(x - ix), F(y - iy), F(z - iz)
    for dz in range(2):
        if nearest <= abs(iz + dz - middle) < beyond:
            cz = fz if dz else F(1) - fz
            for dy in range(2):
                c = cz * (fy if dy else F(1) - fy)
                left, right = c * (F(1) - fx), c * fx
                cells = volume[iz + dz, iy + dy, ix : ix + 2]
                cells[0, 0] += left * re
                cells[0, 1] += left * im
                cells[0, 2] += left * weight
                cells[1, 0] += right * re
                cells[1, 1] += right * im
                cells[1, 2] += right * weight


@jit(
    "void(float32[:,:,:,::1], complex64[:,:,::1], int32[::1], float64[:,:,::1], float64[:,::1], float64[:,::1],"
    " float32[:,:,:,::1], int32[::1], float32[:,::1], int32[::1], int64, int64)"
)
def insert_slices(
    volume: NDArray[np.float32],
    spectra: NDArray[np.complex64],
    order: NDArray[np.int32],
    matrices: NDArray[np.float64],
    shifts: NDArray[np.float64],
    ctf: NDArray[np.float64],
    tables: NDArray[np.float32],
    table_of: NDArray[np.int32],
    curves: NDArray[np.float32],
    curve_of: NDArray[np.int32],
    nearest: int,
    beyond: int,
) -> None:
    """See ``reference.slices.insert_slices``."""
    middle, side = volume.shape[0] // 2, spectra.shape[1]
    limit, half = (volume.shape[2] - 2.0) ** 2 * (1 + 1e-6), side // 2
    for n in order:
        m, c = matrices[n], ctf[n]
        gram_x = m[0, 0] ** 2 + m[1, 0] ** 2 + m[2, 0] ** 2
        gram_xy = m[0, 0] * m[0, 1] + m[1, 0] * m[1, 1] + m[2, 0] * m[2, 1]
        gram_y = m[0, 1] ** 2 + m[1, 1] ** 2 + m[2, 1] ** 2
        for y in range(-((side - 1) // 2), half + 1):
            row = y if y >= 0 else y + side
            for x in range(0 if y >= 0 else 1, half + 1):
                if x * x + y * y > half * half:
                    break
                if gram_x * x * x + 2 * gram_xy * x * y + gram_y * y * y > limit:
                    continue
                g2 = c[GXX] * x * x + c[GXY] * x * y + c[GYY] * y * y
                phase = c[XX] * x * x + c[XY] * x * y + c[YY] * y * y + c[QUARTIC] * g2 * g2 + c[CONSTANT]
                turns = shifts[n, 1] * x + shifts[n, 0] * y
                if table_of[n] >= 0:
                    phase -= tables[table_of[n], row, x, 0]
                    turns += tables[table_of[n], row, x, 1]
                value = spectra[n, row, x] * complex(
                    math.cos(2 * math.pi * (turns - round(turns))), -math.sin(2 * math.pi * (turns - round(turns)))
                )
                if x == 0 and y == 0:
                    value *= 0
                w = c[WEIGHT]
                if curve_of[n] >= 0:
                    radius = min(math.sqrt(x * x + y * y), curves.shape[1] - 1.0)
                    left = max(min(int(radius), curves.shape[1] - 2), 0)
                    right = min(left + 1, curves.shape[1] - 1)
                    curve = curves[curve_of[n]]
                    w *= curve[left] + (radius - left) * (curve[right] - curve[left])
                envelope = c[SCALE] * math.exp(-c[ENVELOPE] * g2)
                angle = 2 * math.pi * (phase - round(phase))
                sine = envelope * math.sin(angle)
                px = m[0, 0] * x + m[0, 1] * y
                py = m[1, 0] * x + m[1, 1] * y
                pz = m[2, 0] * x + m[2, 1] * y
                if c[OVERLAP] == 0:
                    times = w * (sine if c[STATE] == 0 else abs(sine) if c[STATE] == 1 else 1.0)
                    _add(
                        volume, middle, px, py, pz, F(times * value.real), F(times * value.imag), F(w * sine * sine),
                        nearest, beyond,
                    )  # fmt: skip
                    continue
                u = c[OVERLAP] * g2
                same = 1 - u * u / 10 if u < 0.05 else 3 * (math.sin(u) - u * math.cos(u)) / u**3
                square = F(0.5 * w * (same * sine * sine + (1 - same) * envelope * envelope / 2))
                for sheet in (1, -1):
                    bx, by, bz = px + sheet * m[0, 2] * g2, py + sheet * m[1, 2] * g2, pz + sheet * m[2, 2] * g2
                    if bx * bx + by * by + bz * bz > limit:
                        continue
                    own = value * complex(0.5 * w * sine, 0.5 * w * envelope * sheet * math.cos(angle))
                    _add(volume, middle, bx, by, bz, F(own.real), F(own.imag), square, nearest, beyond)
