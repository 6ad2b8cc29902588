"""Views that can't take part: found by what they are, or by matching no other, and said why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts.coarse import SIGNIFICANT
from pypcore.tilts.small import SmallSeries

Array = NDArray[np.float64]

_DARK = 0.5  # of the intensity expected at its tilt
_STEEP = 85.0  # degrees: beyond, a view shows next to nothing of a slab


@dataclass(frozen=True)
class BadView:
    """A view left out: its place in the stack, its tilt in degrees, and why."""

    view: int
    angle: float
    reason: str


def unusable(small: SmallSeries, angles: Array) -> list[BadView]:
    """Return the views that are bad whatever the others show: not finite, empty, dark, too steep."""
    bad = []
    expected = _expected_mean(small, angles)
    for t, angle in enumerate(angles):
        if not small.finite[t]:
            empty = np.isfinite(small.mean[t]) and small.spread[t] == 0
            reason = "all pixels are the same" if empty and small.mean[t] != 0 else "NaN, infinite or empty pixels"
        elif expected is not None and small.mean[t] < _DARK * expected[t]:
            reason = f"dark: {small.mean[t] / expected[t]:.0%} of the intensity of its neighbours"
        elif abs(angle) > _STEEP:
            reason = f"tilted by {angle:.1f} degrees; up to {_STEEP:g} can be compared"
        else:
            continue
        bad.append(BadView(t, float(angle), reason))
    return bad


def strangers(evidence: Array) -> NDArray[np.bool_]:
    """Which views [T] show something else: far likelier alone than with what the others predict of them."""
    return np.asarray(evidence < -0.5 * max(float(np.median(evidence)), 0.0))


def unmatched(view: int, angle: float, height: float, evidence: float | None) -> BadView:
    """A view that the others don't predict; ``evidence`` where it was compared in place, as ``strangers`` has it."""
    if evidence is None:
        reason = f"matches no other view (peak {height:.1f} sd; noise alone reaches {SIGNIFICANT:g})"
    else:
        reason = f"shows something else than the others (log evidence {evidence:.0f}; above 0 would do)"
    return BadView(view, angle, reason)


def _expected_mean(small: SmallSeries, angles: Array) -> Array | None:
    """The intensity [T] that neighbours in tilt lead to expect; None where means say nothing (normalised views)."""
    usable = small.finite & (small.mean > 0)
    if usable.sum() < 3 or np.median(small.mean[small.finite]) < np.median(small.spread[small.finite]) * 0.2:
        return None
    order = np.flatnonzero(usable)
    order = order[np.argsort(angles[order])]
    logs = np.log(small.mean[order])
    reach = 3
    medians = [np.median(logs[max(0, i - reach) : i + reach + 1]) for i in range(len(order))]
    return np.asarray(np.exp(np.interp(angles, angles[order], medians)))
