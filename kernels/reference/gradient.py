"""Definition of ``pack_spectra`` and ``patch_gradient``.

A patch's spectra are kept as 16-bit numbers: one scale a frame, chosen so that its largest part just fits. Data are
noise of about unit size, so rounding adds less than a millionth to it. The K coefficients used are named by ``runs``
[n, 3]: row, first column, how many; ``shell`` [K] and all else that goes by coefficient is in their order.

Layout of ``packed``: for each run, for each frame, the real parts and then the imaginary parts, both filled up with
zeros to a multiple of 8.
"""

import numpy as np
from numpy.typing import NDArray

_LARGEST = 32767


def packed_size(runs: NDArray[np.int32], frames: int) -> int:
    """Return how many 16-bit numbers the spectra of ``frames`` frames take."""
    return int((-(-runs[:, 2].astype(int) // 8) * 8).sum()) * 2 * frames


def pack_spectra(
    spectra: NDArray[np.complex64],
    runs: NDArray[np.int32],
    damage: NDArray[np.float32],
    packed: NDArray[np.int16],
    scale: NDArray[np.float32],
    first: int,
) -> None:
    """Pack q_t(k) x_t(k): ``spectra`` [n, y, x] are x_t of the frames from ``first`` on.

    ``damage`` [T, K] is q of all frames at each coefficient used.

    Written, for these frames: ``packed`` (see above) and ``scale`` [T]; q x = scale * packed.
    """
    row, column = _places(runs)
    here = slice(first, first + len(spectra))
    values = (spectra[:, row, column] * damage[here]).astype(np.complex64)
    scale[here] = np.maximum(np.abs(values.real), np.abs(values.imag)).max(1) / np.float32(_LARGEST)
    inverse = np.where(scale[here] > 0, np.float32(1) / np.where(scale[here] > 0, scale[here], 1), 0)
    parts = np.rint(np.stack([values.real, values.imag], 1) * inverse[:, None, None]).astype(np.int16)  # [n, 2, K]
    place = k = 0
    for count in runs[:, 2]:
        padded = -(-count // 8) * 8
        block = packed[place : place + 2 * padded * scale.size].reshape(scale.size, 2, padded)
        block[here] = 0
        block[here, :, :count] = parts[:, :, k : k + count]
        place, k = place + block.size, k + count


def patch_gradient(
    packed: NDArray[np.int16],
    scale: NDArray[np.float32],
    runs: NDArray[np.int32],
    shell: NDArray[np.int32],
    ky: NDArray[np.float32],
    kx: NDArray[np.float32],
    shifts: NDArray[np.float64],
    gain: NDArray[np.float32],
    gradient: NDArray[np.float64],
    power: NDArray[np.float64],
) -> None:
    """Differentiate the log likelihood of one patch's shifts, the specimen integrated out.

    log L = sum_k V |R|^2 with R(k) = sum_t U_t(k), U_t = q_t(k) x_t(k) exp(+i k.d_t).

    ``packed``, ``scale``, ``runs``, ``shell``: q_t x_t, as ``pack_spectra`` left them. ``ky`` [y], ``kx`` [x]:
    radians per pixel. ``shifts`` [T, 2]: d_t (y, x), pixels. ``gain`` [S]: V. Written: ``gradient`` [T, 2],
    d log L / d d_t, in which a frame's own power drops out (it does not depend on d_t); ``power`` [S]:
    |R|^2 - sum_t |U_t|^2, shell sums.
    """
    row, column = _places(runs)
    phase = shifts[:, :1] * ky[row] + shifts[:, 1:] * kx[column]
    moved = _unpacked(packed, runs, len(shifts)) * scale[:, None].astype(float) * np.exp(1j * phase)
    total = moved.sum(0)
    torque = -2 * gain[shell] * (np.conj(total) * moved).imag
    gradient[:, 0] = (torque * ky[row]).sum(1)
    gradient[:, 1] = (torque * kx[column]).sum(1)
    cross = np.abs(total) ** 2 - (np.abs(moved) ** 2).sum(0)
    power[:] = np.bincount(shell, cross, minlength=power.size)


def _places(runs: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    row = np.repeat(runs[:, 0], runs[:, 2])
    return row, np.concatenate([np.arange(first, first + n, dtype=np.int32) for _, first, n in runs])


def _unpacked(packed: NDArray[np.int16], runs: NDArray[np.int32], frames: int) -> NDArray[np.complex128]:
    pieces, place = [], 0
    for count in runs[:, 2]:
        padded = -(-count // 8) * 8
        block = packed[place : place + 2 * padded * frames].reshape(frames, 2, padded)[:, :, :count].astype(float)
        pieces.append(block[:, 0] + 1j * block[:, 1])
        place += 2 * padded * frames
    return np.concatenate(pieces, 1)
