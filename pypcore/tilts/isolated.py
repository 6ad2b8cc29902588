"""Placing the views of an isolated object: by what is the same in all of them, whatever it looks like.

All views of an object that lies within the field have the same profile along the tilt axis: the sum of each line
across it, since tilting moves matter across the axis alone. That places the views along the axis; for any other
direction profiles differ, which is how the axis is found. Across the axis, the centre of mass goes with X cos t + Z
sin t, wherever it lies, so that it may be put on the axis in all views. Where an object goes out of the field along
the axis, a window that moves with it keeps this true.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.motion.parallel import Threads
from pypcore.tilts.small import SmallSeries, fade
from pypcore.tilts.stretch import Frame, cut, window_shape

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

_ROUNDS = 6
_CLOSE = 0.02  # px: nothing moved more
_TAPER = 0.25  # share of the field along the axis over which the window falls off
_FINEST = 0.25  # cycles per px of the profile
_STEPS = (2.0, 0.5, 0.1)  # degrees between the axes tried, in turn: a wrong one spoils sharp profiles soon
_SCANNED = 30  # views that axes are tried on
_LEAST_MASS = 0.5  # of the usual mass: less is no view of the object,
_LESS_LIKE = 0.1  # nor is one whose profile agrees with the others' by so much less than most do


@dataclass(frozen=True)
class Placed:
    """Where T views of an object lie.

    ``shifts`` [T, 2] (x, y) and their expected ``error`` [T, 2], small px. ``mass`` [T] of the usual one and
    ``likeness`` [T], the correlation of a view's profile with all others', tell which views show the object
    (``shown``). ``unlike``: power of the differences between profiles over their own, mean over frequencies, weighed
    as a derivative does. ``width``: the object's, across the axis, small px.
    """

    shifts: Array
    error: Array
    mass: Array
    likeness: Array
    shown: NDArray[np.bool_]
    unlike: float
    width: float

    def reason(self, view: int) -> str:
        """Say why a view isn't one of the object."""
        return (
            """Try axes within ``reach`` degrees of one, or all around: return the best, and (axis, likeness) tried."""
            f"that agrees by {self.likeness[view]:.2f}, most by {np.median(self.likeness):.2f}"
        )


def scan(
    small: SmallSeries, angles: Array, threads: Threads, near: float | None, reach: float
) -> tuple[float, list[tuple[float, float]]]:
    """Try axes ``reach`` degrees to both sides of one, or all around; return the best and, of all, the likeness."""
    by_angle = np.argsort(angles, kind="stable")
    some = by_angle[np.unique(np.linspace(0, len(angles) - 1, min(len(angles), _SCANNED)).astype(int))]
    small, angles = small.select(some), angles[some]
    tried = dict[float, float]()
    middle, reach = (0.0, 90.0) if near is None else (near, reach)
    for step in _STEPS:
        for axis in np.arange(middle - reach, middle + reach + step / 2, step).round(3).tolist():
            if axis not in tried:
                tried[axis] = 1 - place(small, angles, axis, threads).unlike
        middle, reach = max(tried, key=lambda one: tried[one]), 2 * step
    return middle, sorted(tried.items())


def place(small: SmallSeries, angles: Array, axis: float, threads: Threads) -> Placed:
    """Place views of tilt ``angles`` [T] for one axis, degrees."""
    shape = window_shape((small.views.shape[1], small.views.shape[2]), axis)
    taper = fade(shape[0], _TAPER)
    across = np.arange(shape[1]) - (shape[1] - 1) / 2
    k = np.fft.rfftfreq(shape[0])
    weight = k * np.exp(-((k / _FINEST) ** 2))
    untilted = np.zeros(len(angles))  # views aren't stretched
    shifts = np.zeros((len(angles), 2))
    lines = np.zeros((len(angles), 3, shape[0]))  # sums along each line, of the density and its first two moments
    shown = np.ones(len(angles), bool)
    for turn in range(_ROUNDS):
        frame = Frame(axis, untilted, shifts)

        def look(t: int, frame: Frame = frame) -> None:
            view = cut(small, frame, t, shape).astype(np.float64)
            lines[t] = (view @ np.stack([np.ones(len(across)), across, across**2], -1)).T * taper

        threads.run(look, range(len(angles)))
        mass, moment, square = lines.sum(2).T
        usual = float(np.median(mass))
        spectra = np.fft.rfft(lines[:, 0], axis=1) * weight
        first = int(np.argmin(np.abs(angles) + np.where(mass > _LEAST_MASS * usual, 0, 1e3)))
        reference = spectra[shown].mean(0) if turn else spectra[first]
        own, whole = (np.abs(spectra) ** 2).sum(1), float((np.abs(reference) ** 2).sum())
        likeness = (spectra @ np.conj(reference)).real / np.sqrt(own * whole + 1e-30)
        if turn > 1:
            shown = (mass > _LEAST_MASS * usual) & (likeness > np.median(likeness) - _LESS_LIKE)
        centres = np.clip(moment / np.where(mass > 0, mass, np.inf), -shape[1] / 2, shape[1] / 2)
        step = np.stack([centres, [_lag(one, reference, shape[0]) for one in spectra]], -1)
        shifts = shifts - step
        if not shown.any() or (turn > 1 and np.abs(step[shown]).max() < _CLOSE):
            break
    rest = (np.abs(spectra - reference) ** 2).sum(1)
    seen = shown if shown.any() else ~shown
    width = 4 * float(np.sqrt(max(np.median(square[seen] / np.maximum(mass[seen], 1e-30)), 0.0)))
    # A profile's lag, by what is left of it; the centre of mass, by what its two halves disagree.
    slope = (2 * np.pi * np.fft.rfftfreq(shape[0])) ** 2
    sure = (np.abs(reference) ** 2 * slope).sum() * min(1.0, 2 * _FINEST)
    along = np.sqrt(rest * (slope * weight**2).sum() / (weight**2).sum() / max(sure * len(k) * _FINEST, 1e-30))
    error = np.stack([_halves(lines, angles, seen), along], -1)
    return Placed(
        shifts, error, mass / usual, likeness, shown, float(rest[seen].sum() / max(own[seen].sum(), 1e-30)), width
    )


def _halves(lines: Array, angles: Array, seen: NDArray[np.bool_]) -> Array:
    """The expected error [T] of centres of mass: halves of the object, each by itself, must go as X cos t + Z sin t."""
    profile = np.cumsum(lines[seen, 0].mean(0))
    middle = int(np.searchsorted(profile, profile[-1] / 2))
    t = np.radians(angles)
    basis = np.stack([np.cos(t), np.sin(t)], -1)
    variance = 0.0
    total = lines[:, 0].sum(1)
    for half in (slice(0, middle), slice(middle, None)):
        path = lines[:, 1, half].sum(1) / np.where(total > 0, total, np.inf)
        best = np.linalg.lstsq(basis[seen], path[seen], rcond=None)[0]
        variance += float(((path - basis @ best)[seen] ** 2).mean())
    return np.full(len(angles), np.sqrt(variance))


def _lag(spectrum: Spectrum, reference: Spectrum, size: int) -> float:
    """How far (px) a profile lies from the reference."""
    correlation = np.fft.irfft(spectrum * np.conj(reference), size)
    top = int(correlation.argmax())
    low, middle, high = (correlation[(top + d) % size] for d in (-1, 0, 1))
    bend = low - 2 * middle + high
    lag = top + (float(np.clip((low - high) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0)
    return float(lag - size * round(lag / size))
