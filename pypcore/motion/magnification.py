"""Anisotropic magnification, taken out in the same interpolation as the motion.

The micrograph is the frame stretched about its centre: by ``major`` along an axis at ``angle`` degrees from the x axis
towards y (MRC order: y upwards, so counter-clockwise), by ``minor`` across it. Names and order as MotionCor2's -Mag,
whose help says: "stretching image along the major axis, the axis where the lower magnification is detected".
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pypcore.motion.field import MotionField

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stretched:
    """A motion field on a micrograph that is stretched against the frames."""

    field: MotionField
    major: float
    minor: float
    angle: float  # degrees

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames, and of the micrograph."""
        return self.field.shape

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.field.count

    def some(self, frames: slice) -> "Stretched":
        """Return the same of some frames."""
        return replace(self, field=self.field.some(frames))

    def on_grid(self, ys: ArrayLike, xs: ArrayLike) -> Array:
        """Return [T, 2, len(ys), len(xs)]: from a pixel of the micrograph to where frame t is to be sampled."""
        y, x = np.meshgrid(np.asarray(ys, float), np.asarray(xs, float), indexing="ij")
        centre = [(n - 1) / 2 for n in self.shape]
        back = np.linalg.inv(stretch(self.major, self.minor, self.angle))
        from_y, from_x = np.tensordot(back, [y - centre[0], x - centre[1]], 1)
        from_y, from_x = from_y + centre[0], from_x + centre[1]
        return self.field.scattered(from_y, from_x) + np.stack([from_y - y, from_x - x])

    def down_columns(self, ys: Array, xs: Array, offsets: Array) -> Array:
        """Return the y displacement [T, len(ys), len(xs)] where column x + offset of frame t is what is sampled.

        The summing kernel filters down a frame's columns before it goes along its rows; ``offsets`` [T] are about the
        mean of a frame's x displacement, from which a stretch departs by many pixels at the edges.
        """
        y, x = np.meshgrid(ys, xs, indexing="ij")
        centre = [(n - 1) / 2 for n in self.shape]
        back = np.linalg.inv(stretch(self.major, self.minor, self.angle))
        moved = self.field.on_grid(ys, xs)
        columns = x + offsets[:, None, None] - moved[:, 1]  # in the frame without motion
        # From (micrograph y, frame x) to the frame's y: solve the second row of the map for the micrograph's x.
        from_x = (columns - centre[1] - back[1, 0] * (y - centre[0])) / back[1, 1]
        from_y = back[0, 0] * (y - centre[0]) + back[0, 1] * from_x + centre[0]
        down: Array = moved[:, 0] + from_y - y
        return down


def stretch(major: float, minor: float, angle: float) -> Array:
    """Return the matrix [(y, x), (y, x)] from the frame to the micrograph, both about the centre."""
    along = np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    across = np.array([along[1], -along[0]])
    return major * np.outer(along, along) + minor * np.outer(across, across)
