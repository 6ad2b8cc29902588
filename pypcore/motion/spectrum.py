"""The power spectrum from which the contrast transfer function may be fitted."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.summing import quintic_response

Image = NDArray[np.float32]

SIZE = 512
_DOSE = 4.0  # e-/Å² a group
_FINEST = 1.4  # Å: larger than this no pixel of the spectrum's image need be


def group_factors(count: int, dose: float) -> NDArray[np.float64]:
    """Return [T, G], 1 where frame t belongs to group g: about 4 e-/Å² each; a short last group is left out."""
    size = min(max(1, int(np.ceil(_DOSE / dose))), count)
    groups = count // size
    factors = np.zeros((count, groups))
    factors[np.arange(groups * size), np.arange(groups * size) // size] = 1
    return factors


def tile_size(shape: tuple[int, int], pixel_size: float) -> int:
    """Return the side of the tiles (px) whose transforms, cropped to 512, reach 1.4 Å or the pixel's limit."""
    wanted = round(SIZE / 2 * max(1.0, _FINEST / pixel_size)) * 2
    return wanted if min(shape) >= wanted else SIZE


def power_spectrum(sums: Iterable[Image], shape: tuple[int, int], pixel_size: float) -> tuple[Image, float]:
    """Return the mean amplitude |F| [512, 512] of the ``sums``, origin at [256, 256], and its pixel size in Å.

    In the spirit of RELION's rlnCtfPowerSpectrum, amplitudes of group sums are averaged; here each from
    half-overlapping, windowed tiles (Welch 1967), whose side fixes the sampling: frequency (i - 256) / (512 p)
    with p the pixel size returned. A tile larger than the image is zero-padded.
    """
    tile = tile_size(shape, pixel_size)
    hann = np.sin(np.pi * (np.arange(tile) + 0.5) / tile).astype(np.float32) ** 2
    window = np.outer(hann, hann) / np.float32((hann**2).sum())
    total, count = np.zeros((tile, tile // 2 + 1)), 0
    for image in sums:
        for y in _starts(shape[0], tile):
            for x in _starts(shape[1], tile):
                cut = image[y : y + tile, x : x + tile]
                piece = np.zeros((tile, tile), np.float32)
                piece[: cut.shape[0], : cut.shape[1]] = cut - cut.mean()
                total += np.abs(fft.rfft2(piece * window))
                count += 1
    ky, kx = fft.frequencies((tile, tile))
    total /= count * quintic_response(ky) * quintic_response(kx)
    whole = np.empty((SIZE, SIZE), np.float32)
    i = np.arange(SIZE) - SIZE // 2
    rows, columns = np.meshgrid(i, i, indexing="ij")
    flip = columns < 0
    whole[...] = total[np.where(flip, -rows, rows) % tile, np.abs(columns)]
    return whole, pixel_size * tile / SIZE


def _starts(n: int, tile: int) -> list[int]:
    if n <= tile:
        return [0]
    return [int(s) for s in np.linspace(0, n - tile, -(-(n - tile) // (tile // 2)) + 1)]
