"""Which peaks are beads: thresholds learnt from the peaks themselves.

Noise has no sign: what looks like a bead of the other contrast (a bright one, where gold is dark) tells how high chance
reaches. Of what chance does not explain, proteins and ice are many and faint, beads few and of one contrast: two
groups, told apart where a mixture of two Gaussians of the contrasts' logarithms is likelier than one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.beads.detect import Peaks

Array = NDArray[np.float64]

_FALSE = 0.02  # share of the peaks believed that chance may have made
_APART = 2.0  # standard deviations, of both together, between the groups' means


@dataclass(frozen=True)
class Belief:
    """``score`` and ``height`` that a bead has at least; infinite where there are none."""

    score: float
    height: float

    def sure(self, peaks: Peaks) -> NDArray[np.bool_]:
        """Say which peaks are beads by themselves."""
        return (peaks.score >= self.score) & (peaks.height >= self.height)

    def possible(self, peaks: Peaks) -> NDArray[np.bool_]:
        """Say which peaks will do where a bead is expected: half of what is asked of one that is not."""
        return (peaks.score >= self.score / 2) & (peaks.height >= self.height / 2)


def believe(peaks: Peaks, opposite: Peaks) -> Belief:
    """Learn both thresholds from the peaks and those of the other contrast."""
    score = beyond_chance(peaks.score, opposite.score)
    heights = peaks.height[peaks.score >= score]
    return Belief(score, upper_group(np.log(np.maximum(heights, 1e-9))))


def beyond_chance(scores: Array, chance: Array) -> float:
    """Return the lowest score above which ``chance`` makes up no more than a fiftieth; infinite where it always does.

    As false discoveries are counted with decoys: Elias and Gygi 2007, Nature Methods 4, 207.
    """
    order = np.sort(scores)[::-1]
    false = len(chance) - np.searchsorted(np.sort(chance), order, side="left")
    share = (false + 1) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share <= _FALSE)
    return float(order[good[-1]]) if len(good) else float("inf")


def upper_group(logs: Array) -> float:
    """Return the value (no logarithm) that parts the upper of two groups from the lower; 0 where there is but one."""
    if len(logs) < 8:
        return 0.0
    middle = (logs.min() + logs.max()) / 2
    upper = logs > middle
    if not 0 < upper.sum() < len(logs):
        return 0.0
    floor = max(1e-3 * float(np.ptp(logs)), 1e-6)
    belongs = upper.astype(float)
    shares = means = widths = np.zeros(2)
    for _ in range(200):
        weight = np.stack([1 - belongs, belongs])
        total = weight.sum(1) + 1e-9
        shares, means = total / len(logs), (weight @ logs) / total
        widths = np.maximum(np.sqrt((weight * (logs - means[:, None]) ** 2).sum(1) / total), floor)
        density = shares[:, None] * _gaussian(logs, means[:, None], widths[:, None])
        updated = density[1] / np.maximum(density.sum(0), 1e-300)
        done = np.abs(updated - belongs).max() < 1e-6
        belongs = updated
        if done:
            break
    both = float(np.log(np.maximum(density.sum(0), 1e-300)).sum())
    alone = _gaussian(logs, float(logs.mean()), max(float(logs.std()), floor))
    one = float(np.log(np.maximum(alone, 1e-300)).sum())
    likelier = both - one > 1.5 * np.log(len(logs))  # three numbers more, by Schwarz' criterion
    if not likelier or means[1] - means[0] < _APART * np.hypot(*widths):
        return 0.0
    grid = np.linspace(means[0], means[1], 500)
    density = shares[:, None] * _gaussian(grid, means[:, None], widths[:, None])
    return float(np.exp(grid[int((density[1] > density[0]).argmax())]))


def _gaussian(at: Array, mean: Array | float, width: Array | float) -> Array:
    return np.exp(-(((at - mean) / width) ** 2) / 2) / (np.sqrt(2 * np.pi) * width)
