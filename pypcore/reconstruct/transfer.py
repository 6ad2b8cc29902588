"""What the microscope does to images, in the units of the kernels: Fourier pixels and turns.

The aberrations are RELION's (Zivanov et al. 2020, IUCrJ 7, 253): phases are sums of Zernike polynomials in k, 1/Å,
numbered within the even and within the odd ones; the columns of an optics table in that order. An image is
exp(i odd) CTF F, with the even phase subtracted from the CTF's; a beam tilt beta takes 2 pi Cs lambda² k² (k.beta)
off the odd phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, factorial, pi

import numpy as np
from numpy.typing import NDArray

from pypcore.geometry import electron_wavelength, rotation_matrices
from pypcore.kernels.reference import slices as column
from pypcore.reconstruct.particles import Ctf, Ewald, Optics, Poses

_STATES = ("raw", "phase_flipped", "premultiplied")


@dataclass(frozen=True)
class Transfer:
    """The arguments of ``insert_slices`` that describe particles: see ``kernels/reference/slices.py``."""

    matrices: NDArray[np.float64]  # [N, 3, 3]
    shifts: NDArray[np.float64]  # [N, 2]
    ctf: NDArray[np.float64]  # [N, COLUMNS]
    tables: NDArray[np.float32]  # [T, n, n // 2 + 1, 2]
    table_of: NDArray[np.int32]  # [N]


@dataclass(frozen=True)
class Batch:
    """Images to be added to sums, with all that is known of them."""

    images: NDArray[np.float32]  # [N, n, n]
    area: NDArray[np.float32]  # [N]: factors of the images
    half: NDArray[np.int64]  # [N]: 1 or 2; 0 where an image is left out
    transfer: Transfer
    curves: NDArray[np.float32]  # [C, S]
    curve_of: NDArray[np.int32]  # [N]


@dataclass(frozen=True)
class Frame:
    """Sides of images and of the Fourier volume that they meet."""

    image_box: int  # px
    box: int  # voxels of the map
    pixel_size: float  # Å, of the map
    padding: int  # the Fourier volume is that many times finer than the map's transform


def transfer_of(
    frame: Frame,
    poses: Poses,
    ctf: Ctf | None,
    optics: Sequence[Optics],
    group: NDArray[np.integer],
    weight: NDArray[np.floating] | float = 1.0,
    ewald: Ewald | None = None,
) -> Transfer:
    """Describe particles for the kernels. ``group`` [N] numbers each one's place in ``optics``, from 0.

    Without ``ctf`` the images are taken for plain projections.
    """
    count, n = len(poses), frame.image_box
    matrices = np.empty((count, 3, 3))
    shifts = np.empty((count, 2))
    rows = np.zeros((count, column.COLUMNS))
    rows[:, column.WEIGHT] = weight
    tables: list[NDArray[np.float32]] = []
    table_of = np.full(count, -1, np.int32)
    rotations = rotation_matrices(poses.rot, poses.tilt, poses.psi)
    for number, each in enumerate(optics):
        own = np.flatnonzero(group == number)
        if not own.size:
            continue
        side = n * each.pixel_size
        true = np.array(each.magnification, np.float64) / side  # 1/Å of an image's Fourier pixel (x, y)
        cells = frame.padding * frame.box * frame.pixel_size  # a frequency of 1/Å is so many cells from the origin
        back = np.swapaxes(rotations[own], 1, 2) * cells
        matrices[own, :, :2] = back[:, :, :2] @ true
        matrices[own, :, 2] = 0
        # The image's origin is pixel n // 2; the shift moves it there.
        moved = np.stack([poses.shift_y, poses.shift_x], 1)[own]
        shifts[own] = moved / side - (n // 2) / n
        rows[own] = _ctf_rows(rows[own], ctf and ctf[own], each, true)
        if ewald is not None:
            wavelength = electron_wavelength(each.voltage)
            matrices[own, :, 2] = back[:, :, 2] * (-0.5 * ewald.sign * wavelength)
            rows[own, column.OVERLAP] = pi * wavelength * ewald.diameter
        if ctf is not None and (table := _aberrations(each, n, true)) is not None:
            table_of[own] = len(tables)
            tables.append(table)
    shape = (n, n // 2 + 1, 2)
    return Transfer(matrices, shifts, rows, np.stack(tables) if tables else np.zeros((0, *shape), np.float32), table_of)


def _ctf_rows(
    rows: NDArray[np.float64], ctf: Ctf | None, optics: Optics, true: NDArray[np.float64]
) -> NDArray[np.float64]:
    gram = true.T @ true
    rows[:, [column.GXX, column.GXY, column.GYY]] = gram[0, 0], 2 * gram[0, 1], gram[1, 1]
    rows[:, column.SCALE] = 1
    if ctf is None:
        rows[:, column.CONSTANT] = 0.25  # sin of a quarter turn is 1
        return rows
    wavelength = electron_wavelength(optics.voltage)
    u, v, angle = np.asarray(ctf.defocus_u), np.asarray(ctf.defocus_v), np.deg2rad(ctf.angle)
    mean, half = (u + v) / 2, (u - v) / 2
    c, s = half * np.cos(2 * angle), half * np.sin(2 * angle)
    form = np.stack([np.stack([mean + c, s], -1), np.stack([s, mean - c], -1)], -2)
    form = true.T @ form @ true * (wavelength / 2)
    rows[:, column.XX], rows[:, column.XY], rows[:, column.YY] = form[:, 0, 0], 2 * form[:, 0, 1], form[:, 1, 1]
    rows[:, column.QUARTIC] = -optics.cs * 1e7 * wavelength**3 / 4
    rows[:, column.CONSTANT] = (np.deg2rad(ctf.phase_shift) + asin(optics.amplitude_contrast)) / (2 * pi)
    rows[:, column.ENVELOPE] = np.asarray(ctf.b_factor) / 4
    rows[:, column.SCALE] = ctf.scale
    rows[:, column.STATE] = _STATES.index(optics.images)
    return rows


def _aberrations(optics: Optics, n: int, true: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Symmetric and antisymmetric phase [n, n // 2 + 1, 2] in turns; None where there is neither."""
    if not (any(optics.even_zernike) or any(optics.odd_zernike) or any(optics.beam_tilt)):
        return None
    ky = np.arange(n)
    ky = np.where(ky > n // 2, ky - n, ky)
    image = np.stack(np.broadcast_arrays(np.arange(n // 2 + 1)[None], ky[:, None]), -1)
    x, y = np.moveaxis(image @ true.T, -1, 0)
    even, odd = np.zeros(x.shape), np.zeros(x.shape)
    for number, coefficient in enumerate(optics.even_zernike):
        even += coefficient * zernike(*even_order(number), x, y)
    for number, coefficient in enumerate(optics.odd_zernike):
        odd += coefficient * zernike(*odd_order(number), x, y)
    tilt_x, tilt_y = (angle * 1e-3 for angle in optics.beam_tilt)
    wavelength = electron_wavelength(optics.voltage)
    odd -= 2 * pi * optics.cs * 1e7 * wavelength**2 * (x * x + y * y) * (x * tilt_x + y * tilt_y)
    return (np.stack([even, odd], -1) / (2 * pi)).astype(np.float32)


def even_order(number: int) -> tuple[int, int]:
    """Return (m, n) of an even Zernike polynomial, from 0: n = 0, 2, 4, ..., m from -n to n in steps of 2."""
    half = int(np.sqrt(number))
    return 2 * (number - half * half - half), 2 * half


def odd_order(number: int) -> tuple[int, int]:
    """Return (m, n) of an odd Zernike polynomial, from 0: n = 1, 3, 5, ..., m from -n to n in steps of 2."""
    half = int((np.sqrt(1 + 4 * number) - 1) / 2)
    n = 2 * half + 1
    return 2 * (number - half * (half + 1)) - n, n


def zernike(m: int, n: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R(|m|, n) of the radius, times cos(m phi), or sin(|m| phi) for m < 0."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    order, total = abs(m), np.zeros_like(radius)
    for k in range((n - order) // 2 + 1):
        share = factorial(n - k) / (factorial(k) * factorial((n + order) // 2 - k) * factorial((n - order) // 2 - k))
        total += (-1) ** k * share * radius ** (n - 2 * k)
    return total * (np.cos(m * angle) if m >= 0 else np.sin(order * angle))
