"""The power spectrum from which the contrast transfer function may be fitted."""

from typing import Any

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


class PowerSpectrum:
    """The mean amplitude |F| [512, 512] of sums, origin at [256, 256].

    In the spirit of RELION's rlnCtfPowerSpectrum, amplitudes of group sums are averaged; here each from
    half-overlapping, windowed tiles (Welch 1967), whose side fixes the sampling: frequency (i - 256) / (512 p)
    with p = ``pixel_size``. A tile larger than the image is zero-padded.
    """

    def __init__(self, shape: tuple[int, int], pixel_size: float) -> None:
        """``shape`` (y, x) of the sums, and their pixel size in Å."""
        self._shape, self._tile = shape, tile_size(shape, pixel_size)
        self.pixel_size = pixel_size * self._tile / SIZE
        hann = np.sin(np.pi * (np.arange(self._tile) + 0.5) / self._tile).astype(np.float32) ** 2
        self._window = np.outer(hann, hann) / np.float32((hann**2).sum())
        self._total, self._count = np.zeros((self._tile, self._tile // 2 + 1)), 0

    def add(self, image: Any, xp: Any = np) -> None:
        """Count a sum in, an array of ``xp``: NumPy, or CuPy."""
        tile, count = self._tile, 0
        window, total = xp.asarray(self._window), xp.zeros(self._total.shape)
        transform = fft.rfft2 if xp is np else xp.fft.rfft2
        for y in _starts(self._shape[0], tile):
            for x in _starts(self._shape[1], tile):
                cut = image[y : y + tile, x : x + tile]
                piece = xp.zeros((tile, tile), np.float32)
                piece[: cut.shape[0], : cut.shape[1]] = cut - cut.mean()
                total += xp.abs(transform(piece * window))
                count += 1
        self._total += total if xp is np else total.get()
        self._count += count

    def image(self) -> Image:
        """Return the mean of what was counted in."""
        tile = self._tile
        ky, kx = fft.frequencies((tile, tile))
        mean = self._total / (self._count * quintic_response(ky) * quintic_response(kx))
        i = np.arange(SIZE) - SIZE // 2
        rows, columns = np.meshgrid(i, i, indexing="ij")
        flip = columns < 0
        return mean[np.where(flip, -rows, rows) % tile, np.abs(columns)].astype(np.float32)


def _starts(n: int, tile: int) -> list[int]:
    if n <= tile:
        return [0]
    return [int(s) for s in np.linspace(0, n - tile, -(-(n - tile) // (tile // 2)) + 1)]
