"""How much of each frame goes into the sum at each frequency."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CLOSE_ENOUGH = 1e-4  # of the largest weight


def critical_exposure(frequency: Array, voltage: float = 300.0) -> Array:
    """Return the exposure (e-/Å²) at which the signal at ``frequency`` (1/Å) has fallen to 1/e in power.

    Grant and Grigorieff 2015, eLife 4:e06980: 0.24499 k^-1.6649 + 2.8141 at 300 kV, and 0.8 of it at 200 kV.
    100 kV: 0.64 of it, as RELION has; linear in between, level outside.
    """
    scale = np.interp(voltage, [100.0, 200.0, 300.0], [0.64, 0.8, 1.0])
    return scale * (0.24499 * np.maximum(frequency, 1e-6) ** -1.6649 + 2.8141)


def damage(exposures: Array, frequency: Array, voltage: float) -> Array:
    """Return q [T, K]: the amplitude left after ``exposures`` [T] (e-/Å²) at ``frequency`` [K] (1/Å)."""
    return np.exp(-exposures[:, None] / (2 * critical_exposure(frequency, voltage)))


def dose_weights(exposures: Array, frequency: Array, voltage: float) -> Array:
    """Return the weights [T, K]: q / sqrt(sum over frames of q^2), which leaves white noise white.

    ``exposures`` [T] are those accumulated at the END of each frame, as in RELION.
    """
    left = damage(exposures, frequency, voltage)
    return left / np.maximum(np.sqrt((left**2).sum(0)), 1e-30)


def low_rank(weights: Array) -> tuple[Array, Array]:
    """Split weights [T, K] into a [T, R] and b [R, K], a @ b within 1e-4 of them (relative to the largest).

    Damage curves are so smooth that R is 4 to 7 for any number of frames: the frames can be added into R sums
    in real space, and each sum filtered once.
    """
    u, s, v = np.linalg.svd(weights, full_matrices=False)
    for rank in range(1, len(s) + 1):
        a, b = u[:, :rank] * s[:rank], v[:rank]
        if np.abs(a @ b - weights).max() <= _CLOSE_ENOUGH * np.abs(weights).max():
            break
    return a, b
