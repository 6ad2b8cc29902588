"""Definition of ``patch_gradient``."""

import numpy as np
from numpy.typing import NDArray


def patch_gradient(
    spectra: NDArray[np.complex64],
    runs: NDArray[np.int32],
    shell: NDArray[np.int32],
    ky: NDArray[np.float32],
    kx: NDArray[np.float32],
    shifts: NDArray[np.float64],
    damage: NDArray[np.float32],
    gain: NDArray[np.float32],
    gradient: NDArray[np.float64],
    power: NDArray[np.float64],
) -> None:
    """Differentiate the log likelihood of one patch's shifts, the specimen integrated out.

    log L = sum_k V |R|^2 with R(k) = sum_t U_t(k), U_t = q_t(k) x_t(k) exp(+i k.d_t).

    ``spectra`` [T, y, x]: x_t. ``runs`` [n, 3]: the K coefficients used, as row, first column and how many.
    ``shell`` [K], in the same order. ``ky`` [y], ``kx`` [x]: radians per pixel. ``shifts`` [T, 2]: d_t (y, x),
    pixels. ``damage`` [T, S]: q; ``gain`` [S]: V. Written: ``gradient`` [T, 2], d log L / d d_t, in which a
    frame's own power drops out (it does not depend on d_t); ``power`` [S]: |R|^2 - sum_t |U_t|^2, shell sums.
    """
    row = np.repeat(runs[:, 0], runs[:, 2])
    column = np.concatenate([np.arange(first, first + n) for _, first, n in runs])
    phase = shifts[:, :1] * ky[row] + shifts[:, 1:] * kx[column]
    moved = spectra[:, row, column] * np.exp(1j * phase) * damage[:, shell]
    total = moved.sum(0)
    torque = -2 * gain[shell] * (np.conj(total) * moved).imag
    gradient[:, 0] = (torque * ky[row]).sum(1)
    gradient[:, 1] = (torque * kx[column]).sum(1)
    cross = np.abs(total) ** 2 - (np.abs(moved) ** 2).sum(0)
    power[:] = np.bincount(shell, cross, minlength=power.size)
