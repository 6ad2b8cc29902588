"""What all views say together: a joint likelihood of a slab of specimen, in place of a tomogram.

The specimen is taken for a random density of measured spectrum inside a slab of known thickness. Then the coefficients
of the T stretched views at one (kX, kY) are Gaussian with the covariance

    C[t, t'] = a_t a_t' W(kX (tan t - tan t')) + N_t delta[t, t'],    a_t^2 = S(|k_t|) / cos^2 t,

because view t has the specimen's transform at the depth frequency kX tan t, and a slab of thickness D ties frequencies
together that are nearer than 1/D: W(q) = (1 - f) sinc(D q) + f cos(pi D q), the transform of how the specimen's power
is spread over depth, a share f of it on the slab's two faces, where gold and ice lie. With A the inverse of C, the log
likelihood of the views' shifts is - sum y* A y over coefficients. Every way of using the series is in it: low
frequencies tie all views to each other, high ones only neighbours, and a frequency counts as much as its signal does
over its noise. Minus the off-diagonal part of A y, over A's diagonal, is the view that all others predict: the
projection of their (Wiener) reconstruction, which is what matching against a growing reconstruction compares with; no
volume is needed for it.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts.stretch import Band, Frame, Grid, window
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

SHELLS = 40
"""Shells of frequency from 0 to 0.5 cycles per px in which spectra are measured."""

_MODEL_ERROR = 0.05  # share of the signal that this model doesn't explain: edges, damage, CTF that varies
_EDGES = np.linspace(0, 0.5, SHELLS + 1)
_MIDDLES = (_EDGES[1:] + _EDGES[:-1]) / 2


@dataclass(frozen=True)
class Model:
    """Spectra and thickness. All per px of the small views, which have white noise of variance 1 at spectrum 1.

    ``signal`` [SHELLS]: of the specimen seen untilted; ``noise`` [T, SHELLS]; ``gain`` [T]: how much of the signal's
    amplitude a view has; ``thickness`` px, ``faces`` the share of the power that lies on the slab's faces.
    """

    signal: Array
    noise: Array
    gain: Array
    thickness: float
    faces: float = 0.0

    def tied(self, q: Array) -> Array:
        """W: how far coefficients agree whose depth frequencies are ``q`` cycles per px apart."""
        wide = self.thickness * q
        return np.asarray((1 - self.faces) * np.sinc(wide) + self.faces * np.cos(np.pi * wide))

    def part(self, views: NDArray[np.intp]) -> "Model":
        """The same of some views, in that order."""
        return replace(self, noise=self.noise[views], gain=self.gain[views])


@dataclass(frozen=True)
class Step:
    """One joint improvement of shifts: in the specimen's frame, [T, 2] (X, Y) px; expected errors [T, 2]."""

    shift: Array
    error: Array


class Joint:
    """The likelihood of some views under one model and frame."""

    def __init__(self, band: Band, frame: Frame, model: Model, workers: Workers) -> None:
        """Invert the covariances of all groups of the band; ``frame`` and ``model`` hold the T views alone."""
        self.band, self.frame, self.model, self.workers = band, frame, model, workers
        xp = workers.xp
        factors = window(band.shape).astype(np.float64)
        self.independent = 1 / float((factors**4).mean())  # a window ties neighbouring coefficients to each other
        count = len(frame.angles)
        shape = (len(band.kx), len(band.ky), count)
        self.inverse = xp.empty((*shape, count), np.float32)
        self.own = np.empty(shape)  # [J, B, T], the inverse's diagonal
        self.alone = np.empty(shape)  # variance of each view by itself
        self.logdet = 0.0
        numbers = band.kept.sum(2)
        squares_x = (2 * np.pi * band.kx) ** 2
        squares_y = ((2 * np.pi * band.ky) ** 2 * band.kept).sum(2)
        fishers = np.zeros((2, count, count))

        def columns(piece: slice) -> tuple[float, Array]:
            covariance = covariances(band, frame, model, piece, xp)
            inverse = xp.linalg.inv(covariance)
            self.inverse[piece] = inverse
            diagonals = [workers.home(xp.diagonal(a, axis1=2, axis2=3)) for a in (inverse, covariance)]
            self.own[piece], self.alone[piece] = diagonals
            _, logdet = xp.linalg.slogdet(covariance)
            tied = 2 * (inverse * covariance - xp.eye(count))
            weights = np.stack([numbers[piece] * squares_x[piece, None], squares_y[piece]])
            fisher = xp.tensordot(xp.asarray(weights), tied, 2)
            return float((workers.home(logdet) * numbers[piece]).sum()), workers.home(fisher)

        for logdet, fisher in workers.map(columns, self._pieces(8)):
            self.logdet += logdet
            fishers += fisher
        self.fishers = fishers * self.independent  # of shifts along X and Y, [2, T, T], per px^2

    def _pieces(self, copies: int) -> list[slice]:
        """Columns of the band that are in hand together, with so many covariances of each."""
        columns, groups, count = self.own.shape
        return self.workers.pieces(columns, copies * 8 * groups * count * (count + 32))

    def weighed(self, grid: Grid) -> Grid:
        """A y: coefficients [T, J, B, 16] times the inverse covariance."""
        out, xp = np.empty_like(grid), self.workers.xp

        def columns(piece: slice) -> None:
            y = xp.asarray(np.ascontiguousarray(grid[:, piece].transpose(1, 2, 0, 3)))  # [J, B, T, 16]
            weighed = (self.inverse[piece] @ y.view(np.float32)).view(np.complex64)
            out[:, piece] = self.workers.home(weighed).transpose(2, 0, 1, 3)

        self.workers.run(columns, self._pieces(1))
        return out

    def log_likelihood(self, grid: Grid) -> float:
        """Of the coefficients [T, J, B, 16] as they lie, up to a constant."""
        weighed = self.weighed(grid)
        return -self.independent * (float(np.vdot(grid, weighed).real) + self.logdet)

    def log_ratio(self, grid: Grid) -> float:
        """How much likelier the views are together than each alone.

        For comparing directions of the axis and the like: they bring other pixels into the window, and in this the
        chance power of what came in cancels, which would drown the rest.
        """
        numbers = self.band.kept.sum(2)[..., None]
        power = np.einsum("tjbn,tjbn->jbt", np.conj(grid), grid).real
        alone = float((power / self.alone + numbers * np.log(self.alone)).sum())
        return self.log_likelihood(grid) + self.independent * alone

    def slopes(self, grid: Grid) -> Array:
        """How the log likelihood grows as views move along X and Y, [2, T] per px; ``fishers`` is its curvature."""
        product = (np.conj(grid) * self.weighed(grid)).imag
        kx, ky = self.band.kx[None, :, None, None], self.band.ky[None, None]
        slopes = np.stack([(product * k).sum((1, 2, 3), dtype=np.float64) for k in (kx, ky)])
        return np.asarray(slopes * 4 * np.pi * self.independent)

    def step(self, grid: Grid, slack: float) -> Step:
        """One step of Fisher scoring for all views at once; ``slack``: px that a view may well go, a soft limit."""
        slopes = self.slopes(grid)
        shift, error = np.zeros((len(grid), 2)), np.zeros((len(grid), 2))
        for axis in range(2):
            inverse = np.linalg.inv(self.fishers[axis] + np.eye(len(grid)) / slack**2)
            shift[:, axis] = inverse @ slopes[axis]
            error[:, axis] = _known_errors(self.fishers[axis], self.frame, axis)
        return Step(shift, error)

    def predicted(self, grid: Grid) -> Grid:
        """Each view as all others predict it, weighed for matching: the prediction over its own uncertainty."""
        weighed = self.weighed(grid)
        own = self.own.transpose(2, 0, 1)[..., None].astype(np.float32)
        return np.asarray(own * grid - weighed)

    def evidence(self, grid: Grid) -> Array:
        """How much likelier each view [T] is with what all others predict of it than as a view of anything else."""
        weighed = self.weighed(grid)
        counts = self.band.kept.sum(2)
        total = np.zeros(len(grid))
        for j in range(len(self.band.kx)):
            own = self.own[j].T  # one over the variance that the others leave
            alone = self.alone[j].T
            power, left = ((np.abs(g[:, j]) ** 2).sum(2) for g in (grid, weighed))
            total += (power / alone - left / own + counts[j] * (np.log(alone) + np.log(own))).sum(1)
        return np.asarray(total * self.independent)


def covariances(band: Band, frame: Frame, model: Model, columns: slice, xp: Any = np) -> Any:
    """C [J, B, T, T] of the groups of some columns, an array of ``xp``."""
    signal, noise = (xp.asarray(level) for level in _levels(band, frame, model, columns))
    apart = band.kx[columns, None, None] * (frame.tangents[:, None] - frame.tangents[None])
    amplitude = xp.sqrt(signal)
    covariance = amplitude[..., :, None] * amplitude[..., None, :] * xp.asarray(model.tied(apart))[:, None]
    covariance += xp.eye(len(frame.angles)) * (noise + _MODEL_ERROR * signal)[..., None]
    return covariance


def predict(band: Band, frame: Frame, model: Model, known: Grid, workers: Workers) -> Grid:
    """Predict the last view of ``frame`` from the coefficients of all before it, over its variance [J, B, 16]."""
    out, xp = np.empty(known.shape[1:], np.complex64), workers.xp

    def some(piece: slice) -> None:
        inverse = xp.linalg.inv(covariances(band, frame, model, piece, xp))
        # A Gaussian's conditional mean over its conditional variance is minus this row of the inverse.
        row = -inverse[:, :, -1:, :-1].astype(np.float32)
        y = xp.asarray(np.ascontiguousarray(known[:, piece].transpose(1, 2, 0, 3)))
        out[piece] = workers.home((row @ y.view(np.float32)).view(np.complex64))[:, :, 0]

    count = len(frame.angles)
    workers.run(some, workers.pieces(len(band.kx), 4 * 8 * len(band.ky) * count * (count + 32)))
    return out


def measure(band: Band, frame: Frame, model: Model, grid: Grid) -> Model:
    """Measure the spectra: the signal from what neighbouring views share, the noise from what they don't."""
    power = np.zeros((len(grid), SHELLS))
    counts = np.zeros((len(grid), SHELLS))
    shared, expected = np.zeros(SHELLS), np.zeros(SHELLS)
    order = np.argsort(frame.angles)
    cosines, tangents = frame.cosines, frame.tangents
    shells = _shells(band, frame)
    numbers = band.kept.sum(2)
    for t in range(len(grid)):
        own = (np.abs(grid[t]) ** 2).sum(2) * cosines[t]
        power[t] = np.bincount(shells[t].ravel(), own.ravel(), SHELLS + 1)[:SHELLS]
        counts[t] = np.bincount(shells[t].ravel(), numbers.ravel(), SHELLS + 1)[:SHELLS]
    for t, u in pairwise(order):
        tied = model.tied(band.kx * (tangents[t] - tangents[u]))[:, None]
        scale = model.gain[t] * model.gain[u] / (cosines[t] * cosines[u])
        cross = (np.conj(grid[t]) * grid[u]).real.sum(2)
        where = shells[t].ravel()
        # Weighed as a least-squares fit of the signal's level, pairs that share little count little.
        shared += np.bincount(where, (cross * tied * scale).ravel(), SHELLS + 1)[:SHELLS]
        expected += np.bincount(where, (numbers * tied**2 * scale**2).ravel(), SHELLS + 1)[:SHELLS]
    seen = expected > 0
    signal = np.zeros(SHELLS)
    signal[seen] = shared[seen] / expected[seen]
    level = np.convolve(np.pad(signal, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    floor = 1e-4 * float(np.median(model.noise))
    signal = np.maximum(np.minimum(level, 4 * np.maximum(signal, floor)), floor)
    noise = model.noise.copy()
    for t in range(len(grid)):
        full = counts[t] > 30
        found = power[t][full] / counts[t][full] - signal[full] * model.gain[t] ** 2 / cosines[t]
        white = float(np.median(model.noise[t]))
        noise[t, full] = np.clip(found, 0.3 * white, 10 * white)
        noise[t] = np.interp(_MIDDLES, _MIDDLES[full], noise[t, full]) if full.any() else noise[t]
    return replace(model, signal=signal, noise=noise)


def first_model(band: Band, frame: Frame, white: Array, thickness: float, grid: Grid) -> Model:
    """A model before anything is aligned: what power there is above white noise (variance [T]) is signal."""
    shells = _shells(band, frame)
    numbers = band.kept.sum(2)
    excess, weight = np.zeros(SHELLS), np.zeros(SHELLS)
    for t, cosine in enumerate(frame.cosines):
        own = (np.abs(grid[t]) ** 2).sum(2) * cosine - white[t] * numbers
        excess += np.bincount(shells[t].ravel(), own.ravel() * cosine, SHELLS + 1)[:SHELLS]
        weight += np.bincount(shells[t].ravel(), numbers.ravel(), SHELLS + 1)[:SHELLS]
    floor = 1e-3 * float(np.median(white))
    signal = np.maximum(np.divide(excess, weight, out=np.zeros(SHELLS), where=weight > 0), floor)
    return Model(signal, np.repeat(white[:, None], SHELLS, 1), np.ones(len(white)), thickness)


def _levels(band: Band, frame: Frame, model: Model, columns: slice) -> tuple[Array, Array]:
    """Signal and noise power of the stretched views, [J, B, T], in some columns."""
    cosines = frame.cosines
    k = np.hypot(band.centre[:, None], band.kx[columns, None, None] / cosines)
    signal = np.interp(k, _MIDDLES, model.signal, right=0.0) * (model.gain / cosines) ** 2
    at = np.minimum((k / 0.5 * SHELLS).astype(int), SHELLS - 1)
    noise = model.noise[np.arange(len(cosines)), at] / cosines
    return np.where(k < 0.5, signal, 0.0), noise


def _shells(band: Band, frame: Frame) -> NDArray[np.intp]:
    """The shell of each group in each view, [T, J, B]; beyond 0.5 cycles per px it is SHELLS."""
    k = np.hypot(band.centre, band.kx[:, None] / frame.cosines[:, None, None])
    return np.asarray(np.minimum(k / 0.5 * SHELLS, SHELLS).astype(np.intp))


def _known_errors(fisher: Array, frame: Frame, axis: int) -> Array:
    """Expected error [T] of shifts, px, apart from what nothing can tell: the specimen's own place."""
    free = [np.ones(len(fisher))] + ([frame.tangents] if axis == 0 else [])
    basis, _ = np.linalg.qr(np.stack(free, -1))
    inside = np.eye(len(fisher)) - basis @ basis.T
    covariance = inside @ np.linalg.pinv(inside @ fisher @ inside, rcond=1e-9, hermitian=True) @ inside
    return np.sqrt(np.maximum(np.diag(covariance), 0))
