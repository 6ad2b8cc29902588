"""The direction of the tilt axis.

A wrong axis moves what is far from the middle along the axis, more the higher the tilt, so that views agree less. The
likelihood sees that. It can't see two things: an axis turned by 180 degrees with all tilts of the other sign gives the
same series of a specimen of the other hand; that sign is the microscope's to know.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts import coarse
from pypcore.tilts.climb import climb
from pypcore.tilts.likelihood import first_model
from pypcore.tilts.matching import Fit, centred, match, settle
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.stretch import Band, Frame, spectra, window_shape
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

GUESS = 6.0  # degrees that the axis may be from where the user has it
_SCAN = 10.0  # degrees between the axes tried where nothing is known
_COARSE = (0.06, 2.5)  # finest, cycles per px, and coarsest, cycles per view, of a band in which views are placed
THICKNESS = 0.2  # of the field, where nothing is known yet


def coarse_band(shape: tuple[int, int], finest: float = _COARSE[0]) -> Band:
    """The frequencies up to ``finest`` (cycles per px) that matching uses: not the slowest, which are the beam's."""
    return Band.up_to(shape, finest, _COARSE[1] / min(shape))


def place(small: SmallSeries, angles: Array, axis: float, workers: Workers) -> tuple[coarse.Placed, Fit]:
    """Place all views from nothing for one axis, and match those that were found."""
    shape = window_shape((small.views.shape[1], small.views.shape[2]), axis)
    band = coarse_band(shape)
    frame = Frame(axis, angles, np.zeros((len(angles), 2)))
    model = first_model(band, frame, small.noise, THICKNESS * shape[1], spectra(small, frame, band, workers))
    placed = coarse.grow(small, frame, model, band, workers)
    for _ in range(2):
        placed = coarse.look_again(small, placed, model, band, workers)
    good = np.flatnonzero(
        placed.heights > min(coarse.SIGNIFICANT, np.sort(placed.heights)[-min(3, len(angles))] - 1e-9)
    )
    fit = match(small.select(good), centred(placed.frame.part(good)), model.part(good), band, workers)
    return placed, fit


def scan(small: SmallSeries, angles: Array, workers: Workers) -> tuple[float, list[tuple[float, float]]]:
    """Try axes all around; return the likeliest in (-90, 90] and all (axis, evidence a view) tried."""
    tried: list[tuple[float, float]] = []
    for axis in np.arange(-90 + _SCAN, 90 + 1e-6, _SCAN):
        tried.append((float(axis), _worth(small, angles, float(axis), workers)))
    best = max(tried, key=lambda one: one[1])[0]
    for axis in (best - _SCAN / 2, best + _SCAN / 2):
        tried.append((axis, _worth(small, angles, axis, workers)))
    best = max(tried, key=lambda one: one[1])[0]
    return wrapped(best), tried


def _worth(small: SmallSeries, angles: Array, axis: float, workers: Workers) -> float:
    """How much likelier the views are with each other than alone, over all views."""
    _, fit = place(small, angles, axis, workers)
    return float(fit.joint(workers).evidence(fit.grid).clip(0).sum()) / len(angles)


def refine(fit: Fit, small: SmallSeries, workers: Workers, step: float, finest: float) -> tuple[Fit, float]:
    """Turn the axis to where the views agree best; return the fit there and the axis' standard error, degrees."""
    joint = fit.joint(workers)

    def tried(axis: float, nearest: Fit) -> Fit:
        turned = turned_to(nearest.frame, axis)
        return settle(small, turned, nearest.model, nearest.band, workers, joint=joint)

    start = settle(small, fit.frame, fit.model, fit.band, workers, joint=joint)
    _, best, error = climb(tried, fit.frame.axis, start, step, limit=2 * GUESS, finest=finest)
    return best, error


def turned_to(frame: Frame, axis: float) -> Frame:
    """The same views, their middles where they were, for another axis."""
    turn = np.radians(axis - frame.axis)
    cos, sin = np.cos(turn), np.sin(turn)
    return replace(frame, axis=axis, shifts=frame.shifts @ np.array([[cos, sin], [-sin, cos]]).T)


def wrapped(axis: float) -> float:
    """An axis in (-90, 90]: half a turn more is the same line."""
    return float(90 - (90 - axis) % 180)
