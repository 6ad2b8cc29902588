"""How close an alignment came to the truth, apart from what no alignment can know.

Views don't tell where the specimen is: moved by (X, Y, Z), it appears X cos t + Z sin t further along x and Y further
along y in each view. Nor how it is turned about the tilt axis (an offset of all tilts), nor its hand (an axis half a
turn away). So a point of the specimen is taken to where the found alignment sees it best, from where it truly is in
each view; what is left over is the error. That of the centre is the error of the shifts, that of points all over the
field has the axis' error in it too, as the tomogram has.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.geometry import tilt_centre
from pypcore.simulate.tiltseries import SimulatedSeries, raw_places
from pypcore.tilts.alignment import TiltAlignment

Array = NDArray[np.float64]

_POINTS = 5  # a side
_REACH = 0.35  # of the field, from its middle


@dataclass(frozen=True)
class TiltScore:
    """Errors, rms over the views used, of the length of the 2-D error, px as recorded."""

    shift: float
    field: float
    axis: float  # degrees, found less true, within -90 ... 90
    per_view: Array  # [T], error of the shift; NaN where not used

    @classmethod
    def of(cls, found: TiltAlignment, series: SimulatedSeries) -> "TiltScore":
        """Score an alignment of ``series`` by the views that it uses."""
        used = np.flatnonzero(found.used)
        left = left_over(found, series, np.zeros((1, 3)))[0]
        per_view = np.full(len(found), np.nan)
        per_view[used] = np.hypot(*left.T)
        height, width = series.plan.shape
        side = np.linspace(-_REACH, _REACH, _POINTS) * min(height, width)
        points = np.array([(0.0, y, x) for y in side for x in side])
        everywhere = left_over(found, series, points)
        axis = float(np.median(found.axes[used])) - series.plan.axis
        return cls(
            float(np.sqrt((left**2).sum(-1).mean())),
            float(np.sqrt((everywhere**2).sum(-1).mean())),
            (axis + 90) % 180 - 90,
            per_view,
        )


def left_over(found: TiltAlignment, series: SimulatedSeries, points: Array) -> Array:
    """What no place of the specimen's points [n, (Z, Y, X)] explains: [n, views used, (x, y)] px."""
    used = np.flatnonzero(found.used)
    seen = _seen(found, series, points)
    tilt = np.radians(found.angles[used] + found.angle_offset)
    across = np.stack([np.cos(tilt), np.sin(tilt)], -1)
    along = np.ones((len(used), 1))
    for component, basis in enumerate((across, along)):
        best, *_ = np.linalg.lstsq(basis, seen[:, :, component].T, rcond=None)
        seen[:, :, component] -= (basis @ best).T
    return seen


def in_the_true_frame(found: TiltAlignment, series: SimulatedSeries) -> TiltAlignment:
    """The alignment with the specimen moved to where it truly is, its tilt offset too: for comparing volumes."""
    used = np.flatnonzero(found.used)
    tilt = np.radians(found.angles + series.plan.tilt_offset)
    basis = np.stack([np.cos(tilt), np.sin(tilt)], -1)
    shifts = found.shifts.copy()
    middle = _seen(found, series, np.zeros((1, 3)))[0]
    best, *_ = np.linalg.lstsq(basis[used], middle[:, 0], rcond=None)
    shifts[:, 0] -= basis @ best
    shifts[:, 1] -= middle[:, 1].mean()
    return replace(found, angles=found.angles + series.plan.tilt_offset, shifts=shifts, angle_offset=0.0)


def _seen(found: TiltAlignment, series: SimulatedSeries, points: Array) -> Array:
    """Where the found alignment has points [n, (Z, Y, X)] in each view used, from the centre: [n, views used, 2]."""
    used, plan = np.flatnonzero(found.used), series.plan
    seen = np.empty((len(points), len(used), 2))
    for at, t in enumerate(map(int, used)):
        raw = raw_places(points, plan, series.angles[t] + plan.tilt_offset, series.shifts[t])[:, ::-1]
        whole = aligned = found.to_aligned(t, raw)
        if found.local is not None:  # the shift is that of the aligned place, which it leads to
            for _ in range(3):
                moved = found.local.at(t, aligned[:, 0], aligned[:, 1], found.aligned_shape)
                aligned = whole - np.moveaxis(moved, 0, -1)
        seen[:, at] = aligned - tilt_centre(found.aligned_shape[::-1])
    return seen
