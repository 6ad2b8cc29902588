"""The definition of ``sample_affine``."""

import numpy as np
from numpy.typing import NDArray


def sample_affine(
    coefficients: NDArray[np.float32],
    matrix: NDArray[np.float64],
    origin: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Sample a cubic B-spline along a turned and stretched grid; what lies outside the image is 0.

    ``out[i, j]`` is the spline of ``coefficients`` [y, x] at ``origin + matrix @ (i, j)``, all (y, x) in pixels; the
    coefficients beyond the image count as 0.
    """
    i, j = np.indices(out.shape)
    places = matrix[:, 0, None, None] * i + matrix[:, 1, None, None] * j + origin[:, None, None]
    whole = np.floor(places).astype(int)
    taps = []
    for f in places - whole:
        g = 1 - f
        taps.append(np.stack([g**3, 3 * f**3 - 6 * f**2 + 4, 3 * g**3 - 6 * g**2 + 4, f**3]) / 6)
    total = np.zeros(out.shape)
    for a in range(4):
        for b in range(4):
            y, x = whole[0] + a - 1, whole[1] + b - 1
            inside = (y >= 0) & (y < coefficients.shape[0]) & (x >= 0) & (x < coefficients.shape[1])
            total[inside] += (taps[0][a] * taps[1][b])[inside] * coefficients[y[inside], x[inside]]
    out[:] = total
