"""``patch_gradient`` on a GPU, many patches at once. The definition is ``reference/gradient.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_THREADS = 128  # a block; the sums in gradient.cu are laid out for it


class Coefficients:
    """Which coefficients of a patch's transform count, sorted by shell, on the current device."""

    def __init__(
        self,
        runs: NDArray[np.int32],
        shell: NDArray[np.int32],
        ky: NDArray[np.float32],
        kx: NDArray[np.float32],
        shells: int,
    ) -> None:
        """``runs``, ``shell``, ``ky``, ``kx`` as in ``reference.gradient.patch_gradient``; ``shells``: S."""
        import cupy

        row = np.repeat(runs[:, 0], runs[:, 2])
        column = np.concatenate([np.arange(first, first + n, dtype=np.int32) for _, first, n in runs])
        order = np.argsort(shell, kind="stable")
        start = np.searchsorted(shell[order], np.arange(shells + 1)).astype(np.int32)
        self.count, self.shells, self.size = shell.size, shells, ky.size * kx.size
        self.place = cupy.asarray((row * kx.size + column)[order].astype(np.int32))
        self.shell, self.start = cupy.asarray(shell[order]), cupy.asarray(start)
        self.ky, self.kx = cupy.asarray(ky[row][order]), cupy.asarray(kx[column][order])


def patch_gradients(kept: Coefficients, spectra: Any, shifts: Any, damage: Any, gain: Any) -> tuple[Any, Any]:
    """Return gradients [P, T, 2] and cross powers [P, S], float64 on the device.

    ``spectra`` [P, T, y, x] complex64, ``shifts`` [P, T, 2] (y, x) pixels float32, ``damage`` [T, S] and ``gain``
    [P, S] float32, all on the current device.
    """
    import cupy

    patches, frames = spectra.shape[:2]
    total = cupy.empty((patches, kept.count), cupy.complex64)
    cross = cupy.empty((patches, kept.count), cupy.float32)
    power = cupy.empty((patches, kept.shells), cupy.float64)
    gradient = cupy.empty((patches, frames, 2), cupy.float64)
    sizes = [np.int32(n) for n in (frames, kept.size, kept.count, kept.shells)]
    where = (kept.place, kept.shell, kept.ky, kept.kx)
    kernel("patch_total", "gradient")(
        (blocks(kept.count, _THREADS), patches), (_THREADS,), (spectra, *where, shifts, damage, total, cross, *sizes)
    )
    kernel("shell_power", "gradient")(
        (kept.shells, patches), (_THREADS,), (cross, kept.start, power, np.int32(kept.count), np.int32(kept.shells))
    )
    kernel("frame_gradient", "gradient")(
        (frames, patches), (_THREADS,), (spectra, *where, shifts, damage, gain, total, gradient, *sizes)
    )
    return gradient, power


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
    """See ``reference.gradient.patch_gradient``; to the current device and back."""
    import cupy

    kept = Coefficients(runs, shell, ky, kx, power.size)
    on_device = [cupy.asarray(a) for a in (spectra[None], shifts[None].astype(np.float32), damage, gain[None])]
    found = patch_gradients(kept, *on_device)
    gradient[...], power[...] = (array.get()[0] for array in found)
