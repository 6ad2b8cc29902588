"""One movie in, one motion-corrected micrograph out."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pypcore.compute import CPU, Compute
from pypcore.errors import InputError
from pypcore.motion.estimate import Estimate, estimate
from pypcore.motion.field import MotionField
from pypcore.motion.figures import figures, travel
from pypcore.motion.frames import Frames, FrameSource
from pypcore.motion.magnification import Stretched
from pypcore.motion.memory import Work, plan_memory
from pypcore.motion.on_cpu import OnCpu, Stages
from pypcore.motion.parallel import Threads
from pypcore.motion.patches import choose_patches
from pypcore.motion.settings import MotionSettings
from pypcore.motion.small import decimation
from pypcore.motion.spectrum import PowerSpectrum, group_factors
from pypcore.motion.summing import Combine, Grid, Warp
from pypcore.motion.weighting import Weighting
from pypcore.motion.weights import blur_aware_weights, dose_weights

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_LOG = logging.getLogger(__name__)
SMALLEST = 64  # pixels
_BLUR_TERMS = 2  # sums beside those of the damage: memory is planned before the blur is known


@dataclass(frozen=True)
class Corrected:
    """What comes of a movie.

    Images are scaled as RELION's: the unweighted one is the sum of counts over frames, weights are normalised to
    a sum of squares of 1 (so noise stays white), and binning averages.
    """

    micrograph: Image  # dose-weighted if that was asked for
    unweighted: Image | None
    even: Image | None  # sums of frames 2, 4, ... of those used, weighted like the micrograph: even + odd = micrograph
    odd: Image | None
    power_spectrum: Image | None  # [512, 512]
    pixel_size: float  # Å, of the images
    field: MotionField
    estimate: Estimate
    hot_pixels: NDArray[np.intp]  # [n, 2] (y, x)
    figures: dict[str, Any]


def correct_movie(
    movie: FrameSource,
    settings: MotionSettings,
    *,
    gain: Image | None = None,
    defects: NDArray[np.bool_] | None = None,
    threads: int = 1,
    memory: int = 4 * 2**30,
    compute: Compute = CPU,
    log: logging.Logger | None = None,
    progress: Callable[[float], None] | None = None,
) -> Corrected:
    """Align the frames of ``movie`` and add them up.

    ``gain`` (h, w) multiplies the counts, 0 marks a bad pixel; ``defects`` (h, w) is true at bad pixels.
    ``threads`` threads are used; ``memory`` bytes decide whether frames are kept or decoded again (the work of
    a process of its own is assumed). The result depends on neither. ``compute`` says where: what the CPU and GPUs
    give differs in the last bits. ``progress`` is told shares of 1.
    Raises InputError for what is wrong with the movie, or with the gain or defects beside it.
    """
    # One BLAS thread: ours are busy already, and sums must not depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        said = log or _LOG, progress or (lambda share: None)
        return _correct(movie, settings, gain, defects, threads, memory, compute, *said)


def _correct(
    movie: FrameSource,
    settings: MotionSettings,
    gain: Image | None,
    defects: NDArray[np.bool_] | None,
    threads: int,
    memory: int,
    compute: Compute,
    log: logging.Logger,
    tell: Callable[[float], None],
) -> Corrected:
    used = _used(movie, settings)
    shape = movie.shape[1:]
    if min(shape) < SMALLEST:
        raise InputError(
            f"{movie.path}: frames of {shape[1]} x {shape[0]} pixels; {SMALLEST} x {SMALLEST} are the least that can "
            "be aligned; is this a movie?"
        )
    for name, image in (("gain reference", gain), ("defect map", defects)):
        if image is not None and image.shape != shape:
            raise InputError(
                f"{movie.path}: frames of {shape[1]} x {shape[0]} pixels, but a {name} of {image.shape[1]} x "
                f"{image.shape[0]}; both have one size; check that they belong together and how it is rotated"
            )
    if gain is not None and not np.isfinite(gain).all():
        raise InputError(
            f"{movie.path}: the gain reference has values that are NaN or infinite; bad pixels are 0; make it again"
        )
    step = decimation(settings.pixel_size, shape)
    grid = Grid.of(shape, settings.binning)
    combine = Combine(grid, settings.pixel_size)
    plain = Weighting(_plain_weights(used, combine.k, settings), settings)
    blurred = settings.dose_weighting and settings.weights == "blur-aware"
    halves = 1 + settings.even_odd
    sums = min(plain.factors.shape[1] + _BLUR_TERMS * halves * blurred, len(used) * halves)
    work = Work(
        shape=(len(used), *shape),
        dtype=movie.dtype,
        step=step,
        group=settings.group,
        numbers=choose_patches(*shape, settings.pixel_size) if settings.patches is None else settings.patches,
        sums=sums,
        images=len(plain.curves),
        threads=threads,
        again=settings.power_spectrum,
    )
    plan = plan_memory(work, memory)
    if plan.needed > memory:
        log.warning("%s: needs about %.1f GB of memory, %.1f are allowed", movie.path, plan.needed / 1e9, memory / 1e9)
    with Threads(threads) as workers:
        frames = Frames(movie, used, gain, defects, workers, keep=plan.keep, ahead=plan.ahead)
        tell(0.2)
        stages = _stages(compute, frames, workers, log)
        found = estimate(stages.shrink(step, settings.group), stages, shape, used, settings, log)
        tell(0.5)
        weighting = plain
        if blurred:
            at = settings.pre_dose + (np.array(used) + 0.5) * settings.dose
            blur = travel(found, settings), found.spread, found.amplitude
            weighting = Weighting(blur_aware_weights(at, combine.k, settings.voltage, *blur), settings)
        stretched = settings.magnification
        warp = Warp(found.field if stretched is None else Stretched(found.field, *stretched))
        images = stages.images(warp, weighting, combine, plan.sums, keep=settings.power_spectrum)
        tell(0.9)
        spectrum = None
        if settings.power_spectrum:
            spectrum = PowerSpectrum(shape, settings.pixel_size)
            stages.count_in(warp, group_factors(len(used), settings.nominal_dose), spectrum, plan.sums)
    tell(1.0)
    shown = figures(found, frames, used, settings)
    if spectrum is not None:
        shown["power_spectrum_pixel_size"] = spectrum.pixel_size
    return Corrected(
        micrograph=images["micrograph"],
        unweighted=images.get("unweighted"),
        even=images.get("even"),
        odd=images.get("odd"),
        power_spectrum=None if spectrum is None else spectrum.image(),
        pixel_size=settings.pixel_size * float(grid.binning),
        field=found.field,
        hot_pixels=frames.hot_pixels,
        estimate=found,
        figures=shown,
    )


def _used(movie: FrameSource, settings: MotionSettings) -> range:
    count = movie.shape[0]
    last = count if settings.last is None else settings.last
    if last > count or last <= settings.first:
        raise InputError(
            f"{movie.path}: frames {settings.first}-{last} of {count}; two or more are needed, counted from 1; "
            "change first or last"
        )
    return range(settings.first - 1, last)


def _plain_weights(used: range, k: Array, settings: MotionSettings) -> Array:
    """Return RELION's weights [T, K], 1 without dose weighting."""
    if not settings.dose_weighting:
        return np.ones((len(used), k.size))
    return dose_weights(settings.pre_dose + (np.array(used) + 1.0) * settings.dose, k, settings.voltage)


def _stages(compute: Compute, frames: Frames, threads: Threads, log: logging.Logger) -> Stages:
    if not compute.on_gpu:
        return OnCpu(frames, threads)
    from pypcore.motion.gpu.stages import OnGpu  # late: only who was told to computes there

    return OnGpu(frames, compute.ordinals, log)
