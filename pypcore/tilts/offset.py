"""The tilt offset: how far the slab is from level where the stage says 0.

Nothing in the views' agreement depends on it: a specimen turned about the tilt axis, with all tilts changed by as much,
gives the same views. But the specimen is a slab, and a slab that isn't level in the frame is thicker there than it is;
the likelihood, which has the slab's thickness in it, is highest where it lies flat.
"""

from dataclasses import replace

from pypcore.tilts.climb import climb
from pypcore.tilts.matching import Fit, settle
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.workers import Workers

LIMIT = 20.0  # degrees
_STEEPEST = 88.0  # degrees of tilt that a stretched view can still be made of


def refine(fit: Fit, small: SmallSeries, workers: Workers, step: float, finest: float) -> tuple[Fit, float]:
    """Change all tilts by the same angle to where the slab lies flat; return the fit there and the standard error."""
    given = fit.frame.angles
    steepest = float(abs(given).max())

    def tried(offset: float, nearest: Fit) -> Fit:
        frame = replace(nearest.frame, angles=given + offset)
        return settle(small, frame, nearest.model, nearest.band, workers)

    start = settle(small, fit.frame, fit.model, fit.band, workers)
    limit = min(LIMIT, _STEEPEST - step - steepest)
    if limit <= step:
        return start, float("inf")
    _, best, error = climb(tried, 0.0, start, step, limit=limit, finest=finest)
    return best, error
