"""Masks: where in a map the particle is, 1 inside, 0 outside, a soft cosine edge between."""

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pypcore.errors import InputError
from pypcore.postprocess.transform import Map, inverse, transform

LOWPASS = 15.0  # Å: to see the particle's outline, not its noise
EDGE = 6.0  # voxels, of every soft edge; less in a small box
GROWN = 3.0  # voxels that an automatic mask is wider than what was seen; less in a small box
SMALL = 96  # voxels along an edge: what a small box is
BLOCK = 64  # voxels along an edge of what distances are found in at a time
DEVIATIONS = 4.0  # of the solvent's density from its mean: more is the particle


def sphere(box: int, radius: float, *, edge: float = EDGE) -> Map:
    """Return a sphere of ``radius`` voxels about the middle, its edge outside of it."""
    ramp = (np.arange(box) - box // 2) ** 2
    return np.stack([soft(np.sqrt(z + ramp[:, None] + ramp) - radius, edge) for z in ramp])


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
    far = _outside(box)
    solvent = smooth[far]
    middle = float(np.median(solvent))
    spread = 1.4826 * float(np.median(np.abs(solvent - middle))) or float(np.std(solvent))
    # Noise outside the corner sphere is damped by nothing, so the same level holds inside; ringing of a strong
    # particle is not noise, and a tenth of its highest density keeps that out.
    found = max(middle + DEVIATIONS * spread, 0.1 * float(np.max(smooth)))
    stands_out = (smooth > (found if threshold is None else threshold)) & ~far
    del smooth, far, solvent
    kept = _large_parts(stands_out)
    if kept is None:
        return sphere(box, 0.45 * box - edge, edge=edge)
    grown = GROWN * scale
    mask = _distance(scipy.ndimage.binary_fill_holes(kept), grown + max(edge, 0))
    for plane in mask:
        plane[:] = soft(plane - grown, edge)
    return mask


def _large_parts(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Return what is seen without specks, less than a twentieth of the largest part; None where nothing is seen."""
    part, count = scipy.ndimage.label(seen)
    if not count:
        return None
    sizes = np.zeros(count + 1, np.int64)
    for plane in part:
        sizes += np.bincount(plane.reshape(-1), minlength=count + 1)
    large = sizes >= 0.05 * sizes[1:].max()
    large[0] = False
    return np.stack([large[plane] for plane in part])


def _outside(box: int) -> npt.NDArray[np.bool_]:
    """Say which voxels lie outside of the largest sphere."""
    square = (np.arange(box) - box // 2) ** 2
    return np.stack([z + square[:, None] + square > (box / 2) ** 2 for z in square])


def _distance(inside: npt.NDArray[np.bool_], reach: float) -> Map:
    """Return how far each voxel is from the nearest that is ``inside``, true up to ``reach`` and more beyond.

    In blocks, each with what is in reach around it: SciPy's transform takes sixty bytes a voxel.
    """
    halo = int(np.ceil(reach)) + 1
    result = np.full(inside.shape, halo, np.float32)
    begins = [range(0, side, BLOCK) for side in inside.shape]
    for corner in product(*begins):
        own = tuple(slice(begin, begin + BLOCK) for begin in corner)
        around = tuple(slice(max(begin - halo, 0), begin + BLOCK + halo) for begin in corner)
        if not inside[around].any():
            continue
        distance = np.asarray(scipy.ndimage.distance_transform_edt(~inside[around]))
        within = tuple(
            slice(begin - wide.start, begin - wide.start + BLOCK) for begin, wide in zip(corner, around, strict=True)
        )
        result[own] = np.minimum(distance[within], halo)
    return result


def gaussian_lowpass(volume: Map, pixel_size: float, resolution: float) -> Map:
    """Return a map with a Gaussian on its amplitudes that is 1/e at ``resolution`` Å."""
    spectrum = transform(volume)
    square = np.fft.fftfreq(volume.shape[0], pixel_size) ** 2
    x = np.fft.rfftfreq(volume.shape[0], pixel_size) ** 2
    for plane, z in zip(spectrum, square, strict=True):
        plane *= np.exp(-(z + square[:, None] + x) * resolution**2).astype(np.float32)
    return inverse(spectrum)


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
