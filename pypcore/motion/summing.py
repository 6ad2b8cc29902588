"""Adding up the frames along the motion: every pixel is touched once, in real space.

A frame is sampled at x + d_t(x) with a quintic B-spline and added, times a[t, r], to R sums. The spline's own
low-pass and the frequency weights b_r(k) are applied once, to the R sums, not to the frames: the motion is so
smooth that filtering and warping may be exchanged. sum_r a[t, r] b_r(k) are the dose weights (``weights.low_rank``).
Pixels from beyond the edge are mirrored.

The displacement is taken as constant over cells of 16 x 16 px, at the middle of each, to 1/1024 px: where the local
motion changes by g px per px, that is wrong by 6.5 g px (rms), 0.01 px in a movie whose field spans 6 Å.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.kernels import fft
from pypcore.kernels.reference.warp import CELL, UNIT
from pypcore.motion.field import MotionField
from pypcore.motion.frames import Frames, Raw
from pypcore.motion.magnification import Stretched
from pypcore.motion.parallel import Threads

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Complex = NDArray[np.complex64]

_BAND = 4 * CELL  # rows of the sums that one thread works on at a time
_SAMPLED = 8  # frames whose motion is sampled at a time
_BINS = 4096  # of radial curves, up to the corner of the unbinned spectrum
_MARGIN = 16  # pixels of mirrored padding at least: the inverse of the spline decays as 0.43^n


class Warp:
    """The motion of every frame, in the cells that the kernel wants."""

    def __init__(self, field: MotionField | Stretched) -> None:
        """Sample the field."""
        self.height, self.width = field.shape
        ys, xs = (np.minimum(np.arange(0, n, CELL) + (CELL - 1) / 2, n - 1) for n in field.shape)
        count = field.count
        self._shifts = np.empty((count, 2, ys.size, xs.size), np.int32)  # [T, 2, cells down, cells along]
        for low in range(0, count, _SAMPLED):
            some = field.some(slice(low, low + _SAMPLED))
            cells = some.on_grid(ys, xs)
            if isinstance(some, Stretched):
                cells[:, 0] = some.down_columns(ys, xs, np.rint(cells[:, 1].mean((1, 2))))
            cells *= UNIT
            self._shifts[low : low + _SAMPLED] = np.rint(cells, out=cells)
        self._offsets = np.rint(self._shifts[:, 1].mean((1, 2)) / UNIT).astype(np.int32)

    def cells(self, frame: int) -> tuple[NDArray[np.int32], int]:
        """Return the shifts [2, cells down, cells along] of a frame over the whole image, and its offset."""
        return self._shifts[frame], int(self._offsets[frame])

    def add(self, frames: Frames, factors: Array, threads: Threads) -> Image:
        """Return the sums [R, y, x] of all frames times ``factors`` [T, R], moved back."""
        sums = np.zeros((factors.shape[1], self.height, self.width), np.float32)
        weights = np.ascontiguousarray(factors, np.float32)
        kernel = kernels.get("warp_accumulate", "cython")
        for chunk in frames.chunks():
            numbers, raw = [t for t, _ in chunk], [frame for _, frame in chunk]
            some, offsets = weights[numbers], self._offsets[numbers]

            def band(
                first: int,
                raw: list[Raw] = raw,
                numbers: list[int] = numbers,
                some: Image = some,
                offsets: NDArray[np.int32] = offsets,
            ) -> None:
                last = min(first + _BAND, self.height)
                shifts = self._shifts[numbers, :, first // CELL : -(-last // CELL)]
                kernel(raw, frames.gain, np.ascontiguousarray(shifts), offsets, some, first, sums[:, first:last])

            threads.run(band, range(0, self.height, _BAND))
        return sums


def mirror(index: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Fold indices from beyond 0 ... n - 1 back, the edge pixel doubled (as NumPy's "symmetric")."""
    folded = np.mod(index, 2 * n)
    return np.minimum(folded, 2 * n - 1 - folded)


@dataclass(frozen=True)
class Grid:
    """Sizes for transforms of a whole image and for binning by a ratio of whole numbers, exactly, on both axes."""

    shape: tuple[int, int]  # of the image
    padded: tuple[int, int]  # transformed
    cropped: tuple[int, int]  # transformed back
    binned: tuple[int, int]  # of the result; even when binned
    binning: Fraction

    @classmethod
    def of(cls, shape: tuple[int, int], binning: float) -> "Grid":
        """Lay out; the ratio is the nearest with a denominator up to 100."""
        ratio = Fraction(binning).limit_denominator(100)
        multiple = 2 * ratio.numerator
        padded = tuple(fft.good_size(n + _MARGIN, multiple) for n in shape)
        cropped = tuple(n * ratio.denominator // ratio.numerator for n in padded)
        binned = shape if ratio == 1 else tuple(int(n / ratio) // 2 * 2 for n in shape)
        return cls(shape, (padded[0], padded[1]), (cropped[0], cropped[1]), (binned[0], binned[1]), ratio)


class Combine:
    """Filters sums and bins them: spectra are added up, one transform back ends it."""

    def __init__(self, grid: Grid, pixel_size: float) -> None:
        """Prepare for images on ``grid`` with unbinned pixels of ``pixel_size`` Å."""
        self.grid = grid
        ky, kx = (k.ravel() / float(grid.binning) for k in fft.frequencies(grid.cropped))
        self.unspline = [(1 / quintic_response(k)).astype(np.float32) for k in (ky, kx)]
        self.k = np.linspace(0, np.sqrt(0.5), _BINS) / pixel_size  # 1/Å; where radial curves are given
        self.bin = (np.hypot(ky[:, None], kx) * (np.sqrt(2) * (_BINS - 1)) + 0.5).astype(np.uint16)

    def spectrum(self, image: Image) -> Complex:
        """Transform a sum, mirrored into the padding, and crop it for binning."""
        (height, width), (ny, nx) = self.grid.shape, self.grid.padded
        full = np.empty((ny, nx), np.float32)
        mean = image.mean(dtype=np.float64)  # kept apart: float32 is for what varies
        np.subtract(image, mean, out=full[:height, :width], casting="unsafe")
        full[:height, width:] = full[:height, around(width, nx)]
        full[height:] = full[around(height, ny)]
        half = fft.rfft2(full)
        half[0, 0] += mean * ny * nx
        cy, cx = self.grid.cropped
        if (cy, cx) != (ny, nx):
            half = np.concatenate([half[: cy // 2, : cx // 2 + 1], half[ny - cy // 2 :, : cx // 2 + 1]])
            half[cy // 2] = 0
            half[:, -1] = 0
            half *= np.float32(cy * cx / (ny * nx))  # a binned pixel is the mean, not the sum
        return half

    def empty(self) -> Complex:
        """Return the spectrum of nothing, to add to."""
        height, width = self.grid.cropped
        return np.zeros((height, width // 2 + 1), np.complex64)

    def add(self, spectrum: Complex, curve: Array, total: Complex) -> None:
        """Add the spectrum of a sum to ``total``: times a radial ``curve`` given at ``self.k``, the spline undone."""
        add = kernels.get("add_filtered", "cython")
        add(spectrum, self.bin, curve.astype(np.float32), *self.unspline, total)

    def image(self, total: Complex) -> Image:
        """Transform back and cut off the padding."""
        height, width = self.grid.binned
        return np.ascontiguousarray(fft.irfft2(total, self.grid.cropped)[:height, :width])


def quintic_response(k: Array) -> Array:
    """Return the transform of the sampled quintic B-spline at ``k`` (cycles per pixel)."""
    return (66 + 52 * np.cos(2 * np.pi * k) + 2 * np.cos(4 * np.pi * k)) / 120


def around(n: int, padded: int) -> NDArray[np.intp]:
    """Sources of the padding of a periodic line: the end mirrored at first, the beginning mirrored at last."""
    i = np.arange(n, padded)
    return mirror(np.where(i < (n + padded) // 2, i, i - padded), n)
