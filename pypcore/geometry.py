"""Axes, angles, signs and Fourier origins, each written once.

Single particles
----------------
Arrays are [z, y, x] and [y, x]; the origin of a box of N is voxel N // 2 on each axis. A pose is RELION's (rot, tilt,
psi) in degrees: R = Rz(psi) Ry(tilt) Rz(rot), each rotating the axes, x_image = R x_map, and the image is the
sum over z_image. The last row of R is therefore the direction of view in the map. In Fourier space the image's
(kx, ky) lies at R^T (kx, ky, 0) in the map: vectors are (x, y, z), indices [z, y, x].

A shift (y, x), Å, brings the particle back to the middle: it is at pixel N // 2 - shift / pixel_size. It is RELION's
``rlnOriginYAngst``, ``rlnOriginXAngst``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# --- single particles ---


def rotation_matrices(rot: ArrayLike, tilt: ArrayLike, psi: ArrayLike) -> NDArray[np.float64]:
    """Return R [..., 3, 3] of poses in degrees: x_image = R @ x_map, vectors (x, y, z)."""
    (ca, sa), (cb, sb), (cg, sg) = (
        (np.cos(a), np.sin(a)) for a in (np.deg2rad(rot), np.deg2rad(tilt), np.deg2rad(psi))
    )
    rows = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    return np.moveaxis(np.array(rows, np.float64), (0, 1), (-2, -1))


def euler_angles(rotations: ArrayLike) -> NDArray[np.float64]:
    """Return (rot, tilt, psi) [..., 3] in degrees of R [..., 3, 3]; rot is 0 where only rot + psi is defined."""
    r = np.asarray(rotations, np.float64)
    sine = np.hypot(r[..., 2, 0], r[..., 2, 1])
    tilt = np.arctan2(sine, r[..., 2, 2])
    pole = sine < 1e-9
    rot = np.where(pole, 0.0, np.arctan2(r[..., 2, 1], r[..., 2, 0]))
    # At a pole R is Rz(psi) up to the sign of its first column, which the tilt of 180 degrees turns.
    at_pole = np.arctan2(r[..., 0, 1], np.where(r[..., 2, 2] > 0, 1, -1) * r[..., 0, 0])
    psi = np.where(pole, at_pole, np.arctan2(r[..., 1, 2], -r[..., 0, 2]))
    return np.rad2deg(np.stack([rot, tilt, psi], -1))


def electron_wavelength(voltage: float) -> float:
    """Return the relativistic wavelength in Å at ``voltage`` kV (0.0197 at 300 kV); RELION's constants."""
    volts = voltage * 1e3
    return 12.2643247 / float(np.sqrt(volts * (1 + 0.978466e-6 * volts)))
