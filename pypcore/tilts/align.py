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
from pypcore.tilts import isolated, local, views
from pypcore.tilts.alignment import LocalShifts, TiltAlignment
from pypcore.tilts.matching import Fit
from pypcore.tilts.rounds import Round, Rounds
from pypcore.tilts.settings import AlignSettings
from pypcore.tilts.small import SmallSeries, Tilts, shrink
from pypcore.tilts.views import BadView
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

_ISOLATED = {"auto": None, "slab": False, "isolated": True}
_SCANNED = 128  # px: longer side of the copies that axes all around are tried on


@dataclass(frozen=True)
class LocalFound:
    """How far patches move beyond the whole view, and the expected error of that, both Å rms."""

    shift: float
    error: float


@dataclass(frozen=True)
class Aligned:
    """The alignment of a series of T views, and what is known of its quality.

    Of a view left out the alignment holds where it would lie by its neighbours; ``alignment.used`` says which those
    are and ``bad`` why. ``error`` [T] is the expected error of a view's shift, Å (NaN where left out), the specimen's
    own place, which nothing tells, apart; ``heights`` [T] of its peak against all others, in standard deviations of
    the correlation map; ``agreement`` [T] the correlation between a view and what the others predict of it, over the
    band that was compared, noise included. ``local`` is None where it wasn't asked for, or nothing tells of it.
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
    local: LocalFound | None = None
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
        on_gpu: compare views on the current device; threads make the small copies, and look at isolated objects and at
            the pictures of patches.
    """
    angles = np.asarray(angles, float)
    _check(tilts, angles)
    workers = Workers(threads, on_gpu=on_gpu)
    small = shrink(tilts, settings.longest, threads, isolated=_ISOLATED[settings.specimen])
    bad = views.unusable(small, angles)
    usable = np.setdiff1d(np.arange(len(angles)), [one.view for one in bad])
    _enough(len(usable), bad, settings)
    kept = small.select(usable)
    if small.isolated:
        tiny = shrink(tilts, _SCANNED, threads, isolated=True).select(usable) if settings.axis_search else None
        return _isolated(small, tiny, angles, usable, bad, pixel_size, axis, settings, threads, log)
    scanned: list[tuple[float, float]] = []
    if axis is None:
        tiny = shrink(tilts, _SCANNED, threads, isolated=False).select(usable)
        axis, scanned = tilt_axis.scan(tiny, angles[usable], workers)
        log.info("tilt axis, all around: %.0f degrees", axis)

    run = Rounds(kept, angles[usable], pixel_size, settings, workers)
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
    bent = None
    if settings.local != (0, 0):
        bent = local.bend(fit, run.chosen, settings.local, workers)
        if bent is None:
            log.warning("local shifts: the views tell of none, they are aligned as a whole")
    for one in bad:
        log.warning("view %d (%.1f degrees) left out: %s", one.view + 1, one.angle, one.reason)
    found = _assemble(
        small, angles, usable[run.good], fit, run, bad, heights, usable, axis_error, offset_error, scanned
    )
    return found if bent is None else _bent(found, bent, fit, small.step, settings.local)


def _assemble(
    small: SmallSeries,
    angles: Array,
    good: NDArray[np.intp],
    fit: Fit,
    run: Rounds,
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
    shifts = _between(angles, good, fit.frame.shifts)
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
        scanned=scanned,
    )


def _isolated(
    small: SmallSeries,
    tiny: SmallSeries | None,
    angles: Array,
    usable: NDArray[np.intp],
    bad: list[BadView],
    pixel_size: float,
    axis: float | None,
    settings: AlignSettings,
    threads: Threads,
    log: logging.Logger,
) -> Aligned:
    """Align the views of an isolated object; ``tiny``: those usable, where the axis is to be found."""
    log.info("the specimen is taken for an isolated object in empty space (else give the specimen as a slab)")
    if settings.local != (0, 0):
        log.warning("local shifts: not looked for in an isolated object")
    scanned: list[tuple[float, float]] = []
    if axis is None and tiny is None:
        raise InputError("the tilt axis is neither known nor to be searched; give it, or let it be found")
    if tiny is not None:
        found_axis, scanned = isolated.scan(tiny, angles[usable], threads, axis, tilt_axis.GUESS)
        axis = tilt_axis.wrapped(found_axis) if axis is None else found_axis
        log.info("tilt axis, by the profiles along it: %.1f degrees", axis)
    assert axis is not None
    placed = isolated.place(small.select(usable), angles[usable], axis, threads)
    for t in np.flatnonzero(~placed.shown):
        bad.append(BadView(int(usable[t]), float(angles[usable[t]]), placed.reason(int(t))))
    bad.sort(key=lambda one: one.view)
    good = usable[placed.shown]
    _enough(len(good), bad, settings)
    for one in bad:
        log.warning("view %d (%.1f degrees) left out: %s", one.view + 1, one.angle, one.reason)
    shifts = _between(angles, good, placed.shifts[placed.shown])
    used = np.zeros(len(angles), bool)
    used[good] = True
    error, agreement = (np.full(len(angles), np.nan) for _ in range(2))
    error[good] = np.hypot(*placed.error[placed.shown].T) * small.step * pixel_size
    agreement[good] = placed.likeness[placed.shown]
    alignment = TiltAlignment.of_axis(angles, axis, shifts * small.step, small.shape, pixel_size)
    thickness = placed.width * small.step * pixel_size
    nan = float("nan")
    nowhere = np.full(len(angles), nan)
    return Aligned(
        replace(alignment, used=used), error, nowhere, agreement, bad, thickness, 0.0, nan, nan, [], scanned=scanned
    )


def _between(angles: Array, good: NDArray[np.intp], shifts: Array) -> Array:
    """Return the shifts [T, 2] of all views from those of the ``good``: the others lie between their neighbours."""
    order = np.argsort(angles[good], kind="stable")
    every = np.stack([np.interp(angles, angles[good][order], shifts[order, i]) for i in range(2)], -1)
    every[good] = shifts
    return every


def _bent(found: Aligned, bent: local.Local, fit: Fit, step: int, numbers: tuple[int, int]) -> Aligned:
    """Return the same with local shifts; what all patches share goes to the views' own."""
    alignment = found.alignment
    shifts = alignment.shifts.copy()
    shifts[alignment.used] += bent.whole() * step
    part = bent.nodes(fit.frame.angles, step, alignment.aligned_shape, numbers).nodes
    nodes = np.zeros((len(alignment), *part.shape[1:]))
    nodes[alignment.used] = part
    pixel = step * alignment.pixel_size
    return replace(
        found,
        alignment=replace(alignment, shifts=shifts, local=LocalShifts(nodes)),
        local=LocalFound(bent.rms * pixel, bent.bend.error * pixel),
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
