"""Alignment in rounds: the joint likelihood of all views climbed with ever finer detail, slab and axis with it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts import axis as tilt_axis
from pypcore.tilts import coarse, offset, turning, views
from pypcore.tilts.likelihood import predict
from pypcore.tilts.matching import Fit, centred, find_slab, match
from pypcore.tilts.settings import AlignSettings
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.stretch import spectra
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

_MEDIUM, _FINE = 0.12, 0.25  # cycles per small px up to which views are compared
_TURNED = 3.0  # degrees: an axis that far from where the views were placed places them anew


@dataclass(frozen=True)
class Round:
    """What one round of alignment came to."""

    name: str
    axis: float  # degrees
    offset: float  # degrees
    thickness: float  # Å
    log_likelihood: float


class Rounds:
    """One series on its way: the views that can be compared, and what each round came to."""

    def __init__(
        self, small: SmallSeries, angles: Array, pixel_size: float, settings: AlignSettings, workers: Workers
    ) -> None:
        self.small, self.angles, self.settings, self.workers = small, angles, settings, workers
        self.pixel = pixel_size * small.step  # Å, of the small views
        self.pixel_size = pixel_size
        self.trace: list[Round] = []
        self.good = np.arange(len(angles))
        self.strange: dict[int, float] = {}  # views that show something else, and the evidence of it

    @property
    def chosen(self) -> SmallSeries:
        """The views that take part."""
        return self.small.select(self.good)

    def placed(self, axis: float, unsure: bool) -> Fit:
        """Place the views, find the slab and the axis; once more where the axis turned out to be far off."""
        for _ in range(3):
            found, fit = tilt_axis.place(self.small, self.angles, axis, self.workers)
            self.good, self.strange = np.flatnonzero(found.heights > coarse.SIGNIFICANT), {}
            if len(self.good) < self.settings.least_views:
                break  # which the caller refuses
            self.note("placed", fit)
            fit = self.without_strangers(fit, strict=False)
            fit = find_slab(fit, self.chosen, self.workers)
            self.note("slab", fit)
            if self.settings.axis_search or unsure:
                fit, _ = tilt_axis.refine(fit, self.chosen, self.workers, 1.5, 0.5)
                self.note("axis", fit)
            if abs(fit.frame.axis - axis) < _TURNED:
                break
            axis = tilt_axis.wrapped(fit.frame.axis) if unsure else fit.frame.axis
        return fit

    def without_strangers(self, fit: Fit, *, strict: bool) -> Fit:
        """Leave out views that show something else; ``strict``: all that are no likelier with the others than alone."""
        evidence = fit.joint(self.workers).evidence(fit.grid)
        out = evidence <= 0 if strict else views.strangers(evidence)
        if not out.any():
            return fit
        self.strange |= {int(self.good[at]): float(evidence[at]) for at in np.flatnonzero(out)}
        kept = np.flatnonzero(~out)
        self.good = self.good[kept]
        return match(self.chosen, fit.frame.part(kept), fit.model.part(kept), fit.band, self.workers)

    def refined(self, fit: Fit) -> tuple[Fit, float, float]:
        """Climb with finer detail; return the fit and the expected errors of axis and offset, degrees."""
        axis_error = offset_error = float("nan")
        shape = fit.band.shape
        fit = match(self.chosen, centred(fit.frame), fit.model, tilt_axis.coarse_band(shape, _MEDIUM), self.workers)
        fit = find_slab(fit, self.chosen, self.workers, (0.8, 1.0, 1.25))
        self.note("finer", fit)
        if self.settings.axis_search:
            fit, axis_error = tilt_axis.refine(fit, self.chosen, self.workers, 0.5, 0.2)
        if self.settings.offset_search:
            fit, offset_error = offset.refine(fit, self.chosen, self.workers, 1.0, 0.4)
        self.note("axis and offset", fit)
        fit = match(self.chosen, centred(fit.frame), fit.model, tilt_axis.coarse_band(shape, _FINE), self.workers)
        if self.settings.axis_search:
            fit, _ = tilt_axis.refine(fit, self.chosen, self.workers, 0.3, 0.3)
            fit, axis_error = turning.refine(fit, self.chosen, self.workers)
        self.note("finest", fit)
        return fit, axis_error, offset_error

    def heights(self, fit: Fit) -> Array:
        """The peaks [views] of all views, those not placed too, against all others."""
        heights, good = np.zeros(len(self.angles)), self.good
        references = fit.joint(self.workers).predicted(fit.grid)
        heights[good] = coarse.highest(fit.band, references, fit.grid, self.workers)[1]
        for t in np.setdiff1d(np.arange(len(self.angles)), good):
            angles = np.append(fit.frame.angles, self.angles[t] + self.offset(fit))
            near = fit.frame.shifts[np.abs(fit.frame.angles - angles[-1]).argmin()]
            frame = replace(fit.frame, angles=angles, shifts=np.vstack([fit.frame.shifts, near]))
            model = fit.model.part(np.append(np.arange(len(good)), 0))
            reference = predict(fit.band, frame, model, fit.grid, self.workers)
            alone = replace(frame, angles=angles[-1:], shifts=near[None])
            own = spectra(self.small.select(np.array([t])), alone, fit.band, self.workers)
            heights[t] = coarse.highest(fit.band, reference[None], own, self.workers)[1][0]
        return heights

    def offset(self, fit: Fit) -> float:
        """Degrees added to all tilts."""
        return float(fit.frame.angles[0] - self.angles[self.good[0]])

    def note(self, name: str, fit: Fit) -> None:
        """Write a round down."""
        thickness = fit.model.thickness * self.pixel
        self.trace.append(Round(name, fit.frame.axis, self.offset(fit), thickness, fit.log_likelihood))
