"""Transforms of a whole map, plane by plane, so that nothing of its size is held but the map and the transform."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.fft

Map = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]  # [z, y, x >= 0], as of an rfftn

PLANES = 8  # transformed together


def transform(volume: Map, mask: Map | None = None, *, threads: int = 1) -> Spectrum:
    """Return the transform of a cube [z, y, x], times ``mask``."""
    box = len(volume)
    spectrum = np.empty((box, box, box // 2 + 1), np.complex64)
    for z, plane in enumerate(volume):
        spectrum[z] = scipy.fft.rfft2(plane if mask is None else plane * mask[z], workers=threads)
    _along_z(spectrum, scipy.fft.fft, threads)
    return spectrum


def inverse(spectrum: Spectrum, *, threads: int = 1) -> Map:
    """Return the cube of a transform; ``spectrum`` is used up."""
    box = len(spectrum)
    volume = np.empty((box, box, box), np.float32)
    _along_z(spectrum, scipy.fft.ifft, threads)
    for z, plane in enumerate(spectrum):
        volume[z] = scipy.fft.irfft2(plane, (box, box), workers=threads)
    return volume


def mask_transform(spectrum: Spectrum, mask: Map, *, threads: int = 1) -> None:
    """Make a transform that of its cube times ``mask``; in place."""
    box = len(spectrum)
    _along_z(spectrum, scipy.fft.ifft, threads)
    for z, plane in enumerate(spectrum):
        real = scipy.fft.irfft2(plane, (box, box), workers=threads)
        spectrum[z] = scipy.fft.rfft2(real * mask[z], workers=threads)
    _along_z(spectrum, scipy.fft.fft, threads)


def _along_z(spectrum: Spectrum, transform_1d: Callable[..., Spectrum], threads: int) -> None:
    for first in range(0, len(spectrum), PLANES):
        rows = slice(first, first + PLANES)
        spectrum[:, rows] = transform_1d(spectrum[:, rows], axis=0, workers=threads)
