"""The strengths of the prior, chosen by what the movie finds most probable (MacKay 1992: evidence).

Coordinate search. For the whole frame's strengths the local motion is integrated out first: what is left is a
likelihood of T values an axis, and a trial costs a T x T solve. Jumps are found one by one: with the posterior of
the motion so far, what a jump after each frame would add to the log evidence is known in closed form, and the best
one is taken while it pays for being one of so many.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from pypcore.motion.patches import Evidence
from pypcore.motion.prior import STEP, Fit, Layout, Prior, Strengths, whole_kernel

Array = NDArray[np.float64]

WHOLE: dict[str, tuple[float, ...]] = {
    "walk": (0.0, 0.015, 0.03, 0.06, 0.09, 0.12, 0.16, 0.22, 0.3, 0.6, 1.2, 2.5),
    "trend": (0.0, 0.25, 0.5, 1, 2, 4, 8, 16),
    "drift": (0.0, 0.01, 0.03, 0.1, 0.3, 1, 3),
    "jitter": (0.0, 0.06, 0.12, 0.2, 0.3, 0.45, 0.7, 1.0),
}
LOCAL: dict[str, tuple[float, ...]] = {
    "local": (0.07, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0),
    "length": (0.3, 0.4, 0.5, 0.7, 1.0),
    "time": (0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0),
    "early": (2.0, 4.0, 8.0, 16.0, 64.0),
}
_USUAL = {  # strength: what movies are like before one is seen, and by what factor that may well be off
    "walk": (0.12, 2.5),
    "trend": (4.0, 4.0),
    "local": (0.5, 2.5),
    "length": (0.5, 1.6),
    "time": (1.5, 2.0),
    "early": (4.0, 4.0),
}
_ABSENT = {"walk": 2.0, "trend": 1.0, "local": 1.0}  # log odds against a movie without
_PRESENT = {"jitter": 1.0}  # log odds against a movie with
_ODDS = 0.1  # one movie in so many jumps
_MOST_STEPS = 5


def choose(layout: Layout, start: Strengths, data: Evidence, d: Array) -> Fit:
    """Return the fit with the most probable strengths, for the likelihood expanded around ``d`` [P, T, 2] (Å)."""
    smooth = replace(start, steps=())
    best = _search(layout, smooth, data, d)
    whole = _Whole(Prior(layout, smooth).solve(data, d), data, d)
    if jumps := whole.jumps(smooth):
        jumping = _search(layout, replace(smooth, steps=jumps), data, d)
        if belief(jumping) - len(jumps) * whole.price > belief(best):
            best = jumping
    return best


def doubt(strengths: Strengths) -> float:
    """Return what speaks against ``strengths`` before the movie is seen: minus a log probability.

    Evidence is flat where a movie says little, and its maximum then is anywhere; this keeps it near what is usual.
    """
    total = 0.0
    for name, (middle, factor) in _USUAL.items():
        value = getattr(strengths, name)
        total += 0.5 * (np.log(value / middle) / np.log(factor)) ** 2 if value > 0 else _ABSENT[name]
    return total + sum(odds for name, odds in _PRESENT.items() if getattr(strengths, name) > 0)


def belief(fit: Fit) -> float:
    """Return the log probability of the strengths of ``fit``, up to a constant: evidence, and what is usual."""
    return fit.evidence - doubt(fit.prior.strengths)


def _search(layout: Layout, start: Strengths, data: Evidence, d: Array) -> Fit:
    best = Prior(layout, start).solve(data, d)
    best = _whole_frame(best, data, d)
    if not layout.local:
        return best
    for name, values in LOCAL.items():
        for value in values:
            strengths = replace(best.prior.strengths, **{name: value})  # type: ignore[arg-type]
            if strengths != best.prior.strengths:
                fit = Prior(layout, strengths).solve(data, d)
                best = max(best, fit, key=belief)
    best = _whole_frame(best, data, d)
    none = _whole_frame(Prior(layout, replace(best.prior.strengths, local=0.0)).solve(data, d), data, d)
    return max(best, none, key=belief)


def _whole_frame(fit: Fit, data: Evidence, d: Array) -> Fit:
    """Return the fit with the most probable strengths of the whole frame's motion."""
    whole = _Whole(fit, data, d)
    strengths = fit.prior.strengths
    best = whole.evidence(strengths) - doubt(strengths)
    for _ in range(2):
        for name, values in WHOLE.items():
            for value in values:
                trial = replace(strengths, **{name: value})  # type: ignore[arg-type]
                belief = whole.evidence(trial) - doubt(trial)
                if belief > best:
                    strengths, best = trial, belief
    return fit if strengths == fit.prior.strengths else Prior(fit.prior.layout, strengths).solve(data, d)


class _Whole:
    """The likelihood of the whole frame's motion g [T], the local motion integrated out: g.y - g.M.g / 2 an axis."""

    def __init__(self, fit: Fit, data: Evidence, d: Array) -> None:
        prior, j, share = fit.prior, data.information, data.share
        self.at = prior.layout.exposures
        pull = data.gradient + share[:, None, None] * np.einsum("tu,puc->ptc", j, d)
        self.information = share.sum() * j  # M
        self.pull = pull.sum(0)  # y
        time, space = prior.time_basis(self.at), prior.space_basis(prior.layout.centres)
        if time.shape[1]:
            cross = np.kron(j @ time, (share @ space)[None])
            precision = np.kron(time.T @ j @ time, (space * share[:, None]).T @ space)
            precision[np.diag_indices(len(precision))] += 1
            factor = (np.linalg.cholesky(precision), True)
            right = np.einsum("tb,ptc,ps->bsc", time, pull, space, optimize=True).reshape(len(precision), 2)
            self.pull = self.pull - cross @ cho_solve(factor, right)
            self.information = self.information - cross @ cho_solve(factor, cross.T)

    @property
    def price(self) -> float:
        """Log odds against a jump after one given frame."""
        return float(np.log(max(len(self.at) - 1, 1) / _ODDS))

    def evidence(self, strengths: Strengths) -> float:
        """Log evidence, up to what the local motion brings."""
        kernel = whole_kernel(strengths, self.at, self.at)
        inner = np.eye(len(self.at)) + kernel @ self.information
        _, logarithm = np.linalg.slogdet(inner)
        return float(0.5 * (self.pull * np.linalg.solve(inner, kernel @ self.pull)).sum() - logarithm)

    def jumps(self, strengths: Strengths) -> tuple[float, ...]:
        """Return the exposures at which the specimen jumps, if other motion is as strong as ``strengths`` say."""
        between = (self.at[1:] + self.at[:-1]) / 2
        later = (self.at[:, None] > between).astype(float)  # [T, T - 1]
        found: tuple[float, ...] = ()
        while len(found) < min(_MOST_STEPS, len(between)):
            kernel = whole_kernel(replace(strengths, steps=found), self.at, self.at)
            covariance = np.linalg.solve(np.eye(len(self.at)) + kernel @ self.information, kernel)
            rest = self.pull - self.information @ (covariance @ self.pull)
            known = self.information - self.information @ covariance @ self.information
            sharpness = STEP**2 * np.einsum("tn,tu,un->n", later, known, later)
            gain = 0.5 * STEP**2 * ((later.T @ rest) ** 2).sum(1) / (1 + sharpness) - np.log1p(sharpness)
            best = int(gain.argmax())
            if gain[best] <= self.price or between[best] in found:
                break
            found = tuple(sorted((*found, float(between[best]))))
        return found
