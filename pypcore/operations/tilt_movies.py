"""From the movies of a tilt series to a stack of corrected tilts."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.formats.defects import load_defects
from pypcore.formats.eer_movie import EerMovie
from pypcore.formats.gain import load_gain
from pypcore.formats.movie_base import Movie
from pypcore.formats.movies import open_movie
from pypcore.formats.mrc_stack import MrcStackWriter
from pypcore.formats.tilt_angles import write_angles
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.operation import Context
from pypcore.operations.tilt_images import other_size
from pypcore.operations.tilt_parameters import TiltSeriesParameters

FOLDER = "tilts"
ENDINGS = {"tilts": ".mrcs", "tilts_even": "_EVN.mrcs", "tilts_odd": "_ODD.mrcs"}


@dataclass(frozen=True)
class Corrected:
    """A series whose views lie in one stack, and what came of its movies: frames, and motion in Å, for each view."""

    series: TiltSeries
    products: dict[str, Path]
    frames: list[int]
    motion: list[float]


@dataclass(frozen=True)
class _References:
    gain: NDArray[np.float32] | None
    defects: NDArray[np.bool_] | None


def are_movies(series: TiltSeries, params: TiltSeriesParameters) -> bool:
    """Say whether the views are files with frames, which must be corrected first."""
    if any(view.section is not None for view in series.views):
        return False
    with _open(series.views[0], params) as movie:
        return movie.shape[0] > 1


def correct_tilts(
    name: str,
    series: TiltSeries,
    params: TiltSeriesParameters,
    pixel_size: float,
    context: Context,
    *,
    halves: bool,
    share: float,
) -> Corrected:
    """Correct each view's movie for gain, bad pixels and motion; write the sums as ``tilts/NAME.mrcs``, by view.

    Their angles lie beside, as ``.rawtlt``. ``halves`` writes the sums of even and of odd frames too. One tilt is in
    memory at a time. A movie of one frame is taken as it is. Progress runs to ``share``. Raises InputError for a movie
    that can't be used, with its view.
    """
    kinds = tuple(ENDINGS) if halves else ("tilts",)
    places = {kind: f"{FOLDER}/{name}{ENDINGS[kind]}" for kind in kinds}
    frames, motion = [], []
    references: _References | None = None
    usual: tuple[int, ...] | None = None
    form = "float16" if params.tilts_float16 else "float32"
    with ExitStack() as stack:
        writers = {}
        for kind in kinds:
            temporary = stack.enter_context(context.write(places[kind]))
            writers[kind] = stack.enter_context(MrcStackWriter(temporary, pixel_size, kind=form))
        for done, view in enumerate(series.views, 1):
            try:
                movie = _open(view, params)
            except InputError as error:
                raise InputError(f"{error}; or leave the tilt out with --exclude-views {view.number}") from error
            with movie:
                usual = usual or movie.shape[1:]
                if movie.shape[1:] != usual:
                    raise other_size(view, movie.shape[1:], usual, series.views[0])
                references = references or _references(movie, params)
                context.log.info("%s: tilt %d of %d, %s", name, done, len(series.views), view.label)
                images, moved = _correct(movie, view, params, pixel_size, references, context, halves=halves)
                frames.append(movie.shape[0])
            motion.append(moved)
            for kind in kinds:
                writers[kind].append(images[kind])
            context.progress(share * done / len(series.views))
    products = {kind: context.job / place for kind, place in places.items()}
    angles = f"{FOLDER}/{name}.rawtlt"
    with context.write(angles) as temporary:
        write_angles(temporary, series.angles)
    products["rawtlt"] = context.job / angles
    views = tuple(
        replace(
            view,
            file=products["tilts"],
            section=section,
            even=products.get("tilts_even"),
            odd=products.get("tilts_odd"),
        )
        for section, view in enumerate(series.views)
    )
    return Corrected(replace(series, views=views), products, frames, motion)


def _open(view: View, params: TiltSeriesParameters) -> Movie:
    return open_movie(
        view.file,
        eer_fractions=params.eer_fractions,
        eer_group=params.eer_group,
        eer_sampling=params.eer_sampling,
        least=1,
    )


def _references(movie: Movie, params: TiltSeriesParameters) -> _References:
    shape = movie.shape[1:]
    eer = isinstance(movie, EerMovie)
    gain = None
    if params.gain is not None:
        gain = load_gain(params.gain, shape, rotate=params.gain_rotate, flip=params.gain_flip, eer=eer)
    return _References(gain, load_defects(params.defects, shape) if params.defects is not None else None)


def _correct(
    movie: Movie,
    view: View,
    params: TiltSeriesParameters,
    pixel_size: float,
    references: _References,
    context: Context,
    *,
    halves: bool,
) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Return the images of a tilt by kind, and the length of its path, Å."""
    if movie.shape[0] == 1:
        if halves:
            raise InputError(
                f"{movie.path}: one frame only; its even and odd frames can't be told apart: --halves tilts"
            )
        image = movie.read(0).astype(np.float32)
        return {"tilts": image if references.gain is None else image * references.gain}, 0.0
    from pypcore.motion import MotionSettings, correct_movie  # late: a series of images needs none of it

    settings = MotionSettings(
        pixel_size=pixel_size,
        dose=(view.dose or 0.0) / movie.shape[0],
        patches=params.patches,
        group=min(params.group, movie.shape[0] // 2),
        dose_weighting=False,
        even_odd=halves,
    )
    corrected = correct_movie(
        movie,
        settings,
        gain=references.gain,
        defects=references.defects,
        threads=context.threads,
        memory=context.memory,
        compute=context.compute,
        log=context.log,
    )
    images = {"tilts": corrected.micrograph}
    if corrected.even is not None and corrected.odd is not None:
        images |= {"tilts_even": corrected.even, "tilts_odd": corrected.odd}
    return images, float(corrected.figures["motion_total"])
