"""Axes, angles, signs and Fourier origins, each written once.

Single particles
----------------
Arrays are [z, y, x] and [y, x]; the origin of a box of N is voxel N // 2 on each axis. A pose is RELION's (rot, tilt,
psi) in degrees: R = Rz(psi) Ry(tilt) Rz(rot), each rotating the axes, x_image = R x_map, and the image is the
sum over z_image. The last row of R is therefore the direction of view in the map. In Fourier space the image's
(kx, ky) lies at R^T (kx, ky, 0) in the map: vectors are (x, y, z), indices [z, y, x].

A shift (y, x), Å, brings the particle back to the middle: it is at pixel N // 2 - shift / pixel_size. It is RELION's
``rlnOriginYAngst``, ``rlnOriginXAngst``.

Tilt series
-----------
IMOD's sense; below, above its functions. Row 0 is the first row of an MRC file; vectors are (x, y[, z]).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

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


# --- Tilt series -----------------------------------------------------------------------------------------------------
#
# IMOD's sense, checked there against its `tilt` program (0.968 correlation; 0.11 with z turned over).
#
# * The centre of an image or volume of n pixels is n / 2 - 0.5, counted from 0: between the middle two if n is even.
#   (AreTomo counts from n / 2: half a pixel away.)
# * Aligned images have the tilt axis along +y. A point (X, Y, Z) of the specimen, from the centre, is seen at
#       u = X cos t + Z sin t,    v = Y
#   in the image of tilt angle t. Its depth along the beam is w = -X sin t + Z cos t (`tilt_depth`).
# * A raw image becomes an aligned one by a row of an .xf file, "A11 A12 A21 A22 DX DY", unbinned pixels:
#       aligned = A (raw - centre of raw) + D + centre of aligned.
#   For a tilt axis at `a` degrees counter-clockwise from +y (x right, y up, as IMOD shows it), A = `tilt_rotation(a)`.
# * An X-axis tilt p turns the specimen about x before it is tilted: Y' = Y cos p - Z sin p, Z' = Y sin p + Z cos p.


def tilt_centre(pixels: ArrayLike) -> Array:
    """Return the index of the centre along axes of so many ``pixels``."""
    return np.asarray(pixels, float) / 2 - 0.5


def tilt_rotation(axis: ArrayLike) -> Array:
    """Return A [..., 2, 2] that turns a tilt axis at ``axis`` degrees (counter-clockwise from +y) onto +y."""
    angle = np.deg2rad(np.asarray(axis, float))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)


def tilt_axis_of(matrices: Array) -> Array:
    """Return the axis angle (degrees, -180 to 180) of A [..., 2, 2]: of the rotation nearest to it."""
    a = np.asarray(matrices, float)
    return np.rad2deg(np.arctan2(a[..., 0, 1] - a[..., 1, 0], a[..., 0, 0] + a[..., 1, 1]))


def tilt_project(points: ArrayLike, angle: float, x_tilt: float = 0.0) -> Array:
    """Return where ``points`` [..., 3] (X, Y, Z) are seen: [..., 2] (u, v) from the aligned image's centre."""
    x, y, z = _tilted_about_x(points, x_tilt)
    t = np.deg2rad(angle)
    return np.stack([x * np.cos(t) + z * np.sin(t), y], -1)


def tilt_depth(points: ArrayLike, angle: float, x_tilt: float = 0.0) -> Array:
    """Return how far ``points`` [..., 3] (X, Y, Z) are along the beam from the centre: w = -X sin t + Z cos t."""
    x, _, z = _tilted_about_x(points, x_tilt)
    t = np.deg2rad(angle)
    return np.asarray(z * np.cos(t) - x * np.sin(t))


def _tilted_about_x(points: ArrayLike, x_tilt: float) -> tuple[Array, Array, Array]:
    x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
    p = np.deg2rad(x_tilt)
    return x, y * np.cos(p) - z * np.sin(p), y * np.sin(p) + z * np.cos(p)


def tilt_then(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return (A, D) of doing ``first`` and then ``second``; each is (A [..., 2, 2], D [..., 2])."""
    (a, d), (b, e) = first, second
    return b @ a, (b @ d[..., None])[..., 0] + e


def tilt_inverse(matrices: Array, shifts: Array) -> tuple[Array, Array]:
    """Return (A, D) of the way back, from aligned to raw; raises LinAlgError where A can't be inverted."""
    back = np.asarray(np.linalg.inv(matrices), np.float64)
    return back, -(back @ shifts[..., None])[..., 0]


# How a volume [z, y, x] lies in a file, by name. Each is (order of axes, which of the file's axes are turned over):
# "xyz"  as here: x fastest, then y, sections along z. What `trimvol -rx` makes of IMOD's, and what RELION, Warp and
#        template matching expect.
# "xzy"  as IMOD's `tilt` writes: sections along y, rows along -z. A proper rotation by 90 degrees about x.
TILT_ORIENTATIONS: dict[str, tuple[tuple[int, int, int], tuple[int, ...]]] = {
    "xyz": ((0, 1, 2), ()),
    "xzy": ((1, 0, 2), (1,)),
}


def tilt_oriented(volume: NDArray[np.generic], orientation: str) -> NDArray[np.generic]:
    """Return ``volume`` [z, y, x] as it lies in a file of ``orientation`` (a view, nothing is copied)."""
    axes, flipped = TILT_ORIENTATIONS[orientation]
    return np.flip(volume.transpose(axes), flipped)


def tilt_unoriented(stored: NDArray[np.generic], orientation: str) -> NDArray[np.generic]:
    """Return the volume [z, y, x] that lies in a file of ``orientation`` as ``stored`` (a view)."""
    axes, flipped = TILT_ORIENTATIONS[orientation]
    return np.flip(stored, flipped).transpose(np.argsort(axes))
