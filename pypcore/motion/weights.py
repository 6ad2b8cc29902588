"""How much of each frame goes into the sum at each frequency."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LOST = 5e-5  # of the energy of the weights at any frequency: the share of the SNR there that may be lost
_TABULATED = 4096  # ways for which blur is computed; in between it is linear
_DIRECTIONS = 16  # over which the blur inside a frame is averaged


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


def blur_aware_weights(
    exposures: Array, frequency: Array, voltage: float, travel: Array, spread: Array, quality: Array
) -> Array:
    """Return weights [T, K] that also know how blurred each frame is; white noise stays white.

    A frame's signal is what damage left of it, times the mean over directions of sinc(k v) (the way v in Å that the
    specimen goes during the exposure: ``travel`` [T]), times exp(-2 pi^2 k^2 s^2) (s = ``spread`` [T], Å an axis: how
    well its place is known), times ``quality`` [T]. Weights in proportion to it give the best SNR of the sum.
    ``exposures`` [T] are at mid-frame.
    """
    cosines = np.cos((np.arange(_DIRECTIONS) + 0.5) * np.pi / (2 * _DIRECTIONS))
    periods = np.multiply.outer(travel, frequency)
    way = np.linspace(0, max(float(periods.max()), 1e-6), _TABULATED)
    within = np.interp(periods, way, np.sinc(np.multiply.outer(way, cosines)).mean(-1))
    unsure = np.exp(-2 * (np.pi * spread[:, None] * frequency) ** 2)
    left = damage(exposures, frequency, voltage) * np.maximum(within, 0) * unsure * quality[:, None]
    # Where nothing at all is left, frames count as by damage alone: weights have no zero to divide by.
    left = np.maximum(left, 1e-4 * damage(exposures, frequency, voltage))
    return left / np.maximum(np.sqrt((left**2).sum(0)), 1e-30)


def low_rank(weights: Array) -> tuple[Array, Array]:
    """Split weights [T, K] into a [T, R] and b [R, K] whose product has all but 5e-5 of their energy at any k.

    Damage curves are so smooth that R is about 4, and about 5 where blur is in them, for any number of frames: the
    frames can be added into R sums in real space, and each sum filtered once.
    """
    u, s, v = np.linalg.svd(weights, full_matrices=False)
    energy = np.maximum((weights**2).sum(0), 1e-30)
    for rank in range(1, len(s) + 1):
        a, b = u[:, :rank] * s[:rank], v[:rank]
        if (((a @ b - weights) ** 2).sum(0) / energy).max() <= _LOST:
            break
    return a, b
