"""``patch_gradient`` on a GPU, many patches at once. The definition is ``reference/gradient.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_THREADS = 128  # a block; the sums in gradient.cu are laid out for it


def places(runs: NDArray[np.int32], frames: int) -> tuple[NDArray[np.integer[Any]], ...]:
    """Return row and column of each coefficient, where its first frame's real part is packed, and its row's padding."""
    lengths = runs[:, 2]
    padded = -(-lengths // 8) * 8
    begin = np.concatenate([[0], np.cumsum(2 * padded.astype(np.int64) * frames)[:-1]])
    within = np.concatenate([np.arange(n) for n in lengths])
    row, column = np.repeat(runs[:, 0], lengths), np.repeat(runs[:, 1], lengths) + within
    return row, column, np.repeat(begin, lengths) + within, np.repeat(padded, lengths)


class Coefficients:
    """Which coefficients of a patch's spectrum there are and where they lie, by shell, on the current device."""

    def __init__(
        self,
        runs: NDArray[np.int32],
        shell: NDArray[np.int32],
        ky: NDArray[np.float32],
        kx: NDArray[np.float32],
        frames: int,
        shells: int,
    ) -> None:
        """``runs``, ``shell``, ``ky``, ``kx`` as in ``reference.gradient.patch_gradient``; ``shells``: S."""
        import cupy

        row, column, place, pad = places(runs, frames)
        order = np.argsort(shell, kind="stable")
        start = np.searchsorted(shell[order], np.arange(shells + 1)).astype(np.int32)
        self.count, self.shells = shell.size, shells
        self.place = cupy.asarray(place[order].astype(np.int32))
        self.pad = cupy.asarray(pad[order].astype(np.int32))
        self.shell, self.start = cupy.asarray(shell[order]), cupy.asarray(start)
        self.ky, self.kx = cupy.asarray(ky[row][order]), cupy.asarray(kx[column][order])


def patch_gradients(kept: Coefficients, packed: Any, scale: Any, shifts: Any, gain: Any) -> tuple[Any, Any]:
    """Return gradients [P, T, 2] and cross powers [P, S], float64 on the device.

    ``packed`` [P, size] int16 and ``scale`` [P, T] float32: spectra as ``pack_spectra`` left them; ``shifts``
    [P, T, 2] (y, x) pixels and ``gain`` [P, S] float32; all on the current device.
    """
    import cupy

    (patches, frames), size = scale.shape, np.int64(packed.shape[1])
    total = cupy.empty((patches, kept.count), cupy.complex64)
    cross = cupy.empty((patches, kept.count), cupy.float32)
    power = cupy.empty((patches, kept.shells), cupy.float64)
    gradient = cupy.empty((patches, frames, 2), cupy.float64)
    count, shells, block = np.int32(kept.count), np.int32(kept.shells), (_THREADS,)
    spectra = (packed, scale, kept.place, kept.pad, kept.ky, kept.kx, shifts)
    grid = (blocks(kept.count, _THREADS), patches)
    kernel("patch_total", "gradient")(grid, block, (*spectra, total, cross, np.int32(frames), size, count))
    kernel("shell_power", "gradient")((kept.shells, patches), block, (cross, kept.start, power, count, shells))
    kernel("frame_gradient", "gradient")(
        (frames, patches), block, (*spectra, kept.shell, gain, total, gradient, np.int32(frames), size, count, shells)
    )
    return gradient, power


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
    """See ``reference.gradient.patch_gradient``; to the current device and back."""
    import cupy

    kept = Coefficients(runs, shell, ky, kx, scale.size, power.size)
    given = [cupy.asarray(a[None]) for a in (packed, scale, shifts.astype(np.float32), gain)]
    gradient[...], power[...] = (array.get()[0] for array in patch_gradients(kept, *given))
