"""From small frames to the motion field: a coarse start, then rounds of likelihood and prior."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.motion import coarse, marginal, outliers
from pypcore.motion.field import MotionField
from pypcore.motion.on_cpu import Stages
from pypcore.motion.patches import DamageCurve, choose_patches
from pypcore.motion.prior import Fit, Layout, Prior, Strengths
from pypcore.motion.settings import MotionSettings
from pypcore.motion.small import SmallMovie, group_of
from pypcore.motion.strengths import choose

Array = NDArray[np.float64]

_ROUNDS = 8
_CHOOSE = (1, 2)  # rounds in which the strengths are chosen: the start has settled, the signal is known
_CLOSE = 0.02  # unbinned px: no patch of any frame moved more in the last round
_LEAP = 3.0  # unbinned px a round may move anything
_NODES = 25  # of the field's grid along the longer side
_CHECKED = 4  # points along each axis at which the posterior error is evaluated
_SHARED = np.array([1 / 25.0])  # 1/Å: where most of what whole frames share is
_FINE = np.array([1 / 4.0])  # 1/Å
_BELIEVED = 8.0  # log evidence for a motion, where no correlation peak stands for it


@dataclass(frozen=True)
class PatchFindings:
    """What each patch had to say."""

    centres: Array  # [P, 2] (y, x), unbinned px
    level: Array  # [P]: power of its signal, 1 on average
    misfit: Array  # [P]: squared pull on the field at the end, over what is usual
    unlike: NDArray[np.bool_]  # [P]: pulls too hard, and was held back


@dataclass(frozen=True)
class Estimate:
    """A motion field and what is known of its quality."""

    field: MotionField
    error: Array  # [T], posterior rms of the 2-D motion about its time mean, Å; NaN where nothing was found
    spread: Array  # [T], posterior rms an axis about the mean weighted by what frames carry at 4 Å, Å; 0 likewise
    start: coarse.Start
    poor: NDArray[np.bool_]  # [T]: frames with too little signal in common with the others
    amplitude: Array  # [T]: what each frame was taken to count for, 1 but for poor ones
    strengths: Strengths | None  # None: nothing to align on
    evidence: float  # log, over no motion at all
    local_evidence: float  # log, over the frame moving as one
    numbers: tuple[int, int]  # patches (x, y)
    patches: PatchFindings | None
    rounds: int


def estimate(
    small: SmallMovie,
    stages: Stages,
    shape: tuple[int, int],
    used: range,
    settings: MotionSettings,
    log: logging.Logger,
) -> Estimate:
    """Find the motion of the frames ``used`` of a movie of ``shape`` (height, width)."""
    dose, pixel = settings.nominal_dose, settings.pixel_size
    at_frames = (np.array(used) + 0.5) * dose  # since the beam came on
    groups = group_of(len(used), settings.group)
    sizes = np.bincount(groups)
    exposures = np.bincount(groups, at_frames) / sizes
    damaging = exposures + settings.pre_dose if settings.dose else None
    numbers = settings.patches if settings.patches is not None else choose_patches(*shape, pixel)

    spectra, k = stages.reduced(small, pixel)
    start = coarse.align(spectra, k, DamageCurve(damaging, sizes, settings.voltage)(_SHARED)[:, 0])
    del spectra
    poor = outliers.poor_frames(start.quality, start.height)
    amplitude = outliers.amplitudes(start.quality, poor)
    left = DamageCurve(damaging, sizes, settings.voltage, amplitude)
    patterned = start.pattern > coarse.PATTERN
    patches = stages.patches(small, numbers, pixel, left, axes=not patterned)
    layout = Layout(exposures, patches.centres, float(max(shape)), local=numbers != (0, 0))
    _tell_start(start, poor, groups, settings.first, log)

    d = np.repeat(start.displacements[None], len(patches.centres), 0)
    signal = patches.measure(d)
    strengths = Strengths()
    misfits = np.ones(len(patches.centres))
    fit: Fit
    for done in range(1, _ROUNDS + 1):
        data = patches.evaluate(d, signal)
        if done > 1:
            misfits = outliers.misfit(data)
        level, signal = signal.level, data.signal
        data = outliers.held_back(data, misfits)
        if done - 1 in _CHOOSE:
            fit = choose(layout, strengths, data, d * pixel)
            strengths = fit.prior.strengths
        else:
            fit = Prior(layout, strengths).solve(data, d * pixel)
        motion = fit.whole_at(exposures)[None] + fit.local_at(exposures, patches.centres)
        step = motion / pixel - d
        step -= step.mean((0, 1))  # a shift common to all frames is anyone's choice: keep the start's
        step = np.clip(step, -_LEAP, _LEAP)
        around, d = d * pixel, d + step
        if done > max(_CHOOSE) + 1 and np.abs(step).max() < _CLOSE:
            break
    damaging = at_frames + settings.pre_dose if settings.dose else None
    carried = DamageCurve(damaging, 1, settings.voltage, amplitude[groups])(_FINE)[:, 0] ** 2
    error, spread = marginal.errors(fit, data, around, at_frames, _points(shape), [np.ones(len(used)), carried])
    at_rest = Prior(layout, replace(strengths, local=0.0)).solve(data, around).evidence
    found = Estimate(
        field=_field(fit, at_frames, shape, pixel),
        error=error,
        spread=spread / np.sqrt(2),
        start=start,
        poor=poor[groups],
        amplitude=amplitude[groups],
        strengths=strengths,
        evidence=fit.evidence,
        local_evidence=fit.evidence - at_rest if fit.local.size else 0.0,
        numbers=numbers,
        patches=PatchFindings(patches.centres, level, misfits, outliers.unlike(misfits)),
        rounds=done,
    )
    if start.group == 0 and fit.evidence < _BELIEVED:
        log.warning("no frame correlates with the others (peak %.1f sd): taken as not moving", start.height)
        count = len(used)
        return replace(
            found,
            field=MotionField(np.zeros((count, 2)), np.zeros((count, 2, 1, 1)), np.zeros(1), np.zeros(1), shape),
            error=np.full(count, np.nan),
            spread=np.zeros(count),
            strengths=None,
            evidence=0.0,
            local_evidence=0.0,
            patches=None,
        )
    _tell_fit(found, layout.local, at_frames, settings.first, log)
    return found


def _tell_start(
    start: coarse.Start, poor: NDArray[np.bool_], groups: NDArray[np.intp], first: int, log: logging.Logger
) -> None:
    if start.pattern > coarse.PATTERN:
        log.warning(
            "rows or columns stand still on the detector (%.1f times the specimen's power there; a wrong gain?): "
            "they are left out of the alignment, not of the sum",
            start.pattern,
        )
    if start.group > 1:
        log.warning("single frames do not correlate: sums of %d were compared to begin with", start.group)
    if poor.any():
        for t in np.flatnonzero(poor[groups]):
            share = max(float(start.quality[groups][t]), 0.0)
            log.warning(
                "frame %d has little signal in common with the others (%.0f %% of what it should): weighted down",
                first + t,
                100 * share,
            )


def _tell_fit(found: Estimate, local: bool, at_frames: Array, first: int, log: logging.Logger) -> None:
    assert found.strengths is not None
    log.info("%d rounds, log evidence %.0f over no motion, %s", found.rounds, found.evidence, found.strengths)
    if found.evidence <= 0:
        log.info("no motion is seen (log evidence %.1f)", found.evidence)
    if local and found.strengths.local == 0:
        log.info("too little signal for a local motion, or none: the frame is taken to move as one")
    elif local:
        log.info("local motion: log evidence %.1f over the frame moving as one", found.local_evidence)
    for step in found.strengths.steps:
        after = int(np.searchsorted(at_frames, step))
        log.info("the specimen jumps between frames %d and %d", first + after - 1, first + after)
    if found.patches is not None and found.patches.unlike.any():
        places = found.patches.centres[found.patches.unlike]
        shown = ", ".join(f"({x:.0f}, {y:.0f})" for y, x in places[:5]) + (", ..." if len(places) > 5 else "")
        log.warning("%d patches do not fit a smooth motion, held back: x, y = %s", len(places), shown)


def _points(shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return points [N, 2] over the field and weights [N] that add up to 1: a mean over the field, rim and all.

    Gauss's nodes: what is as smooth as an error is averaged exactly, where even points would miss the rim.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_CHECKED)
    ys, xs = ((nodes + 1) / 2 * (n - 1) for n in shape)
    return np.array([(y, x) for y in ys for x in xs]), np.outer(weights, weights).ravel() / 4


def _field(fit: Fit, at: Array, shape: tuple[int, int], pixel: float) -> MotionField:
    whole = fit.whole_at(at) / pixel
    if not fit.local.size:
        grid_y, grid_x = np.zeros(1), np.zeros(1)
        local = np.zeros((len(at), 2, 1, 1))
    else:
        nodes = (max(4, round(_NODES * n / max(shape))) for n in shape)
        grid_y, grid_x = (np.linspace(0, n - 1, m) for n, m in zip(shape, nodes, strict=True))
        points = np.array([(y, x) for y in grid_y for x in grid_x])
        flat = fit.local_at(at, points) / pixel  # [N, T, 2]
        local = flat.transpose(1, 2, 0).reshape(len(at), 2, grid_y.size, grid_x.size)
    local = local - local[0]
    mean = local.mean((2, 3))
    whole = whole + mean
    return MotionField(whole - whole[0], local - mean[:, :, None, None], grid_y, grid_x, shape)
