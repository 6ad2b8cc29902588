"""Weights along u, perpendicular to the tilt axis, before back-projection.

With steps in radians, back-projection of the weighted images has the density whose projections they are: its units
are the images' per voxel of path. Every weight ends at ``cutoff`` with a Gaussian ``falloff``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.tomogram.settings import TomogramSettings

Array = NDArray[np.float64]
Image = NDArray[np.float32]


def weights(angles: Array, width: int, settings: TomogramSettings) -> Image:
    """Return the factors [T, k] of the ``rfft`` along u of images padded to ``padded_width(width)``."""
    size = padded_width(width)
    k = np.asarray(np.fft.rfftfreq(size), np.float64)
    steps = angular_steps(angles)[:, None]
    if settings.weighting == "none":
        factor = np.repeat(steps / (steps.sum() * settings.shape[0]), k.size, 1)
    elif settings.weighting == "exact":
        factor = _exact(angles, k, settings.exact_diameter or settings.shape[0])
    else:
        factor = steps * _ramp(size)
        if settings.weighting == "sirt-like":
            factor = factor * _like_sirt(k, float(steps.sum()), settings)
    return np.asarray(factor * _band(k, settings), np.float32)


def padded_width(width: int) -> int:
    """Return to how many pixels rows are padded, so that nothing wraps around."""
    return fft.good_size(2 * width)


def apply(image: Image, factor: Image) -> Image:
    """Return ``image`` [y, u] weighted by ``factor`` [k] along u."""
    size = padded_width(image.shape[1])
    spectrum = fft.rfft(padded(image, size), size)
    spectrum *= factor
    return fft.irfft(spectrum, size)[:, : image.shape[1]]


def apply_to_tile(xp: Any, tile: Any, factor: Any) -> Any:
    """Return a tile [T, u, slices] weighted by ``factor`` [T, k] along u; arrays of ``xp``: NumPy's or CuPy's."""
    width = tile.shape[1]
    size = padded_width(width)
    rows = padded(xp.ascontiguousarray(tile.transpose(0, 2, 1)), size, xp)
    weighted = xp.fft.irfft(xp.fft.rfft(rows) * factor[:, None], size)[..., :width]
    return xp.ascontiguousarray(weighted.transpose(0, 2, 1))


def padded(image: Any, size: int, xp: Any = np) -> Any:
    """Return ``image`` [..., u] with its rows led from their last pixels back to their first ones, ``size`` in all.

    A step to zero at the edges would be sharpened by the ramp and smeared over the tomogram. It isn't better than
    zeros everywhere: the way begins and ends at single pixels, and carries their noise. (Tried: means of 16 pixels for
    the ends, and mirrored rows that fade; both keep less of a truth that goes on beyond the edges.)
    """
    width = image.shape[-1]
    wide = xp.empty((*image.shape[:-1], size), np.float32)
    wide[..., :width] = image
    last, first = image[..., -1:], image[..., :1]
    way = ((xp.arange(size - width) + 0.5) / (size - width)).astype(np.float32)
    wide[..., width:] = last + (first - last) * way
    return wide


def angular_steps(angles: Array) -> Array:
    """Return the share of the circle (radians) that each tilt stands for: half the way to both its neighbours."""
    order = np.argsort(angles, kind="stable")
    steps = np.full(len(angles), np.pi)
    if len(angles) > 1:
        steps[order] = np.gradient(np.deg2rad(angles[order]))
    return steps


def _ramp(size: int) -> Array:
    """Return |k| of the band-limited ramp, sampled in real space: its mean over the padded row is not lost.

    Kak and Slaney 1988, Principles of Computerized Tomographic Imaging, eq. 61.
    """
    n = np.minimum(np.arange(size), size - np.arange(size))
    kernel = np.where(n % 2 == 1, -1 / (np.pi * np.maximum(n, 1)) ** 2, 0.0)
    kernel[0] = 0.25
    return np.fft.rfft(kernel).real


def _exact(angles: Array, k: Array, diameter: float) -> Array:
    """Return the weights that count how many central sections of a body of ``diameter`` overlap at each frequency.

    Harauz and van Heel 1986, Optik 73, 146: a section is 1 / diameter thick, overlap falls linearly.
    """
    apart = np.abs(np.sin(np.deg2rad(angles[:, None] - angles[None, :])))  # (T, T)
    overlap = np.empty((len(angles), k.size))
    for t, row in enumerate(apart):
        overlap[t] = np.maximum(0.0, 1 - diameter * k[None, :] * row[:, None]).sum(0)
    return 1 / (diameter * overlap)


def _like_sirt(k: Array, covered: float, settings: TomogramSettings) -> Array:
    """Return what so many iterations of SIRT leave of the ramp's result at each frequency.

    One iteration takes away 1 - s(k) of what is missing, with s the response of projection and back-projection,
    normalised as SIRT does: by the path through the volume, L, and the number of tilts. T central sections spread over
    ``covered`` radians lie T / (covered k) thick at k, so that s = 1 / (L covered k), 1 at most.
    """
    s = np.minimum(1.0, 1 / (settings.shape[0] * covered * np.maximum(k, 1e-9)))
    return 1 - (1 - s) ** settings.like_iterations


def _band(k: Array, settings: TomogramSettings) -> Array:
    beyond = np.maximum(0.0, k - settings.cutoff)
    if settings.falloff == 0:
        return np.where(beyond > 1e-9, 0.0, 1.0)
    return np.exp(-((beyond / settings.falloff) ** 2) / 2)
