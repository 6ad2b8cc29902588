"""Alignment of a tilt series without markers: views and angles in, their geometry and its quality out.

First coarsely (``coarse``), then the joint likelihood of all views (``likelihood``, ``matching``) is climbed in rounds
of finer detail, with the slab's thickness, the direction of the axis (``axis``) and the tilt offset (``offset``).
"""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.motion.parallel import Threads
from pypcore.tilts import axis as tilt_axis
from pypcore.tilts import coarse, offset, views
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tilts.likelihood import predict
from pypcore.tilts.matching import Fit, centred, find_slab, match
from pypcore.tilts.settings import AlignSettings
from pypcore.tilts.small import SmallSeries, Tilts, shrink
from pypcore.tilts.stretch import Frame, spectra
from pypcore.tilts.views import BadView
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

_MEDIUM, _FINE = 0.12, 0.25  # cycles per small px up to which views are compared
_SCANNED = 128  # px: longer side of the copies that axes all around are tried on
_TURNED = 3.0  # degrees: an axis that far from where the views were placed places them anew


@dataclass(frozen=True)
class Round:
    """What one round of alignment came to."""

    name: str
    axis: float  # degrees
    offset: float  # degrees
    thickness: float  # Å
    log_likelihood: float


@dataclass(frozen=True)
class Aligned:
    """The alignment of a series of T views, and what is known of its quality.

    Of a view left out the alignment holds where it would lie by its neighbours; ``alignment.used`` says which those
    are and ``bad`` why. ``error`` [T] is the expected error of a view's shift, Å (NaN where left out), the specimen's
    own place, which nothing tells, apart; ``heights`` [T] of its peak against all others, in standard deviations of
    the correlation map; ``agreement`` [T] the correlation between a view and what the others predict of it, over the
    band that was compared, noise included.
    """

    alignment: TiltAlignment
    error: Array
    heights: Array
    agreement: Array
    bad: list[BadView]
    thickness: float  # Å, of the slab that explains the views best
    faces: float  # share of the power that lies on its faces
    axis_error: float  # degrees, expected; NaN where it was not searched
    offset_error: float  # degrees, expected; NaN where it was not searched
    trace: list[Round]
    scanned: list[tuple[float, float]] = field(default_factory=list)  # (axis, how well views agreed) where searched


def align(
    tilts: Tilts,
    angles: Array,
    pixel_size: float,
    axis: float | None,
    settings: AlignSettings,
    threads: Threads,
    log: logging.Logger,
    *,
    on_gpu: bool = False,
) -> Aligned:
    """Align views [T, y, x], in any order, of tilt ``angles`` [T] degrees.

    Args:
        tilts: any real type, as recorded (counts) or normalised; whatever has a shape and gives an image for an index.
        angles: as the stage had them, degrees.
        pixel_size: Å.
        axis: degrees counter-clockwise from y, to 6 degrees or so; None: not known, searched all around. The
            other hand, an axis half a turn away, can't be told from images, and is not tried.
        settings: what to look for.
        threads: that may work.
        log: is told what was found.
        on_gpu: compare views on the current device; what comes before, the small copies, is made by threads.
    """
    angles = np.asarray(angles, float)
    _check(tilts, angles)
    workers = Workers(threads, on_gpu=on_gpu)
    small = shrink(tilts, settings.longest, threads)
    bad = views.unusable(small, angles)
    usable = np.setdiff1d(np.arange(len(angles)), [one.view for one in bad])
    _enough(len(usable), bad, settings)
    kept = small.select(usable)
    scanned: list[tuple[float, float]] = []
    if axis is None:
        tiny = shrink(tilts, _SCANNED, threads).select(usable)
        axis, scanned = tilt_axis.scan(tiny, angles[usable], workers)
        log.info("tilt axis, all around: %.0f degrees", axis)

    run = _Run(kept, angles[usable], pixel_size, settings, workers)
    fit = run.placed(axis, bool(scanned))
    _enough(len(run.good), bad, settings)
    fit, axis_error, offset_error = run.refined(fit)

    fit = run.without_strangers(fit, strict=True)
    heights = run.heights(fit)
    for t in np.setdiff1d(np.arange(len(usable)), run.good):
        bad.append(
            views.unmatched(int(usable[t]), float(angles[usable[t]]), float(heights[t]), run.strange.get(int(t)))
        )
    bad.sort(key=lambda one: one.view)
    _enough(len(run.good), bad, settings)
    for one in bad:
        log.warning("view %d (%.1f degrees) left out: %s", one.view + 1, one.angle, one.reason)
    return _assemble(small, angles, usable[run.good], fit, run, bad, heights, usable, axis_error, offset_error, scanned)


class _Run:
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
            fit, axis_error = tilt_axis.refine(fit, self.chosen, self.workers, 0.3, 0.3)
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
            frame = Frame(fit.frame.axis, angles, np.vstack([fit.frame.shifts, near]))
            model = fit.model.part(np.append(np.arange(len(good)), 0))
            reference = predict(fit.band, frame, model, fit.grid, self.workers)
            alone = Frame(frame.axis, frame.angles[-1:], near[None])
            own = spectra(self.small.select(np.array([t])), alone, fit.band, self.workers)[0]
            heights[t] = coarse.highest(fit.band, reference[None], own[None], self.workers)[1][0]
        return heights

    def offset(self, fit: Fit) -> float:
        """Degrees added to all tilts."""
        return float(fit.frame.angles[0] - self.angles[self.good[0]])

    def note(self, name: str, fit: Fit) -> None:
        """Write a round down."""
        thickness = fit.model.thickness * self.pixel
        self.trace.append(Round(name, fit.frame.axis, self.offset(fit), thickness, fit.log_likelihood))


def _assemble(
    small: SmallSeries,
    angles: Array,
    good: NDArray[np.intp],
    fit: Fit,
    run: _Run,
    bad: list[BadView],
    found: Array,
    usable: NDArray[np.intp],
    axis_error: float,
    offset_error: float,
    scanned: list[tuple[float, float]],
) -> Aligned:
    """Put what was found of the ``good`` views into the terms of the whole series as recorded."""
    count = len(angles)
    tilt_offset = float(fit.frame.angles[0] - angles[good[0]])
    order = np.argsort(angles[good], kind="stable")
    shifts = np.stack([np.interp(angles, angles[good][order], fit.frame.shifts[order, i]) for i in range(2)], -1)
    shifts[good] = fit.frame.shifts
    used = np.zeros(count, bool)
    used[good] = True
    error, heights, agreement = (np.full(count, np.nan) for _ in range(3))
    error[good] = np.hypot(*fit.error.T) * run.pixel
    heights[usable] = found
    agreement[good] = agreements(fit, run.workers)
    alignment = TiltAlignment.of_axis(angles, fit.frame.axis, shifts * small.step, small.shape, run.pixel_size)
    alignment = replace(alignment, used=used, angle_offset=tilt_offset)
    return Aligned(
        alignment,
        error,
        heights,
        agreement,
        bad,
        fit.model.thickness * run.pixel,
        fit.model.faces,
        axis_error,
        offset_error,
        run.trace,
        scanned,
    )


def agreements(fit: Fit, workers: Workers) -> Array:
    """The correlation [T] of each view with what all others predict of it, where the prediction is worth something."""
    predicted = fit.joint(workers).predicted(fit.grid)
    together = np.einsum("tjbn,tjbn->t", np.conj(predicted), fit.grid).real
    own = [np.sqrt(np.einsum("tjbn,tjbn->t", np.conj(one), one).real) for one in (predicted, fit.grid)]
    return np.asarray(together / np.maximum(own[0] * own[1], 1e-30))


def _check(tilts: Tilts, angles: Array) -> None:
    if len(tilts.shape) != 3 or tilts.shape[0] != len(angles):
        raise InputError(f"{len(angles)} tilt angles for images of shape {tilts.shape}; one belongs to each image")
    if not np.isfinite(angles).all():
        raise InputError("a tilt angle is NaN or infinite; correct the file of angles")
    if len(angles) > 1 and np.ptp(angles) == 0:
        raise InputError(f"all {len(angles)} tilt angles are {angles[0]:g}; a series has different ones")
    if min(tilts.shape[1:]) < 64:
        raise InputError(f"images of {tilts.shape[2]} x {tilts.shape[1]} px; 64 or more a side can be aligned")


def _enough(count: int, bad: list[BadView], settings: AlignSettings) -> None:
    if count < settings.least_views:
        why = "; ".join(f"view {one.view + 1}: {one.reason}" for one in bad[:3])
        raise InputError(f"only {count} views can be aligned, {settings.least_views} are needed ({why})")
