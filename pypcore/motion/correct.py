"""One movie in, one motion-corrected micrograph out."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pypcore.errors import InputError
from pypcore.motion.estimate import Estimate, estimate
from pypcore.motion.field import MotionField
from pypcore.motion.figures import figures, travel
from pypcore.motion.frames import Frames, FrameSource
from pypcore.motion.magnification import Stretched
from pypcore.motion.memory import Work, plan_memory
from pypcore.motion.parallel import Threads
from pypcore.motion.patches import choose_patches
from pypcore.motion.settings import MotionSettings
from pypcore.motion.small import decimation, shrink
from pypcore.motion.spectrum import group_factors, power_spectrum
from pypcore.motion.summing import Combine, Grid, Warp
from pypcore.motion.weights import blur_aware_weights, dose_weights, low_rank

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
    log: logging.Logger | None = None,
    progress: Callable[[float], None] | None = None,
) -> Corrected:
    """Align the frames of ``movie`` and add them up.

    ``gain`` (h, w) multiplies the counts, 0 marks a bad pixel; ``defects`` (h, w) is true at bad pixels.
    ``threads`` threads are used; ``memory`` bytes decide whether frames are kept or decoded again (the work of
    a process of its own is assumed). The result depends on neither. ``progress`` is told shares of 1.
    Raises InputError for what is wrong with the movie, or with the gain or defects beside it.
    """
    # One BLAS thread: ours are busy already, and sums must not depend on how many there are.
    with threadpool_limits(1, user_api="blas"):
        return _correct(movie, settings, gain, defects, threads, memory, log or _LOG, progress or (lambda share: None))


def _correct(
    movie: FrameSource,
    settings: MotionSettings,
    gain: Image | None,
    defects: NDArray[np.bool_] | None,
    threads: int,
    memory: int,
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
    plain = _Weighting(_plain_weights(used, combine.k, settings), settings)
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
        found = estimate(shrink(frames, step, settings.group, workers), shape, used, settings, workers, log)
        tell(0.5)
        weighting = plain
        if blurred:
            at = settings.pre_dose + (np.array(used) + 0.5) * settings.dose
            blur = travel(found, settings), found.spread, found.amplitude
            weighting = _Weighting(blur_aware_weights(at, combine.k, settings.voltage, *blur), settings)
        stretched = settings.magnification
        warp = Warp(found.field if stretched is None else Stretched(found.field, *stretched))
        images = _combined(warp, frames, weighting, plan.sums, combine, workers, keep=settings.power_spectrum)
        tell(0.9)
        spectrum = pixel = None
        if settings.power_spectrum:
            groups = group_factors(len(used), settings.nominal_dose)
            sums = (
                image
                for low in range(0, groups.shape[1], plan.sums)
                for image in warp.add(frames, groups[:, low : low + plan.sums], workers)
            )
            spectrum, pixel = power_spectrum(sums, shape, settings.pixel_size)
    tell(1.0)
    shown = figures(found, frames, used, settings)
    if pixel is not None:
        shown["power_spectrum_pixel_size"] = pixel
    return Corrected(
        micrograph=images["micrograph"],
        unweighted=images.get("unweighted"),
        even=images.get("even"),
        odd=images.get("odd"),
        power_spectrum=spectrum,
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


class _Weighting:
    """Factors of the sums made in one pass, and the radial curves that turn them into each image."""

    def __init__(self, weights: Array, settings: MotionSettings) -> None:
        """Split ``weights`` [T, K]."""
        count = len(weights)
        a, b = low_rank(weights)
        weighted = [(r, curve) for r, curve in enumerate(b)]
        flat = weighted
        if settings.save_unweighted and settings.dose_weighting:
            a = np.hstack([a, np.ones((count, 1))])
            flat = [(len(b), np.ones(weights.shape[1]))]
        self.curves: dict[str, list[tuple[int, Array]]] = {}  # image -> (sum, curve)
        halves = [0]
        self.factors = a
        if settings.even_odd:
            odd = (np.arange(count) % 2 == 0)[:, None]  # the first frame is number 1
            self.factors = np.hstack([a * odd, a * ~odd])
            halves = [0, a.shape[1]]
            for name, first in (("odd", 0), ("even", a.shape[1])):
                self.curves[name] = [(first + r, curve) for r, curve in weighted]
        self.curves["micrograph"] = [(first + r, curve) for first in halves for r, curve in weighted]
        if settings.save_unweighted:
            self.curves["unweighted"] = [(first + r, curve) for first in halves for r, curve in flat]


def _combined(
    warp: Warp,
    frames: Frames,
    weighting: _Weighting,
    at_once: int,
    combine: Combine,
    threads: Threads,
    *,
    keep: bool,
) -> dict[str, Image]:
    """Make all images, ``at_once`` sums in one pass over the frames; unless ``keep``, these are let go then."""
    spectra = {name: combine.empty() for name in weighting.curves}
    for low in range(0, weighting.factors.shape[1], at_once):
        sums = warp.add(frames, weighting.factors[:, low : low + at_once], threads)
        if not keep and low + at_once >= weighting.factors.shape[1]:
            frames.release()
        for r, spectrum in enumerate(threads.map(combine.spectrum, sums), low):
            for name, parts in weighting.curves.items():
                for number, curve in parts:
                    if number == r:
                        combine.add(spectrum, curve, spectra[name])
        del sums, spectrum  # before the next are made
    return dict(zip(spectra, threads.map(combine.image, spectra.values()), strict=True))
