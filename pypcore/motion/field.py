"""The motion found in one movie."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MotionField:
    """Displacement of the specimen, in unbinned pixels, components (y, x), 0 everywhere in the first frame used.

    The feature at x in the corrected micrograph is at x + d_t(x) in frame t (MRC row order);
    d_t(x) = ``whole[t]`` + a cubic spline through ``local[t]``, whose mean over the field is 0.
    """

    whole: Array  # [T, 2], relative to the first frame used
    local: Array  # [T, 2, gy, gx], likewise; gy = gx = 1 and 0 where there is none
    grid_y: Array  # [gy] unbinned px
    grid_x: Array  # [gx]
    shape: tuple[int, int]  # of the frames (height, width)

    def at(self, frame: int, ys: ArrayLike, xs: ArrayLike) -> Array:
        """Return the displacement [2, ...] in ``frame`` (from 0) at the points ``ys``, ``xs``, broadcast together."""
        y, x = np.broadcast_arrays(np.asarray(ys, float), np.asarray(xs, float))
        by, bx = _spline(self.grid_y, y.ravel()), _spline(self.grid_x, x.ravel())
        local = np.einsum("na,cab,nb->cn", by, self.local[frame], bx, optimize=True)
        return (self.whole[frame][:, None] + local).reshape(2, *y.shape)

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.whole)

    def some(self, frames: slice) -> "MotionField":
        """Return the motion of some frames, still relative to the first one used."""
        return replace(self, whole=self.whole[frames], local=self.local[frames])

    def on_grid(self, ys: ArrayLike, xs: ArrayLike) -> Array:
        """Return the displacement [T, 2, len(ys), len(xs)] in all frames at the nodes of a grid."""
        by, bx = _spline(self.grid_y, np.asarray(ys, float)), _spline(self.grid_x, np.asarray(xs, float))
        return self.whole[:, :, None, None] + by @ self.local @ bx.T

    def scattered(self, ys: Array, xs: Array) -> Array:
        """Return the displacement [T, 2, ...] in all frames at the points ``ys``, ``xs`` of one shape."""
        by, bx = _spline(self.grid_y, ys.ravel()), _spline(self.grid_x, xs.ravel())
        local = np.einsum("na,tcab,nb->tcn", by, self.local, bx, optimize=True)
        return (self.whole[:, :, None] + local).reshape(len(self.whole), 2, *ys.shape)

    def relion_model(self) -> tuple[Array, Array]:
        """Return the nearest motion in RELION's form: whole-frame part [T, 2] (y, x) and 36 coefficients.

        The local part is a sum of {1, x, x^2, y, y^2, xy} times {z, z^2, z^3}, z = frames after the first one used,
        x = px / width - 1/2, y likewise: 18 coefficients of the x component, then 18 of y, z fastest, in
        unbinned pixels of DISPLACEMENT (RELION's own shifts have the other sign). Least squares over the field's
        grid, leaving out the mean over time at each point, which blurs nothing; what the model can't say of the
        mean over the field goes to the whole-frame part.
        """
        n_frames = len(self.whole)
        y, x = self.grid_y / self.shape[0] - 0.5, self.grid_x / self.shape[1] - 0.5
        yy, xx = (a.ravel() for a in np.meshgrid(y, x, indexing="ij"))
        space = np.stack([np.ones_like(xx), xx, xx**2, yy, yy**2, xx * yy], 1)  # [N, 6]
        scale = np.arange(n_frames) / max(n_frames - 1, 1)
        time = np.stack([scale, scale**2, scale**3], 1)  # [T, 3]
        # Separable least squares: space and time may be inverted one after the other.
        moving = self.local - self.local.mean(0)
        in_time = np.linalg.pinv(time - time.mean(0)) @ moving.reshape(n_frames, -1)  # [3, 2 N]
        found = np.einsum("zcn,sn->csz", in_time.reshape(3, 2, -1), np.linalg.pinv(space))  # [2, 6, 3]
        model = np.einsum("tz,csz,ns->tcn", time, found, space)
        rest = (self.local.reshape(n_frames, 2, -1) - model).mean(2)
        whole = self.whole + rest - rest[0]
        found /= float(max(n_frames - 1, 1)) ** np.arange(1, 4)
        return whole, np.concatenate([found[1].ravel(), found[0].ravel()])


def _spline(grid: Array, points: Array) -> Array:
    """Return the matrix [N, len(grid)] that takes values on an even ``grid`` to their cubic spline at ``points``.

    Not-a-knot ends; beyond the ends it goes on as it was; a polynomial through less than four nodes. Written out: to
    import SciPy's interpolation takes a worker longer than all its motion fields.
    """
    n = len(grid)
    u = (points - grid[0]) / ((grid[-1] - grid[0]) / (n - 1) if n > 1 else 1.0)
    if n < 4:
        powers: Array = np.vander(u, n) @ np.linalg.inv(np.vander(np.arange(n, dtype=float), n))
        return powers
    bend = np.eye(n, k=-1) + 4 * np.eye(n) + np.eye(n, k=1)  # of the second derivatives
    bend[[0, -1]] = 0
    bend[0, :3] = bend[-1, -3:] = 1, -2, 1
    second = np.eye(n, k=-1) - 2 * np.eye(n) + np.eye(n, k=1)
    second[[0, -1]] = 0
    curved = np.linalg.solve(bend, second)
    left = np.clip(u.astype(int), 0, n - 2)
    b = u - left
    a = 1 - b
    matrix: Array = (a**3 - a)[:, None] * curved[left] + (b**3 - b)[:, None] * curved[left + 1]
    matrix[np.arange(u.size), left] += a
    matrix[np.arange(u.size), left + 1] += b
    return matrix
