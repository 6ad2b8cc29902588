"""The definition of ``deposit_points``."""

import numpy as np
from numpy.typing import NDArray


def deposit_points(volume: NDArray[np.float32], points: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Add points [n, (z, y, x)] in voxels to ``volume`` [z, y, x], each spread by a cubic B-spline (4 x 4 x 4).

    What falls outside the volume is dropped.
    """
    whole = np.floor(points).astype(int)
    fraction = points - whole
    axes = []
    for f in fraction.T:
        g = 1 - f
        axes.append(np.stack([g**3, 3 * f**3 - 6 * f**2 + 4, 3 * g**3 - 6 * g**2 + 4, f**3], axis=-1) / 6)
    for a in range(4):
        for b in range(4):
            for c in range(4):
                at = whole + np.array([a, b, c]) - 1
                inside = np.all((at >= 0) & (at < volume.shape), axis=1)
                value = weights * axes[0][:, a] * axes[1][:, b] * axes[2][:, c]
                np.add.at(volume, tuple(at[inside].T), value[inside].astype(np.float32))
