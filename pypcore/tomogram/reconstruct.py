"""An aligned tilt series in, a tomogram out; and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pypcore import kernels
from pypcore.geometry import tilt_centre
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.settings import TomogramSettings

Array = NDArray[np.float64]
Volume = NDArray[np.float32]


@dataclass(frozen=True)
class Tomogram:
    """Densities [z, y, x], so scaled that their projections have the contrast of the tilts; halves where asked for."""

    volume: Volume
    half1: Volume | None
    half2: Volume | None
    voxel_size: float  # Å


def reconstruct(
    tilts: Sequence[NDArray[np.generic]] | NDArray[np.generic],
    alignment: TiltAlignment,
    settings: TomogramSettings,
    *,
    threads: int = 1,
    memory: int = 4 * 2**30,
) -> Tomogram:
    """Reconstruct from raw ``tilts`` [T, y, x], which are read one at a time."""
    chosen = np.flatnonzero(alignment.used)
    part = alignment.select(chosen)
    aligned = np.stack([_aligned(np.asarray(tilts[i]), part, n, settings) for n, i in enumerate(chosen)])
    lines = tilt_lines(part, settings, aligned.shape[2])
    weighted = _ramp(aligned, part)
    images = np.ascontiguousarray(weighted.transpose(0, 2, 1), np.float32)
    z, y, x = settings.shape
    volume = np.zeros((z, x, y), np.float32)
    kernels.get("backproject", "reference")(images, lines, volume)
    voxel = alignment.pixel_size * settings.binning
    return Tomogram(np.ascontiguousarray(volume.transpose(0, 2, 1)), None, None, voxel)


def project(volume: Volume, alignment: TiltAlignment, settings: TomogramSettings, width: int) -> Volume:
    """Project ``volume`` [z, y, x] into aligned images [T, y, width] of all tilts: the adjoint of back-projection."""
    images = np.zeros((len(alignment), width, volume.shape[1]), np.float32)
    tile = np.ascontiguousarray(volume.transpose(0, 2, 1))
    kernels.get("project", "reference")(tile, tilt_lines(alignment, settings, width), images)
    return np.ascontiguousarray(images.transpose(0, 2, 1))


def tilt_lines(alignment: TiltAlignment, settings: TomogramSettings, width: int) -> Array:
    """Return (a, b, c) [T, 3] of u = a x + b z + c in indices, for aligned images of ``width`` pixels."""
    t = np.deg2rad(alignment.specimen_angles)
    z, _, x = tilt_centre(settings.shape)
    a, b = np.cos(t), np.sin(t)
    c = tilt_centre(width) - a * (x - settings.offset[2]) - b * (z - settings.offset[0])
    return np.stack([a, b, c], 1)


def _aligned(raw: NDArray[np.generic], alignment: TiltAlignment, tilt: int, settings: TomogramSettings) -> Array:
    width = round(alignment.aligned_shape[1] / settings.binning)
    height = settings.shape[1]
    image = raw.astype(float)
    image -= image.mean()
    if settings.binning > 1:
        image = ndimage.gaussian_filter(image, settings.binning / 2)
    y, x = np.indices((height, width), float)
    full = alignment.aligned_shape
    points = np.stack(
        [
            (x - tilt_centre(width)) * settings.binning + tilt_centre(full[1]),
            (y - tilt_centre(height) + settings.offset[1]) * settings.binning + tilt_centre(full[0]),
        ],
        -1,
    )
    where = alignment.to_raw(tilt, points)
    return np.asarray(ndimage.map_coordinates(image, [where[..., 1], where[..., 0]], order=3))


def _ramp(aligned: Array, alignment: TiltAlignment) -> Array:
    width = aligned.shape[2]
    order = np.argsort(alignment.specimen_angles)
    step = np.empty(len(alignment))
    step[order] = np.gradient(np.deg2rad(alignment.specimen_angles[order])) if len(order) > 1 else np.pi
    spectrum = np.fft.rfft(aligned, 2 * width, axis=2) * np.fft.rfftfreq(2 * width) * step[:, None, None]
    return np.fft.irfft(spectrum, axis=2)[:, :, :width]
