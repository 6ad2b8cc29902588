"""Definition of ``rotate_sums``."""

import numpy as np
from numpy.typing import NDArray


def rotate_sums(
    sums: NDArray[np.float32], rotations: NDArray[np.float64], result: NDArray[np.float32], first: int, beyond: int
) -> None:
    """Add to each cell the sums at its frequency turned by each rotation: result(k) += sum_R sums(R k).

    ``sums``, ``result`` [z, y, x, 4]: real, imaginary, weight, nothing, as ``insert_slices`` has them, with the plane
    x = 0 whole. ``rotations`` [n, 3, 3], vectors (x, y, z). Read by trilinear interpolation, within the Nyquist
    radius X - 2. Written are the planes ``first`` <= index < ``beyond`` along z.
    """
    sides, middle, radius = sums.shape[:3], sums.shape[0] // 2, sums.shape[2] - 2
    z, y, x = np.meshgrid(*(np.arange(side) for side in sides), indexing="ij")
    k = np.stack([x, y - middle, z - middle]).reshape(3, -1)
    inside = ((k * k).sum(0) <= radius**2) & (z.ravel() >= first) & (z.ravel() < beyond)
    cells = sums.reshape(-1, 4).astype(np.float64)
    for rotation in rotations:
        turned = rotation @ k[:, inside]
        flipped = turned[0] < 0
        turned = np.where(flipped, -turned, turned) + np.array([[0], [middle], [middle]])
        whole = np.floor(turned).astype(np.int64)
        part = turned - whole
        total = np.zeros((whole.shape[1], 4))
        for corner in range(8):
            step = np.array([[corner & 1], [corner >> 1 & 1], [corner >> 2]])
            at = whole + step
            share = np.prod(np.where(step == 1, part, 1 - part), 0)
            total += share[:, None] * cells[(at[2] * sides[1] + at[1]) * sides[2] + at[0]]
        total[flipped, 1] *= -1
        result.reshape(-1, 4)[inside] += total.astype(np.float32)
