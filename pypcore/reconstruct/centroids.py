"""A correction of the division by weights at low resolution, where samples lie denser towards the origin.

A cell's value is a mean over the samples around it, and belongs to their centroid, not to the cell. Slices thin out as
1 / |k|, so at low resolution centroids are off by up to a tenth of a cell, and the map's transform changes much over
a cell where the particle fills the box. The centroid follows from the slope of the weights W: the trilinear share has
a variance of 1/6 along each axis, so it is off by grad W / 6 W; what that changes is taken away to first order.
Without noise the error of the FSC falls to a twentieth at padding 1. Beyond a third of Nyquist it is left alone:
there the shift is small, and its own noise is not.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FULL, NONE = 0.2, 0.35  # shares of Nyquist: up to where it is applied in full, and from where not at all
_VARIANCE = 1 / 6
_FARTHEST = 0.3  # cells: no centroid is believed to be farther off


def centroid_error(
    volume: NDArray[np.float32], sums: NDArray[np.float32], padding: int
) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.complex64]]:
    """Return what is to be taken from the transform of ``volume`` and where: indices of an FFT's order, and values.

    ``volume`` [z, y, x] is the map made of ``sums`` [z, y, x, 4], whose plane x = 0 is whole.
    """
    box = volume.shape[0]
    side, middle = box * padding, sums.shape[0] // 2
    low = int(NONE * side / 2)
    k = np.arange(-low, low + 1)
    weight = sums[middle - low - 1 : middle + low + 2, middle - low - 1 : middle + low + 2, : low + 2, 2]
    weight = np.concatenate([weight[::-1, ::-1, 1:2], weight], 2)  # x from -1 to low + 1
    inner = (slice(1, -1),) * 3
    safe = np.maximum(weight[inner], np.float32(1e-30))
    at = np.arange(box) - box // 2
    error = np.zeros(safe.shape, np.complex64)
    for axis in range(3):
        before, after = list(inner), list(inner)
        before[axis], after[axis] = slice(0, -2), slice(2, None)
        off = np.clip((weight[tuple(after)] - weight[tuple(before)]) / 2 * _VARIANCE / safe, -_FARTHEST, _FARTHEST)
        along = volume * at.astype(np.float32).reshape([-1 if axis == a else 1 for a in range(3)])
        error += off * (-2j * np.pi / side) * _low_transform(along, side, k)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[low:] ** 2) / (side / 2)
    taper = 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - FULL) / (NONE - FULL), 0, 1))
    error *= np.where(weight[inner] > 0, taper, 0).astype(np.float32)
    error[low, low, 0] = 0  # the mean stays 0
    return np.ix_(k % side, k % side, k[low:]), error


def _low_transform(volume: NDArray[np.float32], side: int, k: NDArray[np.int64]) -> NDArray[np.complex64]:
    """The transform of a map, its origin in the middle, in a box of ``side``, at (k, k, k >= 0)."""
    box, low = len(volume), len(k) // 2
    placed = np.exp(2j * np.pi * k * (box // 2) / side).astype(np.complex64)  # index box // 2 is the origin
    part = scipy.fft.rfft(volume, n=side, axis=2)[..., : low + 1] * placed[low:]
    for axis in (1, 0):
        shape = [-1 if axis == a else 1 for a in range(3)]
        part = np.take(scipy.fft.fft(part, n=side, axis=axis), k % side, axis) * placed.reshape(shape)
    return part
