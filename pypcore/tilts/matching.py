"""Matching every view with the reconstruction from all others, all at once: the joint maximum of the likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts.likelihood import Joint, Model, measure
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.stretch import Band, Frame, Grid, spectra
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

_STEPS = 4  # of Fisher scoring on the same cut of the views
_CLOSE = 0.01  # small px: no view moved more in the last step
_RECUT = 1.0  # small px: views that moved more are cut anew, since another field is in the window
_SLACK = 4.0  # small px a view may well go in one step
_THICKER = (0.7, 1.0, 1.4)  # thicknesses tried, of the last one
_FACES = (0.0, 0.4, 0.8)  # shares of the power on the slab's faces tried
_SLABS = 4  # times the likeliest thickness and share are looked for


@dataclass(frozen=True)
class Fit:
    """Views matched: where they lie, their coefficients there, and how likely that is."""

    frame: Frame
    model: Model
    band: Band
    grid: Grid  # [T, J, B, 16]
    log_likelihood: float
    log_ratio: float  # of the views together to each alone
    error: Array  # [T, 2], expected errors of the shifts (x, y), small px

    def joint(self, workers: Workers) -> Joint:
        """The likelihood that it is the maximum of."""
        return Joint(self.band, self.frame, self.model, workers)


def settle(
    small: SmallSeries,
    frame: Frame,
    model: Model,
    band: Band,
    workers: Workers,
    *,
    joint: Joint | None = None,
    rounds: int = 2,
) -> Fit:
    """Move all views to the nearest maximum; axis, angles and spectra stay. ``joint``: of the same angles and model."""
    joint = joint or Joint(band, frame, model, workers)
    scale = frame.scale
    for _ in range(rounds):
        grid = spectra(small, frame, band, workers)
        moved = np.zeros_like(frame.shifts)
        for _ in range(_STEPS):
            step = joint.step(grid, _SLACK)
            grid = band.moved(grid, step.shift)
            moved += step.shift * scale
            if np.abs(step.shift).max() < _CLOSE:
                break
        frame = replace(frame, shifts=frame.shifts + moved)
        if np.abs(moved).max() < _RECUT:
            break
    return Fit(frame, model, band, grid, joint.log_likelihood(grid), joint.log_ratio(grid), step.error * scale)


def match(small: SmallSeries, frame: Frame, model: Model, band: Band, workers: Workers) -> Fit:
    """Settle, with the spectra measured anew."""
    grid = spectra(small, frame, band, workers)
    return settle(small, frame, measure(band, frame, model, grid), band, workers)


def find_slab(fit: Fit, small: SmallSeries, workers: Workers, factors: Sequence[float] = _THICKER) -> Fit:
    """Try other slabs, thinner, thicker, with more on the faces, the views free to move; keep the likeliest."""
    tried: dict[tuple[float, float], Fit] = {}
    best = fit
    for _ in range(_SLABS):
        before = best.model.thickness, best.model.faces
        for slab in [(round(before[0] * factor, 2), faces) for factor in factors for faces in _FACES]:
            if slab not in tried:
                model = replace(best.model, thickness=slab[0], faces=slab[1])
                model = measure(best.band, best.frame, model, best.grid)
                tried[slab] = settle(small, best.frame, model, best.band, workers)
        best = max(tried.values(), key=lambda one: one.log_likelihood)
        if (best.model.thickness, best.model.faces) == before:
            break
    return best


def centred(frame: Frame) -> Frame:
    """Put the specimen where the views' middles are on average: no view tells where its centre is.

    Depth stays: the slab lies around 0, which the likelihood sees to.
    """
    shifts, cosines = frame.shifts.copy(), frame.cosines
    shifts[:, 0] -= cosines * (shifts[:, 0] @ cosines) / (cosines @ cosines)
    shifts[:, 1] -= shifts[:, 1].mean()
    return replace(frame, shifts=shifts)
