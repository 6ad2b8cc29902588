"""The one door to Fourier transforms: float32 in, complex64 out, one thread a call, sizes that are quick.

Transforms release the GIL; the caller runs several at once. Forward transforms carry no factor, inverse ones
1/N (SciPy's convention).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Real = NDArray[np.float32]
Complex = NDArray[np.complex64]


def rfft2(image: Real, shape: tuple[int, int] | None = None) -> Complex:
    """Transform the last two axes, zero-padded at the end to ``shape``: [..., y, x] -> [..., y, x // 2 + 1]."""
    return fft.rfft2(image, s=shape, workers=1)


def irfft2(spectrum: Complex, shape: tuple[int, int]) -> Real:
    """Transform back to real images of ``shape`` (y, x)."""
    return fft.irfft2(spectrum, s=shape, workers=1)


def rfft(image: Real, n: int) -> Complex:
    """Transform the last axis, zero-padded at the end to ``n`` points."""
    return fft.rfft(image, n=n, workers=1)


def irfft(spectrum: Complex, n: int) -> Real:
    """Transform the last axis back to ``n`` real points."""
    return fft.irfft(spectrum, n=n, workers=1)


def fft_columns(spectrum: Complex, n: int) -> Complex:
    """Transform the first axis of a 2-D array, zero-padded at the end to ``n`` points."""
    return fft.fft(spectrum, n=n, axis=0, workers=1)


def frequencies(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ky [y, 1] and kx [1, x // 2 + 1] of an ``rfft2``, in cycles per pixel."""
    ky, kx = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    return ky[:, None].astype(np.float64), kx[None, :].astype(np.float64)


def good_size(at_least: int, multiple: int = 2) -> int:
    """Return the smallest multiple of ``multiple`` >= ``at_least`` whose further factors are 2, 3 and 5 only."""
    factor = -(-at_least // multiple)
    while fft.next_fast_len(factor, real=True) != factor:
        factor = fft.next_fast_len(factor, real=True)
    return factor * multiple
