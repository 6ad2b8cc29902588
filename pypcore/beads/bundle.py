"""Bundle adjustment: the views' geometry and the beads' places that fit all points best, outliers having little say.

A bead at (X, Y, Z), seen in a view of tilt t whose axis lies at a, is at

    m R(a)^T (X cos t + Z sin t, Y) + d        px as recorded, from the raw view's centre,

with d the view's shift as recorded and m its magnification. Residuals are taken from Student's t distribution with
four degrees of freedom in two dimensions, each bead with a scale of its own, tied to that of all: a point that is
wrong, and a bead that moves, count less the further they are off (iteratively reweighted least squares: Lange, Little
and Taylor 1989, J. Am. Stat. Assoc. 84, 881). Steps are Gauss and Newton's with the analytic derivatives; the beads
are eliminated first (Schur's complement), which leaves a system of the views alone.

Nothing tells the specimen's own place, a turn about its tilt axis where tilts are free, and its size where
magnifications are: steps are the shortest that fit, which leaves those as they were. (What ``freedom`` spans keeps the
last two fixed on average.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.beads.freedom import PER_VIEW, Freedom

Array = NDArray[np.float64]

_TAIL = 4.0  # degrees of freedom of Student's t
_TIED = 4.0  # points that a bead's own scale is worth, before it shows what it does
_ROUNDS = 40
_TRIAL = 8  # rounds that tell whether a freedom is worth it
_DONE = 1e-4  # px that nothing moves any more
_NOTHING = 1e-6  # share of the largest eigenvalue: a direction that points don't tell


@dataclass(frozen=True)
class State:
    """Geometry of T views and places of J beads: shifts ``d`` [T, 2] px, ``axis`` and ``tilt`` [T] radians,
    ``scale`` [T] the logarithm of the magnification, ``places`` [J, 3] px."""

    d: Array
    axis: Array
    tilt: Array
    scale: Array
    places: Array

    def seen(self) -> Array:
        """Return where the beads are seen, [T, J, 2]."""
        x, y, z = self.places.T
        u = x * np.cos(self.tilt)[:, None] + z * np.sin(self.tilt)[:, None]
        return np.asarray(_turned(self, u, np.broadcast_to(y, u.shape)) + self.d[:, None])

    def derivatives(self) -> tuple[Array, Array]:
        """Return those of ``seen`` by d, axis, scale, tilt [T, J, 2, 5] and by the places [T, 2, 3]."""
        x, y, z = self.places.T
        cos, sin = np.cos(self.tilt)[:, None], np.sin(self.tilt)[:, None]
        u, v = x * cos + z * sin, np.broadcast_to(y, (len(self.tilt), len(y)))
        views = np.zeros((*u.shape, 2, PER_VIEW))
        views[..., 0, 0] = views[..., 1, 1] = 1
        seen = _turned(self, u, v)
        views[..., 0, 2], views[..., 1, 2] = -seen[..., 1], seen[..., 0]  # turning on by a quarter
        views[..., 3] = seen
        views[..., 4] = _turned(self, z * cos - x * sin, np.zeros_like(u))
        places = np.zeros((len(self.tilt), 2, 3))
        one, none = np.ones_like(cos), np.zeros_like(cos)
        for axis, (du, dv) in enumerate(((cos, none), (none, one), (sin, none))):
            places[:, :, axis] = _turned(self, du, dv)[:, 0]
        return views, places

    def stepped(self, views: Array, places: Array) -> "State":
        """Return the state a step on: ``views`` [T, 5] in the order of ``derivatives``, ``places`` [J, 3]."""
        return State(
            self.d + views[:, :2],
            self.axis + views[:, 2],
            self.tilt + views[:, 4],
            self.scale + views[:, 3],
            self.places + places,
        )


def _turned(state: State, u: Array, v: Array) -> Array:
    """Return m R^T (u, v), [T, n, 2]."""
    cos, sin = np.cos(state.axis)[:, None], np.sin(state.axis)[:, None]
    return np.exp(state.scale)[:, None, None] * np.stack([cos * u - sin * v, sin * u + cos * v], -1)


@dataclass(frozen=True)
class Fit:
    """The best state for some freedom, and what the points say of it.

    ``residual`` [T, J, 2] px, seen less fitted (0 where nothing was seen); ``spread`` [J] px, the scale of each bead's
    residuals, ``noise`` that of all; ``weight`` [T, J] of each point, px^-2 (0: not seen); ``bic``: Schwarz'
    criterion, lower is better; ``left_out`` [T, J, 2]: residuals of points that took no part in the fit; ``error``
    [T, 2] px: expected errors of the shifts d, the specimen's own place apart; ``axis_error`` radians.
    """

    state: State
    freedom: Freedom
    residual: Array
    spread: Array
    noise: float
    weight: Array
    bic: float
    left_out: Array
    error: Array
    axis_error: float


def adjust(points: Array, counted: NDArray[np.bool_], state: State, freedom: Freedom, *, rounds: int = _ROUNDS) -> Fit:
    """Fit ``points`` [T, J, 2] where they are ``counted`` [T, J], beginning at ``state``; ``rounds`` at most."""
    points = np.where(counted[..., None], points, 0.0)
    size = max(float(np.sqrt((state.places**2).sum(1).mean())), 1.0)
    basis = freedom.basis(np.degrees(state.tilt), size)
    spread = np.full(counted.shape[1], max(_typical(points, counted, state), 1e-6))
    for _ in range(rounds):
        residual = _residual(points, counted, state)
        spread = _scales(residual, counted, spread)
        system = _System(residual, _weights(residual, counted, spread), state, basis)
        views, places = system.step()
        before = _cost(residual, counted, spread)
        for _ in range(12):  # half the step where the whole one leads uphill
            tried = state.stepped(views, places)
            if _cost(_residual(points, counted, tried), counted, spread) <= before * (1 + 1e-12):
                break
            views, places = views / 2, places / 2
        else:
            break
        state = tried
        if max(np.abs(views[:, :2]).max(), np.abs(views[:, 2:]).max() * size, np.abs(places).max()) < _DONE:
            break
    residual = _residual(points, counted, state)
    spread = _scales(residual, counted, spread)
    weight = _weights(residual, counted, spread)
    system = _System(residual, weight, state, basis)
    n = 2 * int(counted.sum())
    numbers = system.rank + state.places.size
    bic = 2 * _cost(residual, counted, spread) + numbers * np.log(max(n, 2))
    error, axis_error = system.errors(n, numbers)
    noise = float(np.sqrt(np.median(spread**2)))
    return Fit(state, freedom, residual, spread, noise, weight, bic, system.left_out(), error, axis_error)


class _System:
    """The normal equations at one state, the beads eliminated."""

    def __init__(self, residual: Array, weight: Array, state: State, basis: Array) -> None:
        self.residual, self.weight, self.basis = residual, weight, basis
        self.views, self.looks = state.derivatives()
        count, beads = weight.shape
        own = np.einsum("tj,tjak,tjal->tkl", weight, self.views, self.views)
        full = np.zeros((count, PER_VIEW, count, PER_VIEW))
        full[np.arange(count), :, np.arange(count)] = own
        mixed = np.einsum("tj,tjak,tal->tkjl", weight, self.views, self.looks).reshape(count * PER_VIEW, -1)
        normal = np.einsum("tj,tak,tal->jkl", weight, self.looks, self.looks)
        # A bead that all but one view missed has a depth that nothing tells: it stays where it is.
        normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3) + 1e-12 * np.eye(3)
        self.inverse = np.linalg.inv(normal)
        self.mixed = (basis.T @ mixed).reshape(-1, beads, 3)
        self.ties = np.einsum("kjl,jlm->kjm", self.mixed, self.inverse)
        schur = basis.T @ full.reshape(count * PER_VIEW, -1) @ basis - np.einsum("kjm,njm->kn", self.ties, self.mixed)
        values, vectors = np.linalg.eigh((schur + schur.T) / 2)
        told = values > _NOTHING * values[-1]
        self.rank = int(told.sum())
        self.covariance = (vectors[:, told] / values[told]) @ vectors[:, told].T

    def step(self) -> tuple[Array, Array]:
        """Return the step of the views [T, 5] and of the places [J, 3]."""
        views = np.einsum("tj,tjak,tja->tk", self.weight, self.views, self.residual).ravel()
        places = np.einsum("tj,tak,tja->jk", self.weight, self.looks, self.residual)
        reduced = self.basis.T @ views - np.einsum("kjm,jm->k", self.ties, places)
        step = self.covariance @ reduced
        back = places - np.einsum("kjl,k->jl", self.mixed, step)
        return (self.basis @ step).reshape(-1, PER_VIEW), np.einsum("jkl,jl->jk", self.inverse, back)

    def left_out(self) -> Array:
        """Return what each residual would be, had its point not taken part: (1 - leverage)^-1 times what it is."""
        count, beads = self.weight.shape
        out = np.zeros_like(self.residual)
        basis = self.basis.reshape(count, PER_VIEW, -1)
        for j in range(beads):
            own = np.flatnonzero(self.weight[:, j] > 0)
            if not len(own):
                continue
            # A point hangs on the views' numbers directly, and through its bead's place.
            views = np.einsum("tak,tkn->tan", self.views[own, j], basis[own])
            views -= np.einsum("tal,nl->tan", self.looks[own], self.ties[:, j])
            lever = np.einsum("tan,nm,tbm->tab", views, self.covariance, views)
            lever += np.einsum("tal,lm,tbm->tab", self.looks[own], self.inverse[j], self.looks[own])
            rest = np.eye(2) - self.weight[own, j, None, None] * lever
            free = np.linalg.eigvalsh(rest)[:, 0] > 1e-6
            out[own[free], j] = np.linalg.solve(rest[free], self.residual[own[free], j, :, None])[..., 0]
            out[own[~free], j] = np.nan  # nothing but itself says where it is
        return out

    def errors(self, n: int, numbers: int) -> tuple[Array, float]:
        """Return the expected errors of the shifts [T, 2] px, and of the axis, radians."""
        scale = n / max(n - numbers, 1)  # what the fit took out of the residuals
        whole = self.basis @ self.covariance @ self.basis.T * scale
        variances = np.diag(whole).reshape(-1, PER_VIEW)
        return np.sqrt(np.maximum(variances[:, :2], 0)), float(np.sqrt(max(variances[:, 2].mean(), 0)))


def _residual(points: Array, counted: NDArray[np.bool_], state: State) -> Array:
    return np.where(counted[..., None], points - state.seen(), 0.0)


def _typical(points: Array, counted: NDArray[np.bool_], state: State) -> float:
    """Return the scale of residuals by their median length, whatever the outliers."""
    lengths = np.linalg.norm(_residual(points, counted, state), axis=2)[counted]
    return float(np.median(lengths) / np.sqrt(2 * np.log(2))) if len(lengths) else 1.0


def _scales(residual: Array, counted: NDArray[np.bool_], spread: Array) -> Array:
    """Return the scale [J] of each bead's residuals, between its own and that of all: two steps of EM."""
    squares, numbers = (residual**2).sum(2), 2 * counted.sum(0)
    for _ in range(2):
        tail = (_TAIL + 2) / (_TAIL + squares / spread**2) * counted
        total = (tail * squares).sum(0)
        own = total / np.maximum(numbers, 1)
        typical = float(np.median(own[numbers > 0])) if (numbers > 0).any() else 1.0
        spread = np.sqrt(np.maximum((_TIED * typical + total) / (_TIED + numbers), 1e-10))
    return spread


def _weights(residual: Array, counted: NDArray[np.bool_], spread: Array) -> Array:
    squares = (residual**2).sum(2)
    return np.asarray((_TAIL + 2) / (_TAIL + squares / spread**2) / spread**2 * counted)


def _cost(residual: Array, counted: NDArray[np.bool_], spread: Array) -> float:
    """Return minus the log likelihood of the residuals, but for what hangs on nothing."""
    squares = (residual**2).sum(2) / spread**2
    each = (_TAIL + 2) / 2 * np.log1p(squares / _TAIL) + 2 * np.log(spread)
    return float((each * counted).sum())


def adjust_by_evidence(points: Array, counted: NDArray[np.bool_], state: State) -> Fit:
    """Fit with as much freedom as the points warrant, one step larger at a time, by Schwarz' criterion.

    A freedom is also to foretell points that take no part in the fit no worse than the one before.
    """
    fit = adjust(points, counted, state, Freedom())
    while True:
        tried = [adjust(points, counted, fit.state, more, rounds=_TRIAL) for more in fit.freedom.larger()]
        best = min(tried, key=lambda one: one.bic, default=fit)
        if best.bic >= fit.bic or foretold(best, counted) > foretold(fit, counted):
            return fit
        fit = adjust(points, counted, best.state, best.freedom)


def foretold(fit: Fit, counted: NDArray[np.bool_]) -> float:
    """Return the typical length, px, of residuals of points left out of the fit: rms by the median, outliers aside."""
    lengths = np.linalg.norm(fit.left_out, axis=2)[counted]
    lengths = np.where(np.isfinite(lengths), lengths, np.inf)
    return float(np.median(lengths) / np.sqrt(np.log(2))) if len(lengths) else float("inf")
