"""What motion is expected to look like, and the fit that combines it with the data.

d_t(x) = g_t + f_t(x). g, the motion of the whole frame: a smooth trend in the log of the exposure (motion is
fastest when the beam comes on), a steady drift, a random walk, a jitter of each frame by itself, and jumps where
the movie shows any. f, the local motion: a Gaussian process, separable into time (smooth in log exposure, and
jumping where g jumps; its mean over time removed, since no data tell of it) and space (Matérn 5/2). All kernels
are cut to their leading terms, so that one dense factorisation of a few hundred unknowns serves both axes and
gives the log evidence with it, by which the strengths are chosen (``strengths``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from pypcore.motion.patches import Evidence

Array = NDArray[np.float64]

STEP = 10.0  # Å: how far a jump goes, about
_EARLY, _TYPICAL = 4.0, 50.0  # e-/Å²: as most movies have it; their length
_TREND_TIME = 1.5  # units of log time
_TIME_TERMS, _SPACE_TERMS = 10, 40


@dataclass(frozen=True)
class Strengths:
    """How strong and how smooth each part of the motion is; per axis."""

    walk: float = 0.12  # Å per sqrt(e-/Å²)
    trend: float = 4.0  # Å
    drift: float = 1.0  # Å per e-/Å²: wide, so that no steady drift is held back
    jitter: float = 0.0  # Å
    local: float = 0.5  # Å rms, mean over time removed; 0 = the frame moves as one
    length: float = 0.5  # of the frame's longer side
    time: float = 2.0  # units of log time
    early: float = _EARLY  # e-/Å²: exposure that is one unit of log time at the start
    steps: tuple[float, ...] = ()  # e-/Å²: exposures within the movie at which the specimen jumps


@dataclass(frozen=True)
class Layout:
    """Where the data lie: exposures [T] within the movie at mid-(group of) frame; patch centres [P, 2] (y, x)."""

    exposures: Array  # e-/Å²
    centres: Array  # unbinned px
    longer_side: float  # unbinned px
    local: bool  # False: the whole frame moves as one


@dataclass(frozen=True)
class Fit:
    """The most probable motion given the data, and how well it is known."""

    prior: "Prior"
    whole: Array  # [G, 2] coefficients of the global part
    local: Array  # [B, S, 2], of the local part
    evidence: float
    factor: Array  # lower triangle of the posterior precision's factor

    def whole_at(self, exposures: Array) -> Array:
        """Return the global part [T, 2] in Å at ``exposures`` within the movie."""
        return self.prior.whole_basis(exposures) @ self.whole

    def local_at(self, exposures: Array, points: Array) -> Array:
        """Return the local part [N, T, 2] in Å at ``points`` [N, 2] (y, x), unbinned px."""
        time, space = self.prior.time_basis(exposures), self.prior.space_basis(points)
        return np.einsum("tb,bsc,ns->ntc", time, self.local, space, optimize=True)

    def error(self, exposures: Array, points: Array, weights: Array | None = None) -> Array:
        """Return the posterior rms error [T] of the 2-D motion in Å, averaged over points.

        It is the error about the motion's mean over time, in which frames count by ``weights`` [T], if given.
        """
        whole, time = self.prior.whole_basis(exposures), self.prior.time_basis(exposures)
        share = np.ones(len(exposures)) if weights is None else weights
        whole, time = (basis - share @ basis / share.sum() for basis in (whole, time))
        variance = np.zeros(len(exposures))
        for space in self.prior.space_basis(points):
            basis = np.hstack([whole, np.kron(time, space[None])])
            variance += (solve_triangular(self.factor, basis.T, lower=True) ** 2).sum(0)
        return np.sqrt(2 * variance / len(points))


class Prior:
    """The prior of one set of strengths, as bases whose coefficients are standard normal."""

    def __init__(self, layout: Layout, strengths: Strengths) -> None:
        """Factor the kernels over the layout."""
        self.layout, self.strengths = layout, strengths
        h, at = strengths, layout.exposures
        self.whole_basis = _nystroem(lambda a, b: whole_kernel(h, a, b), at, len(at))
        if layout.local and h.local > 0:
            smooth = _time_basis(tuple(at), h.time, h.early)
            jumps = after(h.steps, at).mean(0)
            self.time_basis: Callable[[Array], Array] = lambda exposures: np.hstack(
                [smooth(exposures), after(h.steps, exposures) - jumps]
            )
            space = _space_basis(tuple(map(tuple, layout.centres)), layout.longer_side * h.length)
            self.space_basis: Callable[[Array], Array] = lambda points: h.local * space(points)
        else:
            self.time_basis = lambda exposures: np.zeros((len(exposures), 0))
            self.space_basis = lambda points: np.zeros((len(points), 0))

    def solve(self, data: Evidence, d: Array) -> Fit:
        """Return the most probable motion for the likelihood expanded around ``d`` [P, T, 2] (Å)."""
        whole, time = self.whole_basis(self.layout.exposures), self.time_basis(self.layout.exposures)
        space = self.space_basis(self.layout.centres)
        j, share = data.information, data.share
        n = whole.shape[1]
        size = n + time.shape[1] * space.shape[1]
        precision = np.empty((size, size))
        precision[:n, :n] = share.sum() * (whole.T @ j @ whole)
        precision[:n, n:] = np.kron(whole.T @ j @ time, (share @ space)[None])
        precision[n:, :n] = precision[:n, n:].T
        precision[n:, n:] = np.kron(time.T @ j @ time, (space * share[:, None]).T @ space)
        precision[np.diag_indices(size)] += 1
        pull = data.gradient + share[:, None, None] * np.einsum("tu,puc->ptc", j, d)
        right = np.vstack(
            [
                whole.T @ pull.sum(0),
                np.einsum("tb,ptc,ps->bsc", time, pull, space, optimize=True).reshape(size - n, 2),
            ]
        )
        factor = cho_factor(precision, lower=True)
        found = cho_solve(factor, right)
        # Laplace: both axes share the factor.
        evidence = 0.5 * float((right * found).sum()) - 2 * float(np.log(np.diag(factor[0])).sum())
        local = found[n:].reshape(time.shape[1], space.shape[1], 2)
        return Fit(self, found[:n], local, evidence, np.tril(factor[0]))


def whole_kernel(strengths: Strengths, a: Array, b: Array) -> Array:
    """Return the covariance [A, B] in Å^2 of the whole frame's motion between exposures ``a`` and ``b``, an axis."""
    h = strengths
    trend = h.trend**2 * _matern(np.abs(_log_time(a, h.early)[:, None] - _log_time(b, h.early)) / _TREND_TIME)
    walk = h.walk**2 * np.minimum(a[:, None], b) + h.jitter**2 * (a[:, None] == b)
    jumps = STEP**2 * after(h.steps, a) @ after(h.steps, b).T
    return trend + walk + jumps + h.drift**2 * np.outer(a, b) + 1.0


def after(steps: tuple[float, ...], exposures: Array) -> Array:
    """Return [T, steps]: 1 where an exposure comes after a jump."""
    return (exposures[:, None] > np.array(steps)).astype(float).reshape(len(exposures), len(steps))


def _log_time(exposures: Array, early: float) -> Array:
    """Time as motion takes it, from fast to slow; units of about e-fold exposures.

    Another ``early`` bends the course of a movie of 50 e-/Å² without making it longer.
    """
    return np.log1p(exposures / early) * (np.log1p(_TYPICAL / _EARLY) / np.log1p(_TYPICAL / early))


def _matern(distance: Array) -> Array:
    a = np.sqrt(5) * distance
    return (1 + a + a * a / 3) * np.exp(-a)


def _nystroem(kernel: Callable[[Array, Array], Array], at: Array, terms: int) -> Callable[[Array], Array]:
    """Return x -> basis [N, terms] whose products are the kernel, exactly so at the points ``at``."""
    values, vectors = np.linalg.eigh(kernel(at, at))
    values, vectors = values[::-1][:terms], vectors[:, ::-1][:, :terms]
    kept = values > 1e-9 * values[0]
    scaled = vectors[:, kept] / np.sqrt(values[kept])
    return lambda x: kernel(x, at) @ scaled


@lru_cache(maxsize=16)
def _time_basis(at: tuple[float, ...], length: float, early: float) -> Callable[[Array], Array]:
    observed = np.array(at)

    def plain(a: Array, b: Array) -> Array:
        return np.exp(-0.5 * ((_log_time(a, early)[:, None] - _log_time(b, early)) / length) ** 2)

    own = plain(observed, observed)
    centred = own - own.mean(0) - own.mean(1)[:, None] + own.mean()
    scale = np.trace(centred) / len(observed)

    def kernel(a: Array, b: Array) -> Array:
        across = plain(a, observed).mean(1)[:, None] + plain(observed, b).mean(0)
        return (plain(a, b) - across + own.mean()) / scale

    return _nystroem(kernel, observed, min(_TIME_TERMS, len(observed) - 1))


@lru_cache(maxsize=16)
def _space_basis(centres: tuple[tuple[float, ...], ...], length: float) -> Callable[[Array], Array]:
    def kernel(a: Array, b: Array) -> Array:
        return _matern(np.hypot(a[:, None, 0] - b[:, 0], a[:, None, 1] - b[:, 1]) / length)

    return _nystroem(kernel, np.array(centres), min(_SPACE_TERMS, len(centres)))
