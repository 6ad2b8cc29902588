"""From the sums to a map: symmetry, division by the weights, back to real space, gridding correction.

A map is that of the density along lines: its projections (sums over voxels) are the images, but for
their means: frequency 0 is left out.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.reconstruct.centroids import centroid_error
from pypcore.reconstruct.symmetry import point_group

Sums = NDArray[np.float32]  # [z, y, x, 4]: real, imaginary, weight, nothing
Map = NDArray[np.float32]  # [z, y, x]

FLOOR = 1e-3
"""The least weight that is divided by, as a share of the mean weight at that resolution (RELION's)."""


@dataclass(frozen=True)
class Finish:
    """How a map is made of sums.

    ``symmetry``: see ``symmetry.point_group``. ``iterations`` of the gridding weights (Pipe and Menon 1999; RELION
    does 10, and 0 is as good where there is noise). ``snr`` [box // 2 + 1]: the signal-to-noise ratio by shell, for a
    map that is weighted by it (Wiener); None for an unregularised one. ``centred``: see ``centroids``.
    """

    symmetry: str = "C1"
    iterations: int = 0
    snr: NDArray[np.floating] | None = None
    centred: bool = True


def make_map(sums: Sums, box: int, padding: int, finish: Finish | None = None, *, threads: int = 1) -> Map:
    """Make a map [z, y, x] of ``box`` voxels of the sums of a half, or of both halves added.

    ``sums`` are changed.
    """
    finish = finish or Finish()
    rotations = point_group(finish.symmetry)
    fold(sums)
    if len(rotations) > 1:
        sums = symmetrise(sums, rotations, threads)
    spectrum, weight = _unwrapped(sums, box * padding)
    shell = _shells(box * padding, padding)
    mean = _shell_means(weight, shell, box)
    if finish.iterations:
        spectrum *= _gridding_weights(weight, mean, shell, finish.iterations, padding, threads)
    else:
        least = FLOOR * mean
        if finish.snr is not None:
            weight = weight + (mean / np.maximum(np.asarray(finish.snr), 1e-3)).astype(np.float32)[shell]
        weight = np.maximum(weight, least.astype(np.float32)[shell])
        np.divide(spectrum, weight, out=spectrum, where=weight > 0)  # where there is no weight there is no value
    del weight, shell
    volume = _to_real(spectrum, box, padding, threads)
    if finish.centred:
        where, error = centroid_error(volume, sums, padding)
        spectrum[where] -= error
        volume = _to_real(spectrum, box, padding, threads)
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


def _unwrapped(sums: Sums, side: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Value and weight in the order of an FFT [side, side, side // 2 + 1]; 0 beyond the Nyquist radius."""
    middle, radius = sums.shape[0] // 2, side // 2
    k = np.fft.fftfreq(side, 1 / side).astype(np.int32)
    rows = k + middle
    value = np.ascontiguousarray(sums[rows[:, None], rows[None, :], : radius + 1, :2]).view(np.complex64)[..., 0]
    weight = np.ascontiguousarray(sums[rows[:, None], rows[None, :], : radius + 1, 2])
    outside = k[:, None, None] ** 2 + k[None, :, None] ** 2 + np.arange(radius + 1, dtype=np.int32) ** 2 > radius**2
    value[outside] = 0
    weight[outside] = 0
    return value, weight


def _shells(side: int, padding: int) -> NDArray[np.int32]:
    """The shell of each cell: its radius in Fourier pixels of the map, rounded; at most the Nyquist shell."""
    k2 = (np.fft.fftfreq(side, 1 / side) ** 2).astype(np.float32)
    radius = np.sqrt(
        k2[:, None, None] + k2[None, :, None] + np.arange(side // 2 + 1, dtype=np.float32) ** 2
    ) / np.float32(padding)
    return np.minimum(np.rint(radius), side // padding // 2).astype(np.int32)


def _shell_means(weight: NDArray[np.float32], shell: NDArray[np.int32], box: int) -> NDArray[np.float64]:
    """Mean weight of the cells of a shell that are within the Nyquist radius."""
    total, count = np.zeros(box // 2 + 1), np.zeros(box // 2 + 1)
    for plane, where in zip(weight, shell, strict=True):  # plane by plane: bincount makes 16 bytes of each cell
        used = plane > 0
        total += np.bincount(where[used], plane[used], minlength=box // 2 + 1)
        count += np.bincount(where[used], minlength=box // 2 + 1)
    return total / np.maximum(count, 1)


def _gridding_weights(
    weight: NDArray[np.float32],
    mean: NDArray[np.float64],
    shell: NDArray[np.int32],
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
    least = np.maximum(FLOOR * mean, 1e-30).astype(np.float32)[shell]
    factor = np.where(weight > 0, 1 / np.maximum(weight, least), 0).astype(np.float32)
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
    """Transform, keep the middle ``box`` voxels of each axis, and undo the envelope of the trilinear shares."""
    side = box * padding
    kept = (np.arange(box) - box // 2) % side
    part = spectrum
    for axis in (0, 1):
        part = np.take(scipy.fft.ifft(part, axis=axis, workers=threads), kept, axis)
    volume = np.take(scipy.fft.irfft(part, n=side, axis=2, workers=threads), kept, 2)
    envelope = np.sinc((np.arange(box) - box // 2) / side) ** 2
    volume /= envelope[:, None, None] * envelope[:, None] * envelope
    return np.ascontiguousarray(volume, np.float32)


def snr_of_fsc(fsc: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio of the sum of two half maps by shell, from their FSC: 2 FSC / (1 - FSC)."""
    clipped = np.clip(np.asarray(fsc, np.float64), 1e-3, 0.999)
    return 2 * clipped / (1 - clipped)
