"""What motion correction writes for one movie."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pypcore.formats.eer_movie import EerMovie
from pypcore.formats.gain import read_turned, reciprocal
from pypcore.formats.motion_field import FullMotion, write_field
from pypcore.formats.movie_base import Movie
from pypcore.formats.mrc import write_mrc
from pypcore.formats.relion_motion import MotionStar, write_motion
from pypcore.items import Item
from pypcore.motion import Corrected, MotionSettings
from pypcore.motion.field import MotionField
from pypcore.motion.figures import travel
from pypcore.operation import Context
from pypcore.operations.motioncorr_files import FOLDER, SUFFIXES
from pypcore.operations.motioncorr_parameters import MotionCorrParameters
from pypcore.operations.motioncorr_picture import draw_motion

GAIN = "gain.mrc"
NODES = 9


def write_products(
    item: Item,
    movie: Movie,
    corrected: Corrected,
    params: MotionCorrParameters,
    settings: MotionSettings,
    context: Context,
) -> dict[str, Path]:
    """Write everything that was asked for; return what and where."""
    products = {}
    for kind in ("micrograph", "unweighted", "even", "odd"):
        image = getattr(corrected, kind)
        if image is not None:
            relative = f"{FOLDER}/{item.name}{SUFFIXES[kind]}"
            with context.write(relative) as temporary:
                write_mrc(temporary, image, corrected.pixel_size, float16=params.float16)
            products[kind] = context.job / relative
    if corrected.power_spectrum is not None:
        relative = f"{FOLDER}/{item.name}{SUFFIXES['power_spectrum']}"
        with context.write(relative) as temporary:
            write_mrc(temporary, corrected.power_spectrum, corrected.figures["power_spectrum_pixel_size"])
        products["power_spectrum"] = context.job / relative

    relative = f"{FOLDER}/{item.name}{SUFFIXES['motion']}"
    with context.write(relative) as temporary:
        write_motion(temporary, motion_star(item, movie, corrected, params, settings, context))
    products["motion"] = context.job / relative

    relative = f"{FOLDER}/{item.name}{SUFFIXES['picture']}"
    with context.write(relative) as temporary:
        draw_motion(temporary, item.name, corrected, settings)
    products["picture"] = context.job / relative
    if params.write_model == "full":
        relative = f"{FOLDER}/{item.name}{SUFFIXES['field']}"
        with context.write(relative) as temporary:
            write_field(temporary, full_motion(item, corrected, settings))
        products["field"] = context.job / relative
    return products


def motion_star(
    item: Item,
    movie: Movie,
    corrected: Corrected,
    params: MotionCorrParameters,
    settings: MotionSettings,
    context: Context,
) -> MotionStar:
    """Return the motion as RELION stores it: its local model, and beside it the field that was found."""
    frames, height, width = movie.shape
    whole, local = corrected.field.relion_model()
    shifts = np.full((frames, 2), np.nan)
    shifts[settings.first - 1 : settings.first - 1 + len(whole)] = whole
    eer = movie if isinstance(movie, EerMovie) else None
    return MotionStar(
        width=width,
        height=height,
        frames=frames,
        movie=item.given,
        gain=_gain_for_relion(params, context),
        defects=context.as_given(params.defects) if params.defects else "",
        binning=corrected.pixel_size / settings.pixel_size,
        pixel_size=settings.pixel_size,
        dose=params.frame_dose,
        pre_dose=params.pre_dose,
        voltage=params.voltage,
        first=settings.first,
        eer_sampling=eer.sampling if eer else None,
        eer_group=eer.group if eer else None,
        shifts=shifts,
        local=local if corrected.field.local.any() else None,
        hot_pixels=corrected.hot_pixels,
        patches=_observed(corrected.field, whole, settings.first) if corrected.field.local.any() else None,
    )


def full_motion(item: Item, corrected: Corrected, settings: MotionSettings) -> FullMotion:
    """Return the motion in full, Å."""
    field, found = corrected.field, corrected.estimate
    seen = found.patches
    return FullMotion(
        movie=item.given,
        shape=field.shape,
        pixel_size=settings.pixel_size,
        first=settings.first,
        whole=field.whole * settings.pixel_size,
        grid_y=field.grid_y,
        grid_x=field.grid_x,
        local=field.local * settings.pixel_size,
        error=found.error,
        travel=travel(found, settings),
        quality=found.amplitude,
        patches=np.zeros((0, 4)) if seen is None else np.column_stack([seen.centres, seen.level, seen.misfit]),
    )


def _observed(found: MotionField, whole: npt.NDArray[np.float64], first: int) -> npt.NDArray[np.float64]:
    """Return the local part of the field as rows of data_local_shift: with ``whole`` it is all of the motion.

    A field this smooth is in NODES points along each side, and in 1e-4 px.
    """
    ys, xs = (np.linspace(grid[0], grid[-1], min(NODES, len(grid))) for grid in (found.grid_y, found.grid_x))
    local = found.on_grid(ys, xs) - whole[:, :, None, None]
    frame, y, x = np.meshgrid(np.arange(len(local)) + first - 1, ys, xs, indexing="ij")
    return np.stack([frame, y, x, local[:, 0], local[:, 1]], -1).round(4).reshape(-1, 5)


def _gain_for_relion(params: MotionCorrParameters, context: Context) -> str:
    """Return the gain that RELION should use: it can't turn one itself, so a turned one is left in the job."""
    if params.gain is None:
        return ""
    if params.gain_rotate == 0 and params.gain_flip == "none":
        return context.as_given(params.gain)
    if not (context.job / GAIN).exists():  # made by whichever task comes first; two at once write the same
        gain = read_turned(params.gain, params.gain_rotate, params.gain_flip)
        if params.gain.suffix.lower() == ".gain":
            gain = reciprocal(gain)  # RELION divides an EER movie by a gain in MRC
        with context.write(GAIN) as temporary:
            write_mrc(temporary, gain, 1)
    return f"{context.job_as_given}/{GAIN}"
