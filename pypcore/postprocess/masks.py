"""Masks: where in a map the particle is, 1 inside, 0 outside, a soft cosine edge between."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from pypcore.errors import InputError

Map = npt.NDArray[np.float32]

LOWPASS = 15.0  # Å: to see the particle's outline, not its noise
EDGE = 6.0  # voxels, of every soft edge; less in a small box
GROWN = 3.0  # voxels that an automatic mask is wider than what was seen; less in a small box
SMALL = 96  # voxels along an edge: what a small box is
DEVIATIONS = 4.0  # of the solvent's density from its mean: more is the particle


def sphere(box: int, radius: float, *, edge: float = EDGE) -> Map:
    """Return a sphere of ``radius`` voxels about the middle, its edge outside of it."""
    ramp = (np.arange(box) - box // 2) ** 2
    distance = np.sqrt(ramp[:, None, None] + ramp[None, :, None] + ramp)
    return soft(distance - radius, edge)


def soft(outside: npt.NDArray[np.floating], edge: float) -> Map:
    """Return 1 where ``outside`` (voxels from the border, negative inside) is below 0, falling to 0 over ``edge``."""
    if edge <= 0:
        return np.asarray(outside <= 0, np.float32)
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(outside / edge, 0, 1))).astype(np.float32)


def automatic(
    volume: Map,
    pixel_size: float,
    *,
    lowpass: float = LOWPASS,
    edge: float | None = None,
    threshold: float | None = None,
) -> Map:
    """Return a mask around the particle in a map: its lowpassed density where that stands out of the solvent's.

    ``threshold`` is the density from which on it does; None: found from the solvent's spread.


    The solvent is what lies outside of the largest sphere. Specks are left out, holes are filled, the border is moved
    outwards by ``GROWN`` voxels. A sphere of 0.45 box where nothing stands out.
    """
    box = volume.shape[0]
    scale = min(1.0, box / SMALL)
    edge = EDGE * scale if edge is None else edge
    smooth = gaussian_lowpass(volume, pixel_size, max(lowpass, 4 * pixel_size))
    far = sphere(box, box / 2, edge=0) == 0
    solvent = smooth[far]
    spread = 1.4826 * float(np.median(np.abs(solvent - np.median(solvent)))) or float(np.std(solvent))
    # Noise outside the corner sphere is damped by nothing, so the same level holds inside; ringing of a strong
    # particle is not noise, and a tenth of its highest density keeps that out.
    found = max(float(np.median(solvent)) + DEVIATIONS * spread, 0.1 * float(np.max(smooth)))
    level = found if threshold is None else threshold
    seen, count = scipy.ndimage.label((smooth > level) & ~far)
    if not count:
        return sphere(box, 0.45 * box - edge, edge=edge)
    sizes = np.bincount(seen.reshape(-1))[1:]
    kept = np.isin(seen, np.flatnonzero(sizes >= 0.05 * sizes.max()) + 1)
    distance = scipy.ndimage.distance_transform_edt(~scipy.ndimage.binary_fill_holes(kept))
    return soft(np.asarray(distance) - GROWN * scale, edge)


def gaussian_lowpass(volume: Map, pixel_size: float, resolution: float) -> Map:
    """Return a map with a Gaussian on its amplitudes that is 1/e at ``resolution`` Å."""
    box = volume.shape[0]
    k2 = np.fft.fftfreq(box, pixel_size) ** 2
    squared = k2[:, None, None] + k2[None, :, None] + np.fft.rfftfreq(box, pixel_size) ** 2
    spectrum = scipy.fft.rfftn(volume) * np.exp(-squared * resolution**2)
    return np.asarray(scipy.fft.irfftn(spectrum, volume.shape), np.float32)


def read_mask(path: Path, shape: tuple[int, ...]) -> Map:
    """Read a mask from an MRC file; InputError where it is not of ``shape`` or not from 0 to 1."""
    from pypcore.formats.mrc import read_mrc

    mask = np.asarray(read_mrc(path)[0], np.float32)
    if mask.shape != shape:
        raise InputError(f"{path}: the mask has {_by(mask.shape)} voxels, the map {_by(shape)}; they must be the same")
    low, high = float(mask.min()), float(mask.max())
    if low < -1e-3 or high > 1 + 1e-3 or high <= 0:
        raise InputError(f"{path}: values from {low:g} to {high:g}; a mask goes from 0 to 1")
    return np.clip(mask, 0, 1)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in reversed(shape))
