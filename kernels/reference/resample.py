"""Definition of ``sample_grid``."""

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.reference.warp import quintic


def sample_grid(
    coefficients: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    cell: int,
    out: NDArray[np.float32],
) -> None:
    """Sample a quintic B-spline of ``coefficients`` [h, w], zero beyond, at places given at nodes.

    ``y``, ``x`` [gy, gx]: the place in the coefficients, in indices, of ``out[i * cell, j * cell]``; bilinear in
    between. ``out`` [m, n] is overwritten; the nodes reach one beyond its last row and column.
    """
    h, w = coefficients.shape
    m, n = out.shape
    v, u = (_between(nodes, m, n, cell) for nodes in (y, x))
    row, column = np.floor(v).astype(int), np.floor(u).astype(int)
    value = np.zeros((m, n))
    for a in range(-2, 4):
        for b in range(-2, 4):
            r, c = row + a, column + b
            inside = (r >= 0) & (r < h) & (c >= 0) & (c < w)
            pixel = np.where(inside, coefficients[np.clip(r, 0, h - 1), np.clip(c, 0, w - 1)], 0).astype(float)
            value += quintic(v - r) * quintic(u - c) * pixel
    out[:] = value


def _between(nodes: NDArray[np.float64], m: int, n: int, cell: int) -> NDArray[np.float64]:
    y, x = np.arange(m)[:, None] / cell, np.arange(n)[None, :] / cell
    a, b = np.floor(y).astype(int), np.floor(x).astype(int)
    f, g = y - a, x - b
    upper = nodes[a, b] * (1 - g) + nodes[a, b + 1] * g
    lower = nodes[a + 1, b] * (1 - g) + nodes[a + 1, b + 1] * g
    return upper * (1 - f) + lower * f
