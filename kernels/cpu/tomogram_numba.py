"""``backproject`` and ``project`` in Numba, eight tilts at a time. The definition is ``reference/tomogram.py``."""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit

F = np.float32
_BLOCK = 32  # voxels along x: the rows that they see in all tilts stay in the second-level cache while z goes on


@inlined
def _hat(distance: float) -> np.float32:
    """Return the weight of a pixel so far from what is looked at."""
    return F(max(1.0 - abs(distance), 0.0))


@jit("void(float32[:,:,::1], float64[:,::1], float32[:,:,::1])")
def backproject(images: NDArray[np.float32], lines: NDArray[np.float64], volume: NDArray[np.float32]) -> None:
    """See ``reference.tomogram.backproject``; images of two pixels or more."""
    tilts, pixels, slices = images.shape
    nz, nx, _ = volume.shape
    groups = (tilts + 7) // 8
    at = np.zeros(8 * groups, np.int64)  # what is beyond the last tilt keeps weights of 0
    below = np.zeros(8 * groups, F)
    above = np.zeros(8 * groups, F)
    rows = images.reshape(tilts * pixels, slices)
    for x0 in range(0, nx, _BLOCK):
        for z in range(nz):
            for x in range(x0, min(x0 + _BLOCK, nx)):
                for t in range(tilts):
                    u = lines[t, 0] * x + lines[t, 1] * z + lines[t, 2]
                    first = min(max(math.floor(u), 0), pixels - 2)
                    at[t] = t * pixels + int(first)
                    below[t] = _hat(u - first)
                    above[t] = _hat(u - first - 1)
                v = volume[z, x]
                for t in range(0, 8 * groups, 8):
                    p0, p1, p2, p3 = rows[at[t]], rows[at[t + 1]], rows[at[t + 2]], rows[at[t + 3]]
                    p4, p5, p6, p7 = rows[at[t + 4]], rows[at[t + 5]], rows[at[t + 6]], rows[at[t + 7]]
                    q0, q1, q2, q3 = rows[at[t] + 1], rows[at[t + 1] + 1], rows[at[t + 2] + 1], rows[at[t + 3] + 1]
                    q4, q5, q6, q7 = rows[at[t + 4] + 1], rows[at[t + 5] + 1], rows[at[t + 6] + 1], rows[at[t + 7] + 1]
                    b0, b1, b2, b3 = below[t], below[t + 1], below[t + 2], below[t + 3]
                    b4, b5, b6, b7 = below[t + 4], below[t + 5], below[t + 6], below[t + 7]
                    a0, a1, a2, a3 = above[t], above[t + 1], above[t + 2], above[t + 3]
                    a4, a5, a6, a7 = above[t + 4], above[t + 5], above[t + 6], above[t + 7]
                    for y in range(slices):
                        v[y] += (
                            (b0 * p0[y] + a0 * q0[y] + b1 * p1[y] + a1 * q1[y])
                            + (b2 * p2[y] + a2 * q2[y] + b3 * p3[y] + a3 * q3[y])
                            + (b4 * p4[y] + a4 * q4[y] + b5 * p5[y] + a5 * q5[y])
                            + (b6 * p6[y] + a6 * q6[y] + b7 * p7[y] + a7 * q7[y])
                        )


@jit("void(float32[:,:,::1], float64[:,::1], float32[:,:,::1])")
def project(volume: NDArray[np.float32], lines: NDArray[np.float64], images: NDArray[np.float32]) -> None:
    """See ``reference.tomogram.project``; images of two pixels or more."""
    tilts, pixels, slices = images.shape
    nz, nx, _ = volume.shape
    for x0 in range(0, nx, _BLOCK):
        for t in range(tilts):
            for z in range(nz):
                for x in range(x0, min(x0 + _BLOCK, nx)):
                    u = lines[t, 0] * x + lines[t, 1] * z + lines[t, 2]
                    first = int(min(max(math.floor(u), 0), pixels - 2))
                    below = _hat(u - first)
                    above = _hat(u - first - 1)
                    if below > 0 or above > 0:
                        v, p, q = volume[z, x], images[t, first], images[t, first + 1]
                        for y in range(slices):
                            p[y] += below * v[y]
                            q[y] += above * v[y]
