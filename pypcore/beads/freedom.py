"""What may vary from view to view, and how many numbers that takes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PER_VIEW = 5  # numbers of a view: shift x, y, axis, scale, tilt, in this order
_DEGREE = 3  # of the polynomial in the tilt that "smooth" is

Vary = Literal["fixed", "one", "smooth", "each"]


@dataclass(frozen=True)
class Freedom:
    """How the axis, the tilts and the magnification of the views may vary; shifts always do.

    "fixed": as given; "one": the same change in all views; "smooth": a polynomial of third degree in the tilt;
    "each": every view by itself. A change of all tilts, or of all magnifications, is never made: points don't tell it.
    """

    axis: Vary = "one"
    tilts: Vary = "fixed"
    scale: Vary = "fixed"

    def basis(self, angles: Array, size: float) -> Array:
        """Return the columns [T * 5, k] of what may vary; ``size`` px: how far a radian moves a bead."""
        count = len(angles)
        columns = []
        for number in (0, 1):
            columns.append(_placed(np.eye(count), number, count))
        for number, vary, keeps_mean in ((2, self.axis, False), (3, self.scale, True), (4, self.tilts, True)):
            columns.append(_placed(_shapes(vary, angles, keeps_mean) / size, number, count))
        return np.concatenate(columns, 1)

    def larger(self) -> "list[Freedom]":
        """Return the freedoms that are one step larger."""
        steps: dict[Vary, list[Vary]] = {"fixed": ["smooth", "each"], "one": ["smooth", "each"], "smooth": ["each"]}
        more = [Freedom(axis, self.tilts, self.scale) for axis in steps.get(self.axis, []) if self.axis != "fixed"]
        more += [Freedom(self.axis, tilts, self.scale) for tilts in steps.get(self.tilts, [])]
        return more + [Freedom(self.axis, self.tilts, scale) for scale in steps.get(self.scale, [])]

    def words(self) -> str:
        """Return it as a user reads it."""
        varied = {"axis": self.axis, "tilts": self.tilts, "magnification": self.scale}
        said = {"smooth": "varies smoothly", "each": "varies from view to view"}
        parts = [f"{name} {said[vary]}" for name, vary in varied.items() if vary in said]
        return "; ".join(parts) if parts else "one axis, tilts as given, one magnification"


def _shapes(vary: Vary, angles: Array, keeps_mean: bool) -> Array:
    """Return the changes [T, k] that are allowed; ``keeps_mean``: all the same is none."""
    count = len(angles)
    if vary == "fixed":
        return np.zeros((count, 0))
    if vary == "one":
        return np.ones((count, 1))
    if vary == "smooth":
        span = 2 * (angles - angles.min()) / max(float(np.ptp(angles)), 1e-9) - 1
        shapes = np.polynomial.legendre.legvander(span, _DEGREE)
    else:
        shapes = np.eye(count)
    return shapes - shapes.mean(0) if keeps_mean else shapes


def _placed(shapes: Array, number: int, count: int) -> Array:
    """Put shapes [T, k] where number ``number`` of each view is, [T * 5, k]."""
    out = np.zeros((count, PER_VIEW, shapes.shape[1]))
    out[:, number] = shapes
    return out.reshape(count * PER_VIEW, -1)
