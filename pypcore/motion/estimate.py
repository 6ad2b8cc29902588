"""From small frames to the motion field: a coarse start, then rounds of likelihood and prior."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.motion import coarse
from pypcore.motion.field import MotionField
from pypcore.motion.parallel import Threads
from pypcore.motion.patches import DamageCurve, Patches, choose_patches
from pypcore.motion.prior import Fit, Layout, Prior, Strengths
from pypcore.motion.settings import MotionSettings
from pypcore.motion.small import SmallMovie, group_of
from pypcore.motion.strengths import choose

Array = NDArray[np.float64]

_ROUNDS = 6
_CHOOSE = (1, 2)  # rounds in which the strengths are chosen: the start has settled, the signal is known
_CLOSE = 0.02  # unbinned px: no patch of any frame moved more in the last round
_LEAP = 3.0  # unbinned px a round may move anything
_NODES = 25  # of the field's grid along the longer side
_CHECKED = 5  # points along each axis at which the posterior error is evaluated


@dataclass(frozen=True)
class Estimate:
    """A motion field and what is known of its quality."""

    field: MotionField
    error: Array  # [T], posterior rms of the 2-D motion about its time mean, Å
    peak_height: float  # of the coarse correlation, in standard deviations
    strengths: Strengths | None  # None: nothing to align on
    evidence: float
    patches: tuple[int, int]
    rounds: int


def estimate(
    small: SmallMovie,
    shape: tuple[int, int],
    used: range,
    settings: MotionSettings,
    threads: Threads,
    log: logging.Logger,
) -> Estimate:
    """Find the motion of the frames ``used`` of a movie of ``shape`` (height, width)."""
    dose, pixel = settings.nominal_dose, settings.pixel_size
    at_frames = (np.array(used) + 0.5) * dose  # since the beam came on
    groups = group_of(len(used), settings.group)
    sizes = np.bincount(groups)
    exposures = np.bincount(groups, at_frames) / sizes
    left = DamageCurve(exposures + settings.pre_dose if settings.dose else None, sizes, settings.voltage)
    numbers = settings.patches if settings.patches is not None else choose_patches(*shape, pixel)

    start, height = coarse.align(small, pixel, threads)
    if height < coarse.SIGNIFICANT:
        log.warning("no frame correlates with the others (peak %.1f sd): taken as not moving", height)
        none = MotionField(np.zeros((len(used), 2)), np.zeros((len(used), 2, 1, 1)), np.zeros(1), np.zeros(1), shape)
        return Estimate(none, np.full(len(used), np.nan), height, None, 0.0, numbers, 0)

    patches = Patches(small, numbers, pixel, left, threads)
    layout = Layout(exposures, patches.centres, float(max(shape)), local=numbers != (0, 0))
    d = np.repeat(start[None], len(patches.centres), 0)
    signal = patches.measure(d)
    strengths = Strengths()
    fit: Fit
    for done in range(1, _ROUNDS + 1):
        data = patches.evaluate(d, signal)
        signal = data.signal
        if done - 1 in _CHOOSE:
            fit = choose(layout, strengths, data, d * pixel)
            strengths = fit.prior.strengths
        else:
            fit = Prior(layout, strengths).solve(data, d * pixel)
        motion = fit.whole_at(exposures)[None] + fit.local_at(exposures, patches.centres)
        step = motion / pixel - d
        step -= step.mean((0, 1))  # a shift common to all frames is anyone's choice: keep the start's
        step = np.clip(step, -_LEAP, _LEAP)
        d = d + step
        if done > max(_CHOOSE) and np.abs(step).max() < _CLOSE:
            break
    log.info("%d rounds over %d patches, log evidence %.0f, %s", done, len(patches.centres), fit.evidence, strengths)
    field = _field(fit, at_frames, shape, pixel)
    ys, xs = ((np.arange(_CHECKED) + 0.5) / _CHECKED * n for n in shape)
    points = np.array([(y, x) for y in ys for x in xs])
    return Estimate(field, fit.error(at_frames, points), height, strengths, fit.evidence, numbers, done)


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
