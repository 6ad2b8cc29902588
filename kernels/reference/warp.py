"""Definition of ``warp_accumulate``."""

import numpy as np
from numpy.typing import NDArray


def quintic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centred quintic B-spline at ``distance`` (pixels); zero from 3 on."""
    d = np.abs(distance)
    near = 66 - 60 * d**2 + 30 * d**4 - 10 * d**5
    middle = 51 + 75 * d - 210 * d**2 + 150 * d**3 - 45 * d**4 + 5 * d**5
    return np.select([d < 1, d < 2, d < 3], [near, middle, (3 - d) ** 5], 0.0) / 120


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
    """Sample a frame at x + d(x) with a quintic B-spline, unfiltered, and add it to each of R sums, weighted.

    ``rows`` [n, w + 2 pad]: a band of the frame; rows[k, c] is the pixel (top + k, c - pad).
    ``dy``, ``dx`` [gy, gx]: displacement in pixels at the nodes (a cell, b cell), bilinear in between.
    ``weights`` [R]; ``out`` [R, m, w]: sums of the rows first ... first + m - 1, changed in place.
    The band must reach 2 pixels before and 3 beyond every sampled position; nothing checks it here.
    Dividing the sum's transform by the spline's (see ``pypcore.motion.summing``) makes it interpolate.
    """
    _, m, w = out.shape
    y = first + np.arange(m)[:, None]
    x = np.arange(w)[None, :]
    v = y + _bilinear(dy, y / cell, x / cell)
    u = x + _bilinear(dx, y / cell, x / cell)
    row, column = np.floor(v).astype(int), np.floor(u).astype(int)
    value = np.zeros((m, w))
    for a in range(-2, 4):
        for b in range(-2, 4):
            pixel = rows[row + a - top, column + b + pad].astype(float)
            value += quintic(v - row - a) * quintic(u - column - b) * pixel
    out += (weights[:, None, None] * value).astype(np.float32)


def _bilinear(nodes: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b = np.floor(y).astype(int), np.floor(x).astype(int)
    f, g = y - a, x - b
    n = nodes.astype(float)
    upper = n[a, b] * (1 - g) + n[a, b + 1] * g
    lower = n[a + 1, b] * (1 - g) + n[a + 1, b + 1] * g
    return upper * (1 - f) + lower * f
