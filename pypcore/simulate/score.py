"""How close a correction came to the truth: the motion found, and the picture made.

Motion is scored with its free gauge taken out. A program can't know a warp of the specimen that is the same
in every frame, and such a warp blurs nothing; so the error e_t(x) is taken relative to its mean over the
frames at each point. The picture is compared with the noise-free specimen, in tiles that are each aligned to
it by one shift, for the same reason.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore.simulate.motion import KnownMotion
from pypcore.simulate.movie import Exposure
from pypcore.simulate.physics import critical_exposure

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_POINTS = 16
"""Motion is compared at the centres of 16 x 16 equal parts of the frame."""

_EDGE = 32
"""Pixels at the rim of the picture that are not scored: what moved in from outside is in some frames only."""


@dataclass(frozen=True)
class MotionScore:
    """Errors of a motion field, rms over field and frames of the length of the 2-D error, in Å.

    ``static``: relative to the time mean at each point: what blurs the sum. ``weighted``: the same with mean
    and rms weighted by what each frame still carries at 4 Å. ``whole``: error of the mean over the field.
    ``truth``: what ``static`` would be with no correction.
    """

    static: float
    weighted: float
    whole: float
    truth: float
    per_frame: list[float]  # as ``static``, for each frame

    @classmethod
    def of(cls, found: Array, motion: KnownMotion, exposure: Exposure) -> "MotionScore":
        """Score ``found``, displacements [frame, (y, x), 16, 16] in px at ``scoring_points``."""
        true = motion.on_grid(*scoring_points(motion.shape))
        if found.shape != true.shape:
            raise ValueError(f"motion of shape {found.shape}, the truth has {true.shape}")
        doses = exposure.pre_dose + (np.arange(len(true)) + 0.5) * exposure.dose
        weights = np.exp(-doses / critical_exposure(np.array(0.25), exposure.voltage))
        even = np.ones_like(weights)
        error = found - true
        static = error - error.mean(0)
        pixel = exposure.pixel_size
        return cls(
            static=_spread(error, even) * pixel,
            weighted=_spread(error, weights) * pixel,
            whole=_spread(error.mean((2, 3), keepdims=True), even) * pixel,
            truth=_spread(true, even) * pixel,
            per_frame=[float(v) * pixel for v in np.sqrt((static**2).sum(1).mean((1, 2)))],
        )


def scoring_points(shape: tuple[int, int]) -> tuple[Array, Array]:
    """The y and x (px) at which motion over a frame of ``shape`` is compared."""
    ys, xs = ((np.arange(_POINTS) + 0.5) * n / _POINTS - 0.5 for n in shape)
    return ys, xs


def whole_frame_error(found: Array, true: Array) -> float:
    """Rms over frames, px, of the 2-D error of displacements [frame, (y, x)], its mean taken out."""
    return _spread((found - true)[:, :, None, None], np.ones(len(true)))


@dataclass(frozen=True)
class Band:
    """A band of resolution, Å: FRC to the truth, and SNR as a share of the oracle's.

    The share is None without an oracle, and where the oracle's FRC is below 10 times that of noise: no divisor.
    """

    low: float
    high: float
    frc: float
    snr_rel: float | None


@dataclass(frozen=True)
class ImageScore:
    """How much of the noise-free specimen a picture shows, band by band."""

    bands: list[Band]

    @classmethod
    def of(cls, picture: Image, ideal: Image, pixel_size: float, oracle: Image | None = None) -> "ImageScore":
        """Score ``picture`` [y, x] against the noise-free ``ideal``, relative to the ``oracle``'s picture."""
        sums, frequencies = _tile_sums(picture, ideal)
        best = None if oracle is None else _tile_sums(oracle, ideal)[0]
        edges = [40.0, 12.0, 7.0, 5.0, 4.0, 3.0, 2.1]
        bands = []
        for low, high in pairwise(edges):
            high = max(high, 2 * pixel_size)
            inside = (frequencies >= pixel_size / low) & (frequencies < pixel_size / high)
            if low <= 2 * pixel_size or not inside.any():
                continue
            frc = _pooled_frc(sums[:, inside])
            most = 0.0 if best is None else _pooled_frc(best[:, inside])
            coefficients = np.pi / 2 * ((pixel_size / high) ** 2 - (pixel_size / low) ** 2) * ideal.size
            shown = most >= 10 / np.sqrt(2 * coefficients)
            bands.append(Band(low, high, frc, _snr(frc) / _snr(most) if shown else None))
        return cls(bands)


def local_shift(picture: Image, ideal: Image, reach: int = 12) -> tuple[float, float]:
    """Displacement (y, x) in px of ``picture`` against ``ideal``: ideal(x) = picture(x + shift)."""
    found, true = scipy.fft.rfft2(_detrended(picture)), scipy.fft.rfft2(_detrended(ideal))
    return _shift(found, true, ideal.shape, reach)


def _spread(error: Array, weights: Array) -> float:
    """Weighted rms over frames and field of the length of ``error``, its weighted time mean taken out."""
    weights = weights / weights.sum()
    rest = error - np.tensordot(weights, error, 1)
    return float(np.sqrt(weights @ (rest**2).sum(1).mean((1, 2))))


def _snr(frc: float) -> float:
    return frc * abs(frc) / (1 - frc**2)


def _pooled_frc(sums: Array) -> float:
    """One FRC for a band: sums are pooled before the quotient, so zeros of the CTF do no harm."""
    cross, picture, ideal = sums.sum(1)
    return float(cross / np.sqrt(picture * ideal))


def _tile_sums(picture: Image, ideal: Image) -> tuple[Array, Array]:
    """Ring sums [(cross, |picture|², |ideal|²), ring] over half-overlapping tiles; the rings' cycles/px."""
    if picture.shape != ideal.shape:
        raise ValueError(f"picture {picture.shape} and truth {ideal.shape} differ in shape")
    height, width = ideal.shape
    tile = min(512, (min(height, width) - 2 * _EDGE) // 2 * 2)
    rings = tile // 2
    ky, kx = np.fft.fftfreq(tile)[:, None], np.fft.rfftfreq(tile)[None]
    ring = np.minimum((np.hypot(ky, kx) * tile + 0.5).astype(np.int64), rings + 1).ravel()
    both_halves = np.where((kx > 0) & (kx < 0.5), 2.0, 1.0) * np.ones_like(ky)
    taper = np.hanning(tile + 2)[1:-1]
    window = np.sqrt(np.outer(taper, taper)).astype(np.float32)
    total = np.zeros((3, rings + 1))
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            true = scipy.fft.rfft2(_detrended(ideal[top : top + tile, left : left + tile]) * window)
            y, x, rest = top, left, (0.0, 0.0)
            for _ in range(2):  # the second time cut at the whole pixels of the shift found, if there are any
                found = scipy.fft.rfft2(_detrended(picture[y : y + tile, x : x + tile]) * window)
                rest = _shift(found, true, (tile, tile))
                moved = _clip(y + round(rest[0]), height - tile), _clip(x + round(rest[1]), width - tile)
                if moved == (y, x):
                    break
                y, x = moved
            found = found * np.exp(2j * np.pi * (ky * rest[0] + kx * rest[1]))
            products = (np.real(found * np.conj(true)), np.abs(found) ** 2, np.abs(true) ** 2)
            for row, product in zip(total, products, strict=True):
                row += np.bincount(ring, (product * both_halves).ravel(), rings + 2)[: rings + 1]
    return total, np.arange(rings + 1) / tile


def _starts(length: int, tile: int) -> list[int]:
    count = max(1, (length - 2 * _EDGE) // (tile // 2) - 1)
    return [int(v) for v in np.linspace(_EDGE, length - _EDGE - tile, count)]


def _clip(value: int, most: int) -> int:
    return min(max(value, 0), most)


def _detrended(image: Image) -> Image:
    return image - image.mean()


def _shift(found: NDArray, true: NDArray, shape: tuple[int, int], reach: int = 12) -> tuple[float, float]:
    """The shift s, at most ``reach`` px, for which found * exp(2 pi i k s) fits ``true`` best."""
    height, width = shape
    ky, kx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    k = np.hypot(ky, kx)
    weight = np.exp(-2 * (k / 0.25) ** 2) * (k > 2 / max(shape))
    size = np.abs(true)
    cross = found * np.conj(true) * weight / np.maximum(size, 1e-3 * size.mean())
    near = np.roll(scipy.fft.irfft2(cross, s=shape), (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    peak = np.unravel_index(np.argmax(near), near.shape)
    shift = np.array(peak, float) - reach
    for _ in range(6):  # Newton's method on the correlation
        turned = cross * np.exp(2j * np.pi * (ky * shift[0] + kx * shift[1]))
        real, imaginary = turned.real, turned.imag
        gradient = -2 * np.pi * np.array([(imaginary * ky).sum(), (imaginary * kx).sum()])
        mixed = (real * ky * kx).sum()
        hessian = [[(real * ky * ky).sum(), mixed], [mixed, (real * kx * kx).sum()]]
        step = np.linalg.solve(-4 * np.pi**2 * np.array(hessian), gradient)
        shift -= np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-4:
            break
    return float(shift[0]), float(shift[1])
