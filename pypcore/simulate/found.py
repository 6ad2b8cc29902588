"""The motion that a program reports in its motion STAR, as displacements that can be scored."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from pypcore.formats.relion_motion import MotionStar, read_motion

Array = NDArray[np.float64]


def found_motion(path: Path, ys: Array, xs: Array, *, local: Literal["model", "patches"]) -> Array:
    """Displacement [frame, (y, x), len(ys), len(xs)] in px that the motion STAR ``path`` holds.

    Args:
        path: motion STAR, ours or RELION's.
        ys: rows, px.
        xs: columns, px.
        local: where the local part is taken from: RELION's polynomial ``model``, or the table of ``patches``, which
            must be a full grid (ours is; RELION's holds what it measured, with gaps). A STAR without such a table
            has its model only.
    """
    star = read_motion(path)
    if local == "patches" and star.patches is not None:
        part = _grid(star.patches, star.frames, ys, xs)
    else:
        part = _polynomial(star, ys, xs)
    return star.shifts[:, :, None, None] + part


def _polynomial(star: MotionStar, ys: Array, xs: Array) -> Array:
    """RELION's local model: {1, x, x², y, y², xy} times {z, z², z³}, x and y from -1/2 to 1/2, z = frame."""
    field = np.zeros((star.frames, 2, len(ys), len(xs)))
    if star.local is None:
        return field
    y, x = np.meshgrid(ys / star.height - 0.5, xs / star.width - 0.5, indexing="ij")
    z = np.arange(star.frames) - (star.first - 1)
    space = np.stack([np.ones_like(x), x, x**2, y, y**2, x * y])
    time = np.stack([z, z**2, z**3])
    for axis, coefficients in ((1, star.local[:18]), (0, star.local[18:])):
        field[:, axis] = np.einsum("sp,pt,syx->tyx", coefficients.reshape(6, 3), time, space)
    return field


def _grid(patches: Array, n_frames: int, ys: Array, xs: Array) -> Array:
    """Cubic spline through a table of patches [n, (frame, y, x, displacement y, displacement x)]."""
    frames, rows, columns = (np.unique(patches[:, n]) for n in range(3))
    table = patches[np.lexsort(patches[:, 2::-1].T)]
    shape = (len(frames), len(rows), len(columns))
    if len(table) != np.prod(shape) or len(frames) != n_frames:
        raise ValueError(f"{len(table)} patches are no full grid of {n_frames} frames and {shape[1:]} points")
    values = table[:, 3:].reshape(*shape, 2)
    order = {"kx": min(3, len(rows) - 1), "ky": min(3, len(columns) - 1)}
    return np.array(
        [[RectBivariateSpline(rows, columns, plane[..., n], **order)(ys, xs) for n in (0, 1)] for plane in values]
    )
