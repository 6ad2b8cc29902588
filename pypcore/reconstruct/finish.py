"""From the sums to a map: symmetry, division by the weights, back to real space, gridding correction.

A map is that of the density along lines: its projections (sums over voxels) are the images, but for
their means: frequency 0 is left out.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.reconstruct.centroids import centroid_error, low_weights
from pypcore.reconstruct.symmetry import point_group

Sums = NDArray[np.float32]  # [z, y, x, 4]: real, imaginary, weight, nothing; as packed, without the latter
Map = NDArray[np.float32]  # [z, y, x]
Shells = NDArray[np.float64]  # a value for each shell of the map

FLOOR = 1e-3
"""The least weight that is divided by, as a share of the mean weight at that resolution (RELION's)."""
PLANES = 8  # transformed together


@dataclass(frozen=True)
class Finish:
    """How a map is made of sums.

    ``symmetry``: see ``symmetry.point_group``. ``iterations`` of the gridding weights (Pipe and Menon 1999; RELION
    does 10; at padding 2 they help where there is noise, at padding 1 they change little). ``snr`` [box // 2 + 1]: the
    signal-to-noise ratio by shell, for a map that is weighted by it (Wiener); None for an unregularised one.
    ``centred``: see ``centroids``.
    """

    symmetry: str = "C1"
    iterations: int = 0
    snr: NDArray[np.floating] | None = None
    centred: bool = True


def make_map(sums: Sums, box: int, padding: int, finish: Finish | None = None, *, threads: int = 1) -> Map:
    """Make a map [z, y, x] of ``box`` voxels of the sums of a half, or of both halves added.

    ``sums`` [z, y, x, 3 or 4] are lent: they are worked on in place, and afterwards as they were.
    """
    finish = finish or Finish()
    rotations = point_group(finish.symmetry)
    begun = sums[:, :, 0].copy()
    fold(sums)
    whole = symmetrise(sums, rotations, threads) if len(rotations) > 1 else sums
    mean = _shell_means(whole, box, padding)
    if finish.iterations:
        spectrum = _unwrapped(whole, box * padding)
        spectrum *= _gridding_weights(_weights(whole, box * padding), mean, finish.iterations, padding, threads)
    else:
        added = np.zeros_like(mean) if finish.snr is None else mean / np.maximum(np.asarray(finish.snr), 1e-3)
        spectrum = _divided(whole, box, padding, FLOOR * mean, added)
    weight = low_weights(whole) if finish.centred else None
    sums[:, :, 0] = begun
    del whole
    volume = _to_real(spectrum, box, padding, threads)
    del spectrum
    if weight is not None:
        error = centroid_error(volume, weight, padding)
        undo_envelope(error, padding)
        volume -= error
    return volume


def fold(sums: Sums) -> None:
    """Add to each cell of the plane x = 0 its mate at the opposite frequency, conjugated; in place."""
    plane = sums[:, :, 0]
    mate = plane[::-1, ::-1].copy()
    mate[..., 1] *= -1
    plane += mate


def symmetrise(sums: Sums, rotations: NDArray[np.float64], threads: int = 1) -> Sums:
    """Return the sums plus those seen from each rotation of a group; the plane x = 0 has to be whole (``fold``)."""
    result = np.zeros_like(sums)
    rotate = kernels.get("rotate_sums", "numba")
    planes = [(first, min(first + 8, len(sums))) for first in range(0, len(sums), 8)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda part: rotate(sums, rotations, result, *part), planes):
            pass
    return result


def _divided(sums: Sums, box: int, padding: int, least: Shells, added: Shells) -> NDArray[np.complex64]:
    """Sums over weights, these plus ``added`` and at least ``least`` of their shells; 0 where there is no weight."""
    spectrum = _unwrapped(sums, box * padding)
    for plane, weight, shell in zip(spectrum, _weight_planes(sums), _shells(box * padding, padding), strict=True):
        enough = np.maximum(weight + added.astype(np.float32)[shell], least.astype(np.float32)[shell])
        np.divide(plane, enough, out=plane, where=enough > 0)
    return spectrum


def _unwrapped(sums: Sums, side: int) -> NDArray[np.complex64]:
    """Values in the order of an FFT [side, side, side // 2 + 1]; 0 beyond the Nyquist radius."""
    value = np.empty((side, side, side // 2 + 1), np.complex64)
    k = _order(side)
    for plane, z in zip(value, k, strict=True):
        rows = sums[z + sums.shape[0] // 2, k + sums.shape[1] // 2, :-1]
        plane.real, plane.imag = rows[..., 0], rows[..., 1]
        plane[_outside(z, side)] = 0
    return value


def _weights(sums: Sums, side: int) -> NDArray[np.float32]:
    """Weights in the order of ``_unwrapped``."""
    weight = np.empty((side, side, side // 2 + 1), np.float32)
    for plane, given in zip(weight, _weight_planes(sums), strict=True):
        plane[:] = given
    return weight


def _weight_planes(sums: Sums) -> Iterator[NDArray[np.float32]]:
    side = 2 * (sums.shape[2] - 2)
    k = _order(side)
    for z in k:
        plane = sums[z + sums.shape[0] // 2, k + sums.shape[1] // 2, :-1, 2]
        plane[_outside(z, side)] = 0
        yield plane


def _order(side: int) -> NDArray[np.int64]:
    """The frequencies of an FFT's rows."""
    return np.fft.fftfreq(side, 1 / side).astype(np.int64)


def _outside(z: np.int64, side: int) -> NDArray[np.bool_]:
    """Which cells [y, x] of a plane are beyond the Nyquist radius."""
    x = np.arange(side // 2 + 1)
    return np.asarray(z * z + _order(side)[:, None] ** 2 + x * x > (side // 2) ** 2)


def _shells(side: int, padding: int) -> Iterator[NDArray[np.int32]]:
    """The shell of each cell, plane by plane: its radius in Fourier pixels of the map; at most the Nyquist shell."""
    k2 = (np.fft.fftfreq(side, 1 / side) ** 2).astype(np.float32)
    for z2 in k2:
        radius = np.sqrt(z2 + k2[:, None] + np.arange(side // 2 + 1, dtype=np.float32) ** 2) / np.float32(padding)
        yield np.minimum(np.rint(radius), side // padding // 2).astype(np.int32)


def _shell_means(sums: Sums, box: int, padding: int) -> Shells:
    """Mean weight of the cells of a shell that have any."""
    total, count = np.zeros(box // 2 + 1), np.zeros(box // 2 + 1)
    for plane, where in zip(_weight_planes(sums), _shells(box * padding, padding), strict=True):
        used = plane > 0
        total += np.bincount(where[used], plane[used], minlength=box // 2 + 1)
        count += np.bincount(where[used], minlength=box // 2 + 1)
    return total / np.maximum(count, 1)


def _gridding_weights(
    weight: NDArray[np.float32],
    mean: Shells,
    iterations: int,
    padding: int,
    threads: int,
) -> NDArray[np.float32]:
    """Factors f such that f W, smoothed by a narrow kernel, is 1 wherever there are samples.

    Pipe and Menon (1999, Magn. Reson. Med. 41, 179). The kernel is a Kaiser-Bessel blob (Lewitt 1990, J. Opt. Soc. Am.
    A 7, 1834) with RELION's radius of 1.9 Fourier pixels and alpha 15; smoothing is its transform in real space.
    """
    side = weight.shape[0]
    squared = (np.fft.fftfreq(side) ** 2).astype(np.float32)
    radius = np.sqrt(squared[:, None, None] + squared[None, :, None] + squared)
    table = _blob_transform(np.linspace(0, 1, 4096), 1.9 * padding, 15.0)
    blob = np.interp(radius, np.linspace(0, 1, 4096), table / table[0]).astype(np.float32)
    # Begun at factors that are alike in a shell, so that a cell with few samples gets what its neighbourhood has; from
    # 1 / W each such cell would keep a factor of its own, and the noise of its samples with it.
    begin = (1 / np.maximum(mean, 1e-30)).astype(np.float32)
    factor = np.zeros_like(weight)
    for plane, given, shell in zip(factor, weight, _shells(side, padding), strict=True):
        np.copyto(plane, begin[shell], where=given > 0)
    for _ in range(iterations):
        real = scipy.fft.irfftn(factor * weight, (side,) * 3, workers=threads)
        real *= blob
        smooth = scipy.fft.rfftn(real, workers=threads).real
        factor /= np.maximum(smooth, 1e-6)
    return factor


def _blob_transform(k: NDArray[np.float64], radius: float, alpha: float) -> NDArray[np.float64]:
    """Transform of a Kaiser-Bessel blob in three dimensions (order 0), up to a factor: I or J of order 3/2."""
    s = (2 * np.pi * radius * k) ** 2 - alpha**2
    root = np.sqrt(np.maximum(np.abs(s), 1e-12))
    inside = (root * np.cosh(root) - np.sinh(root)) / root**3
    outside = (np.sin(root) - root * np.cos(root)) / root**3
    return np.where(s < 0, inside, outside)


def _to_real(spectrum: NDArray[np.complex64], box: int, padding: int, threads: int) -> Map:
    """Transform, keep the middle ``box`` voxels of each axis, and undo the envelope of the trilinear shares.

    ``spectrum`` is used up: plane by plane, so that no second one is held.
    """
    side = box * padding
    kept = (np.arange(box) - box // 2) % side
    for first in range(0, side, PLANES):
        rows = spectrum[:, first : first + PLANES]
        spectrum[:box, first : first + PLANES] = scipy.fft.ifft(rows, axis=0, workers=threads)[kept]
    volume = np.empty((box, box, box), np.float32)
    for first in range(0, box, PLANES):
        planes = slice(first, first + PLANES)
        part = scipy.fft.ifft(spectrum[first : min(first + PLANES, box)], axis=1, workers=threads)[:, kept]
        volume[planes] = scipy.fft.irfft(part, n=side, axis=2, workers=threads)[..., kept]
    undo_envelope(volume, padding)
    return volume


def undo_envelope(volume: Map, padding: int) -> None:
    """Divide a map by what the trilinear shares did to it; in place."""
    box = len(volume)
    along = np.sinc((np.arange(box) - box // 2) / (box * padding)) ** 2
    for plane, z in zip(volume, along, strict=True):
        plane /= z * along[:, None] * along


def snr_of_fsc(fsc: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio of the sum of two half maps by shell, from their FSC: 2 FSC / (1 - FSC)."""
    clipped = np.clip(np.asarray(fsc, np.float64), 1e-3, 0.999)
    return 2 * clipped / (1 - clipped)
