"""How well motion is known when its strengths are not: they are integrated out, to second order.

Let m(s), C(s) be the mean and the covariance of the motion if the strengths are s, and w(s) their own posterior, which
the evidence gives. About the motion reported, m of the best strengths, the expected square of the error is

    sum_s w(s) [C(s) + (m(s) - m)^2],

the law of total variance. w is taken as a product over the strengths, each seen along its own grid through the best
one; so each adds what it brings by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from pypcore.motion.patches import Evidence
from pypcore.motion.prior import Fit, Prior
from pypcore.motion.strengths import LOCAL, WHOLE, belief

Array = NDArray[np.float64]

_NEGLIGIBLE = 3.0  # log odds to the best, from which on a strength is not followed further
_ABSENT = 0.5  # width of "none of it", in units of log strength: about a step of the grids


@dataclass(frozen=True)
class Errors:
    """Errors of a motion [N, T, 2] at N points about the motion reported: its variance, and how far off its mean is."""

    rows: Array  # [N, U, T]: what the posterior's unit vectors move, an axis
    off: Array  # [N, T, 2]

    @classmethod
    def of(cls, fit: Fit, exposures: Array, points: Array, reported: Array) -> "Errors":
        """Evaluate ``fit``; ``reported`` [N, T, 2] is the motion that will be told."""
        whole, time = fit.prior.whole_basis(exposures), fit.prior.time_basis(exposures)
        rows = [
            solve_triangular(fit.factor, np.hstack([whole, np.kron(time, space[None])]).T, lower=True)
            for space in fit.prior.space_basis(points)
        ]
        return cls(np.array(rows), motion(fit, exposures, points) - reported)

    def squared(self, share: Array, at: Array) -> Array:
        """Return the expected squared error [T] of the 2-D motion, points weighted by ``at`` [N].

        It is about the motion's mean over time, in which frames count by ``share`` [T]; sums of both are 1.
        """
        rows = self.rows - self.rows @ share[:, None]
        off = self.off - np.einsum("t,ntc->nc", share, self.off)[:, None]
        total: Array = at @ (2 * (rows**2).sum(1) + (off**2).sum(2))
        return total


def motion(fit: Fit, exposures: Array, points: Array) -> Array:
    """Return the motion [N, T, 2] in Å of ``fit`` at ``points`` [N, 2]."""
    whole: Array = fit.whole_at(exposures)[None]
    return whole + fit.local_at(exposures, points)


def errors(
    fit: Fit, data: Evidence, d: Array, exposures: Array, field: tuple[Array, Array], weights: list[Array]
) -> list[Array]:
    """Return the rms error [T] in Å of the 2-D motion of ``fit``, strengths integrated out, for each of ``weights``.

    ``data`` is the likelihood expanded around ``d`` [P, T, 2] Å. Errors are about the mean over time, in which frames
    count by weights [T]; they are averaged over ``field``: points [N, 2] (y, x), and what each counts for [N].
    """
    points, at = field
    shares = [weight / weight.sum() for weight in weights]
    reported = motion(fit, exposures, points)
    own = Errors.of(fit, exposures, points, reported)
    known = [own.squared(share, at) for share in shares]
    total = [square.copy() for square in known]
    for name in (*WHOLE, *LOCAL):
        for other, weight in _others(name, fit, data, d):
            there = Errors.of(other, exposures, points, reported)
            for square, share, best in zip(total, shares, known, strict=True):
                square += weight * (there.squared(share, at) - best)
    # A sum of differences from the best: no less than a quarter of what is sure anyway.
    return [np.sqrt(np.maximum(square, best / 4)) for square, best in zip(total, known, strict=True)]


def _others(name: str, fit: Fit, data: Evidence, d: Array) -> Iterator[tuple[Fit, float]]:
    """Yield fits with another value of one strength, and the posterior weight of each."""
    strengths = fit.prior.strengths
    if name in LOCAL and not strengths.local:
        return
    values = np.array(sorted({*(WHOLE | LOCAL)[name], getattr(strengths, name)}), float)
    widths = _widths(values)
    here = int(np.flatnonzero(values == getattr(strengths, name))[0])
    best = belief(fit)
    found = []
    for way in (range(here - 1, -1, -1), range(here + 1, len(values))):
        for i in way:
            changed = replace(strengths, **{name: float(values[i])})  # type: ignore[arg-type]
            other = Prior(fit.prior.layout, changed).solve(data, d)
            odds = belief(other) - best
            if odds < -_NEGLIGIBLE:
                break
            found.append((other, np.exp(odds) * widths[i]))
    total = widths[here] + sum(weight for _, weight in found)
    yield from ((other, float(weight / total)) for other, weight in found)


def _widths(values: Array) -> Array:
    """Return what each of the sorted ``values`` stands for, in units of log strength; the first may be 0, for none."""
    logs = np.log(values[values > 0])
    return np.concatenate([np.full(len(values) - len(logs), _ABSENT), np.gradient(logs)])
