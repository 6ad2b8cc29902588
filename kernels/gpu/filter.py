"""``add_filtered`` on a GPU. The definition is ``reference/spectra.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel

_BLOCK = (32, 8)


def add_spectrum(spectrum: Any, bins: Any, curve: Any, along_y: Any, along_x: Any, total: Any) -> None:
    """Do as ``add_filtered`` on the current device; ``bins`` are all below the curve's size."""
    height, width = spectrum.shape
    grid = (blocks(width, _BLOCK[0]), blocks(height, _BLOCK[1]))
    given = (spectrum, bins, curve, along_y, along_x, total, np.int32(height), np.int32(width))
    kernel("add_filtered", "filter")(grid, _BLOCK, given)


def add_filtered(
    spectrum: NDArray[np.complex64],
    bins: NDArray[np.uint16],
    curve: NDArray[np.float32],
    along_y: NDArray[np.float32],
    along_x: NDArray[np.float32],
    total: NDArray[np.complex64],
) -> None:
    """See ``reference.spectra.add_filtered``; to the current device and back."""
    import cupy

    if bins.size and int(bins.max()) >= curve.size:
        raise ValueError(f"a curve of {curve.size} values, and coefficients beyond its end")
    sums = cupy.asarray(total)
    where, factors = cupy.asarray(bins), [cupy.asarray(array) for array in (curve, along_y, along_x)]
    add_spectrum(cupy.asarray(spectrum), where, factors[0], factors[1], factors[2], sums)
    total[...] = sums.get()
