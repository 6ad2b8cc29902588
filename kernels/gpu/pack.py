"""``pack_spectra`` on a GPU, many patches at once. The definition is ``reference/gradient.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.gradient import places
from pypcore.kernels.gpu.module import blocks, kernel

_THREADS = 128  # a block; the maximum in pack.cu is laid out for it


class Packing:
    """Where a patch's coefficients lie, in its spectrum and packed, on the current device."""

    def __init__(self, runs: NDArray[np.int32], damage: NDArray[np.float32], columns: int) -> None:
        """``runs``, ``damage`` [T, K] as in ``reference.gradient.pack_spectra``; ``columns`` of a spectrum."""
        import cupy

        self.frames, self.count = damage.shape
        row, column, place, pad = places(runs, self.frames)
        self.at = cupy.asarray((row * columns + column).astype(np.int32))
        self.place, self.pad = (cupy.asarray(array.astype(np.int32)) for array in (place, pad))
        self.damage = cupy.asarray(damage)


def pack(packing: Packing, spectra: Any, rows: Any, packed: Any, scale: Any, first: int) -> None:
    """Pack ``spectra`` [P, n, y, x] of the frames from ``first`` on into ``packed`` [R, size] and ``scale`` [R, T].

    ``rows`` [P] int32: those of the R that are the patches'. All on the current device and in one piece. What fills up
    rows of ``packed`` is left as it is: zeros.
    """
    patches, n = spectra.shape[:2]
    numbers = [np.int32(one) for one in (n, first, packing.frames, packing.count)]
    pixels, size = np.int64(spectra[0, 0].size), np.int64(packed.shape[1])
    given = (spectra, packing.at, packing.damage, scale, rows)
    kernel("spectra_scale", "pack")((n, patches), (_THREADS,), (*given, *numbers, pixels))
    grid = (blocks(packing.count, _THREADS), n, patches)
    kernel("spectra_pack", "pack")(
        grid, (_THREADS,), (*given, packing.place, packing.pad, packed, *numbers, pixels, size)
    )


def pack_spectra(
    spectra: NDArray[np.complex64],
    runs: NDArray[np.int32],
    damage: NDArray[np.float32],
    packed: NDArray[np.int16],
    scale: NDArray[np.float32],
    first: int,
) -> None:
    """See ``reference.gradient.pack_spectra``; to the current device and back."""
    import cupy

    given, to, scales = (cupy.asarray(array[None]) for array in (spectra, packed, scale))
    rows = cupy.zeros(1, cupy.int32)
    pack(Packing(runs, damage, spectra.shape[2]), given, rows, to, scales, first)
    packed[...], scale[...] = to.get()[0], scales.get()[0]
