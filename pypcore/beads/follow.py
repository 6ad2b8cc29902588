"""Following beads from view to view, by where the model of the series expects them.

From the lowest tilt outward, so that what is learnt of the views is used where it is needed most. A view may lie a
little off where the model has it: the step that most beads agree on is taken first. Then each bead has at most one
peak, and each peak one bead, such that they lie nearest in all. Where two beads cross, their peaks melt together and
tell of neither: such points are kept apart. A bead may be missing from any view.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pypcore.beads.detect import Peaks
from pypcore.beads.sight import Sight
from pypcore.tilts.coarse import outward

Array = NDArray[np.float64]

_MELTED = 1.5  # diameters between beads, within which the one moves the peak of the other


@dataclass(frozen=True)
class Tracks:
    """Where J beads were seen in T views. ``points`` [T, J, 2] (x, y) raw px from the centre, NaN where not.

    ``clear`` [T, J]: seen, and no other bead near.
    """

    points: Array
    clear: NDArray[np.bool_]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where there are points, [T, J]."""
        return np.isfinite(self.points[..., 0])

    def beads(self, which: NDArray[np.bool_]) -> "Tracks":
        """Return those of some beads."""
        return Tracks(self.points[:, which], self.clear[:, which])

    def without_view(self, t: int) -> "Tracks":
        """Return the same as if view ``t`` had shown nothing."""
        points, clear = self.points.copy(), self.clear.copy()
        points[t], clear[t] = np.nan, False
        return Tracks(points, clear)


def follow(peaks: Peaks, sight: Sight, places: Array, angles: Array, diameter: float, tolerance: float) -> Tracks:
    """Give peaks to the beads at ``places`` [J, 3], from the lowest of the ``angles`` [T] (degrees) outward.

    ``tolerance``: px that a peak may lie from where its bead is expected, once the view has been moved to where most
    beads agree: a diameter at most from where its neighbour was moved to.
    """
    rows = peaks.by_view(len(sight.moves))
    expected = sight.seen(places)
    points = np.full(expected.shape, np.nan)
    clear = np.zeros(expected.shape[:2], bool)
    steps: dict[int, Array] = {}
    for t in outward(angles):
        near = min(steps, key=lambda done: abs(angles[done] - angles[t]), default=None)
        step = np.zeros(2) if near is None else steps[near]
        found = peaks.point[rows[t]]
        if not len(found) or not len(places):
            continue
        step = steps[t] = step + _agreed(found, expected[t] + step, diameter, tolerance)
        away = np.linalg.norm(found[None] - expected[t][:, None] - step, axis=2)
        cost = np.where(away < tolerance, away**2, 1e6 * tolerance**2)
        beads, taken = linear_sum_assignment(cost)
        good = away[beads, taken] < tolerance
        points[t, beads[good]] = found[taken[good]]
        apart = np.linalg.norm(expected[t][:, None] - expected[t][None], axis=2)
        np.fill_diagonal(apart, np.inf)
        clear[t] = np.isfinite(points[t, :, 0]) & (apart.min(1) > _MELTED * diameter)
    return Tracks(points, clear)


def _agreed(found: Array, expected: Array, reach: float, tolerance: float) -> Array:
    """Return the step (x, y) from where beads are expected to where they are, that the most of them agree on."""
    steps = (found[None] - expected[:, None]).reshape(-1, 2)
    steps = steps[np.linalg.norm(steps, axis=1) < reach]
    if len(steps) < 2:
        return np.zeros(2)
    near = np.linalg.norm(steps[:, None] - steps[None], axis=2) < tolerance / 2
    most = near.sum(1)
    if most.max() < 2:
        return np.zeros(2)
    return np.asarray(np.median(steps[near[int(most.argmax())]], axis=0))


def distinct(sight: Sight, places: Array, tracks: Tracks, diameter: float) -> NDArray[np.bool_]:
    """Say which beads [J] are not a second copy of one that was seen more often."""
    seen = sight.seen(places)
    kept = np.ones(len(places), bool)
    order = np.argsort(-tracks.seen.sum(0), kind="stable")
    for rank, j in enumerate(order):
        for k in order[:rank]:
            apart = np.linalg.norm(seen[:, j] - seen[:, k], axis=1)
            if kept[k] and np.median(apart) < diameter / 2:
                kept[j] = False
                break
    return kept
