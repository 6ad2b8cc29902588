"""Where points of the specimen are seen in raw views, as one linear map a view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.geometry import tilt_project
from pypcore.tilts.alignment import TiltAlignment

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sight:
    """A point (X, Y, Z), px from the specimen's centre, is seen at ``looks[t] @ point + moves[t]``.

    That is (x, y), px as recorded from the centre of raw view t. ``looks`` [T, 2, 3], ``moves`` [T, 2].
    """

    looks: Array
    moves: Array

    @classmethod
    def of(cls, alignment: TiltAlignment) -> "Sight":
        """Return that of an alignment, its local shifts left aside."""
        back = np.linalg.inv(alignment.matrices)
        across = np.stack(
            [tilt_project(np.eye(3), float(angle), alignment.x_tilt).T for angle in alignment.specimen_angles]
        )
        return cls(back @ across, -(back @ alignment.shifts[:, :, None])[:, :, 0])

    def seen(self, places: Array) -> Array:
        """Return where ``places`` [J, 3] are seen: [T, J, 2]."""
        return np.einsum("tak,jk->tja", self.looks, places) + self.moves[:, None]

    def moved(self, shifts: Array) -> "Sight":
        """Return the same with every raw view's content ``shifts`` [T, 2] px further."""
        return Sight(self.looks, self.moves + shifts)

    def line(self, view: int, point: Array, heights: Array) -> Array:
        """Return the places [n, 3] at ``heights`` [n] (Z) that are seen at ``point`` (x, y) in one view."""
        look = self.looks[view]
        rest = point - self.moves[view] - heights[:, None] * look[:, 2]
        return np.column_stack([np.linalg.solve(look[:, :2], rest.T).T, heights])

    def locate(self, points: Array, weights: Array, prior: float) -> Array:
        """Return the places [J, 3] that fit ``points`` [T, J, 2] best, each weighed by ``weights`` [T, J].

        ``prior``: standard deviation of Z around 0, px, which decides where too few views do; weights are one over
        a variance, px^-2.
        """
        rest = np.where(weights[..., None] > 0, points - self.moves[:, None], 0.0)
        normal = np.einsum("tj,tak,tal->jkl", weights, self.looks, self.looks)
        normal += np.diag([1e-12, 1e-12, prior**-2])
        right = np.einsum("tj,tak,tja->jk", weights, self.looks, rest)
        return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])
