"""``rotate_sums`` in Numba. The definition is ``reference/rotate.py``."""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import jit

F = np.float32


@jit("void(float32[:,:,:,::1], float64[:,:,::1], float32[:,:,:,::1], int64, int64)")
def rotate_sums(
    sums: NDArray[np.float32], rotations: NDArray[np.float64], result: NDArray[np.float32], first: int, beyond: int
) -> None:
    """See ``reference.rotate.rotate_sums``."""
    middle, radius = sums.shape[0] // 2, sums.shape[2] - 2
    total = np.empty(4, F)
    for iz in range(first, beyond):
        z = iz - middle
        for iy in range(sums.shape[1]):
            y = iy - middle
            rest = radius * radius - z * z - y * y
            if rest < 0:
                continue
            for x in range(int(math.sqrt(rest)) + 1):
                total[:] = 0
                for r in range(rotations.shape[0]):
                    m = rotations[r]
                    tx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z
                    ty = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z
                    tz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z
                    sign = F(1)
                    if tx < 0:
                        tx, ty, tz, sign = -tx, -ty, -tz, F(-1)
                    ty += middle
                    tz += middle
                    jx, jy, jz = int(tx), int(ty), int(tz)
                    fx, fy, fz = F(tx - jx), F(ty - jy), F(tz - jz)
                    for dz in range(2):
                        cz = fz if dz else F(1) - fz
                        for dy in range(2):
                            c = cz * (fy if dy else F(1) - fy)
                            left, right = c * (F(1) - fx), c * fx
                            near, far = sums[jz + dz, jy + dy, jx], sums[jz + dz, jy + dy, jx + 1]
                            total[0] += left * near[0] + right * far[0]
                            total[1] += sign * (left * near[1] + right * far[1])
                            total[2] += left * near[2] + right * far[2]
                cell = result[iz, iy, x]
                for lane in range(3):
                    cell[lane] += total[lane]
