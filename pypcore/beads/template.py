"""What a bead looks like: a ball of gold at first, then what the beads found look like on average."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]

_STEP = 0.25  # px between the radii of a profile
_REACH = 2.0  # bead radii that a profile goes to
_WINDOW = 1.5  # bead radii that are compared: the bead, and enough around it to tell its edge
_SOFT = 0.8  # px: standard deviation of the blur of a bead's edge by the pixels and the microscope


@dataclass(frozen=True)
class Template:
    """A round bead of ``radius`` px: its ``profile`` [n] at every quarter pixel from its centre, 1 there."""

    radius: float
    profile: Array

    @classmethod
    def ball(cls, radius: float) -> "Template":
        """Return the projection of a ball, blurred by a pixel."""
        fine = np.arange(-(_REACH * radius + 2), _REACH * radius + 2 + _STEP / 2, _STEP)
        grid = np.hypot(fine, fine[:, None])
        image = np.sqrt(np.maximum(1 - (grid / radius) ** 2, 0))
        for axis in (0, 1):
            image = gaussian_filter1d(image, _SOFT / _STEP, axis=axis)
        middle = len(fine) // 2
        profile = image[middle, middle : middle + 1 + int(_REACH * radius / _STEP)]
        return cls(radius, profile / profile[0])

    @classmethod
    def learned(cls, radius: float, distances: Array, values: Array) -> "Template":
        """Return the mean of ``values`` [n] at ``distances`` [n] px from the centres of beads, 0 beyond their reach."""
        last = int(_REACH * radius / _STEP)
        bins = np.minimum((distances / _STEP + 0.5).astype(int), last + 1)
        sums, counts = (np.bincount(bins, w, last + 2)[: last + 1] for w in (values, np.ones(len(bins))))
        radii = np.arange(last + 1) * _STEP
        profile = np.interp(radii, radii[counts > 0], sums[counts > 0] / counts[counts > 0])
        profile = gaussian_filter1d(profile, 1.0, mode="mirror")  # the first bins hold few pixels
        profile -= profile[radii > 0.8 * _REACH * radius].mean()
        return cls(radius, profile / profile[0])

    def at(self, distances: Array) -> Array:
        """Return the bead's contrast at ``distances`` px from its centre, that of the centre being 1."""
        return np.interp(distances, np.arange(len(self.profile)) * _STEP, self.profile, right=0.0)

    @property
    def window(self) -> int:
        """Pixels from the centre that are compared."""
        return int(np.ceil(_WINDOW * self.radius))

    def stamp(self) -> tuple[Array, Array]:
        """Return the bead [2 w + 1, 2 w + 1], w = ``window``, and 1 where it is compared, 0 in the corners."""
        side = np.arange(-self.window, self.window + 1)
        distances = np.hypot(side, side[:, None])
        return self.at(distances), (distances <= self.window).astype(np.float64)

    def reach(self, faint: float) -> float:
        """Return the radius, px, beyond which less than ``faint`` of the centre's contrast is left."""
        strong = np.flatnonzero(np.abs(self.profile) >= faint)
        return float((strong[-1] + 1) * _STEP)
