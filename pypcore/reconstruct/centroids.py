"""A correction of the division by weights at low resolution, where samples lie denser towards the origin.

A cell's value is a mean over the samples around it, and belongs to their centroid, not to the cell. Slices thin out as
1 / |k|, so at low resolution centroids are off by up to a tenth of a cell, and the map's transform changes much over
a cell where the particle fills the box. The centroid follows from the slope of the weights W: the trilinear share has
a variance of 1/6 along each axis, so it is off by grad W / 6 W; what that changes is taken away to first order.
Without noise the error of the FSC falls to a tenth at padding 1.

It holds where a first order does, and is left out elsewhere: in the first Fourier pixels, where 1 / |k| changes too
much from cell to cell; beyond a third of Nyquist, where the shift is small and its own noise is not; and towards the
border of the box, which at padding 1 touches the next copy of the map, and whose density is made of errors.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FULL, NONE = 0.2, 0.35  # shares of Nyquist: up to where it is applied in full, and from where not at all
FIRST, WHOLE = 2.0, 4.0  # Fourier pixels of the map: where it begins, and from where it is applied in full
INSIDE, BORDER = 0.7, 1.0  # shares of half the box: radii up to where it is applied in full, and from where not at all
_VARIANCE = 1 / 6
_FARTHEST = 0.3  # cells: no centroid is believed to be farther off


def low_weights(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weights [z, y, x] around the origin that ``centroid_error`` needs, x from -1 on.

    ``sums`` [z, y, x, 3 or 4], whose plane x = 0 is whole (``finish.fold``).
    """
    middle = sums.shape[0] // 2
    low = int(NONE * (sums.shape[2] - 2))
    weight = sums[middle - low - 1 : middle + low + 2, middle - low - 1 : middle + low + 2, : low + 2, 2]
    return np.concatenate([weight[::-1, ::-1, 1:2], weight], 2)


def centroid_error(volume: NDArray[np.float32], weight: NDArray[np.float32], padding: int) -> NDArray[np.float32]:
    """Return the density [z, y, x] that is to be taken from ``volume``, which was made of the sums of ``weight``."""
    box = volume.shape[0]
    side, low = box * padding, weight.shape[2] - 3
    k = np.arange(-low, low + 1)
    inner = (slice(1, -1),) * 3
    safe = np.maximum(weight[inner], np.float32(1e-30))
    at = np.arange(box) - box // 2
    error = np.zeros(safe.shape, np.complex64)
    for axis in range(3):
        before, after = list(inner), list(inner)
        before[axis], after[axis] = slice(0, -2), slice(2, None)
        off = np.clip((weight[tuple(after)] - weight[tuple(before)]) / 2 * _VARIANCE / safe, -_FARTHEST, _FARTHEST)
        error += off * (-2j * np.pi / side) * _low_transform(volume, at, axis, side, k)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[low:] ** 2)
    share = _falling(radius / (side / 2), FULL, NONE) * np.clip((radius / padding - FIRST) / (WHOLE - FIRST), 0, 1)
    error *= np.where(weight[inner] > 0, share, 0).astype(np.float32)
    density = _low_inverse(error, box, side, k)
    square = (at / (box / 2)) ** 2
    for plane, z2 in zip(density, square, strict=True):
        plane *= _falling(np.sqrt(z2 + square[:, None] + square), INSIDE, BORDER)
    return density


def _falling(radius: NDArray[np.float64], full: float, none: float) -> NDArray[np.float64]:
    """From 1 to 0 by a cosine."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - full) / (none - full), 0, 1))


def _low_transform(
    volume: NDArray[np.float32], at: NDArray[np.int64], axis: int, side: int, k: NDArray[np.int64]
) -> NDArray[np.complex64]:
    """The transform of a map times its coordinate ``at`` of an axis, in a box of ``side``, at (k, k, k >= 0)."""
    box, low = len(volume), len(k) // 2
    placed = np.exp(2j * np.pi * k * (box // 2) / side).astype(np.complex64)  # index box // 2 is the origin
    part = np.empty((box, len(k), low + 1), np.complex64)
    along = [at.astype(np.float32) if a == axis else np.ones(box, np.float32) for a in range(3)]
    for z, plane in enumerate(volume):
        rows = scipy.fft.rfft(plane * along[1][:, None] * along[2], n=side, axis=1)[:, : low + 1] * placed[low:]
        part[z] = scipy.fft.fft(rows, n=side, axis=0)[k % side] * placed[:, None] * along[0][z]
    return scipy.fft.fft(part, n=side, axis=0)[k % side] * placed[:, None, None]


def _low_inverse(error: NDArray[np.complex64], box: int, side: int, k: NDArray[np.int64]) -> NDArray[np.float32]:
    """The middle ``box`` voxels of the density whose transform at (k, k, k >= 0) is ``error``, and 0 elsewhere."""
    kept = (np.arange(box) - box // 2) % side

    def along(part: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """The inverse transform along the first axis."""
        whole = np.zeros((side, *part.shape[1:]), np.complex64)
        whole[k % side] = part
        return scipy.fft.ifft(whole, axis=0, overwrite_x=True)[kept]

    volume = np.empty((box, box, box), np.float32)
    for plane, part in zip(volume, along(error), strict=True):
        plane[:] = scipy.fft.irfft(along(part), n=side, axis=1)[:, kept]
    return volume
