"""Points of a simulated specimen into a volume, in Numba. The definition is ``reference/points.py``."""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit


@inlined
def _cubic(f: float, weights: NDArray[np.float64]) -> None:
    """Weights of a cubic B-spline at taps -1 to 2 for a point ``f`` in [0, 1) past tap 0."""
    g = 1 - f
    weights[0] = g * g * g / 6
    weights[1] = (3 * f * f * f - 6 * f * f + 4) / 6
    weights[2] = (3 * g * g * g - 6 * g * g + 4) / 6
    weights[3] = f * f * f / 6


@jit
def deposit_points(volume: NDArray[np.float32], points: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """See ``reference.points.deposit_points``."""
    depth, height, width = volume.shape
    wz = np.empty(4, np.float64)
    wy = np.empty(4, np.float64)
    wx = np.empty(4, np.float64)
    for n in range(len(points)):
        iz = math.floor(points[n, 0])
        iy = math.floor(points[n, 1])
        ix = math.floor(points[n, 2])
        _cubic(points[n, 0] - iz, wz)
        _cubic(points[n, 1] - iy, wy)
        _cubic(points[n, 2] - ix, wx)
        for a in range(4):
            z = iz - 1 + a
            if z < 0 or z >= depth:
                continue
            for b in range(4):
                y = iy - 1 + b
                if y < 0 or y >= height:
                    continue
                heavy = weights[n] * wz[a] * wy[b]
                for c in range(4):
                    x = ix - 1 + c
                    if 0 <= x < width:
                        volume[z, y, x] += np.float32(heavy * wx[c])
