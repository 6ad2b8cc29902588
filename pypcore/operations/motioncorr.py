"""``motioncorr``: from movies to motion-corrected, dose-weighted micrographs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pypcore import operation
from pypcore.compute import read_device
from pypcore.errors import InputError, UsageError
from pypcore.items import Item, find_files
from pypcore.operation import Context, Done, Figure, Result
from pypcore.operations.motioncorr_parameters import MotionCorrParameters

# numpy and all that stands on it is imported where it is used: options and help texts come from here.
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pypcore.formats.movie_base import Movie
    from pypcore.motion import MotionSettings

_LOOKED_AT = 5  # movies that Launch opens to see whether gain and pixel size can be right


class MotionCorr:
    """Finds the motion of each movie, whole-frame and local, and sums the frames without it."""

    name: ClassVar[str] = "motioncorr"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Correct movies for beam-induced motion and sum them, dose-weighted"

    Parameters: ClassVar[type[operation.Parameters]] = MotionCorrParameters
    item_per_gpu: ClassVar[bool] = True
    """Of several GPUs that a task has, each does a movie of its own, unless --device names them: see lanes.py."""

    def needs_gpu(self, params: MotionCorrParameters) -> bool:
        """Say whether it is told to compute on one."""
        return read_device(params.device).kind == "cuda"

    def auxiliary(self, params: MotionCorrParameters) -> list[Path]:
        """List the gain reference and the defects."""
        return [path for path in (params.gain, params.defects) if path is not None]

    def discover(self, params: MotionCorrParameters, inputs: list[str], root: Path) -> list[Path]:
        """Return the movies that ``inputs`` name; a STAR file stands for the movies in it."""
        from pypcore.formats.movies import SUFFIXES

        named = [movie for given in inputs for movie in (_movies_of(given, root) if _is_star(given) else [given])]
        return find_files(named, SUFFIXES, root)

    def check(self, params: MotionCorrParameters, items: Sequence[Item]) -> None:
        """Refuse a gain, defects or a pixel size that none of the first movies can use.

        A movie that can't be opened, or that alone does not fit the gain, fails by itself when its turn comes.
        """
        unfit: InputError | None = None
        for item in items[:_LOOKED_AT]:
            try:
                movie = _open(item, params)
            except InputError:
                continue
            try:
                with movie:
                    _pixel_size(movie, params)
                    _references(movie, params)
                return
            except InputError as error:
                unfit = unfit or error
        if unfit is not None:
            raise UsageError(str(unfit)) from unfit

    def disk(self, params: MotionCorrParameters, item: Item) -> int:
        """Estimate the bytes of the micrographs, and a little for the motion and its picture."""
        with _open(item, params) as movie:
            _, height, width = movie.shape
        images = 1 + (params.save_unweighted and params.dose_weighting) + 2 * params.even_odd
        pixels = height * width / params.bin**2
        return round(images * pixels * (2 if params.float16 else 4)) + params.save_ps * 4 * 512**2 + 200_000

    def process(self, item: Item, params: MotionCorrParameters, context: Context) -> Result:
        """Correct one movie and write its micrographs, its motion and a picture of that."""
        from pypcore.motion import correct_movie
        from pypcore.operations.motioncorr_products import write_products

        with _open(item, params) as movie:
            pixel_size, source = _pixel_size(movie, params)
            context.log.info("%s: pixel size %g Å, from %s", item.given, pixel_size, source)
            gain, defects = _references(movie, params)
            settings = _settings(params, pixel_size)
            with _library(params.fft):
                corrected = correct_movie(
                    movie,
                    settings,
                    gain=gain,
                    defects=defects,
                    threads=context.threads,
                    memory=context.memory,
                    compute=context.compute,
                    log=context.log,
                    progress=context.progress,
                )
            products = write_products(item, movie, corrected, params, settings, context)
        height, width = corrected.micrograph.shape
        figures: dict[str, Figure] = {
            **corrected.figures,
            "pixel_size": pixel_size,
            "pixel_size_from": source,
            "micrograph_pixel_size": corrected.pixel_size,
            "frames": movie.shape[0],
            "width": width,
            "height": height,
        }
        return Result(products, figures)

    def finish(self, done: Iterable[Done], params: MotionCorrParameters, context: Context) -> Result:
        """Write ``micrographs.star`` and ``micrographs.csv``."""
        from pypcore.operations.motioncorr_merge import write_tables

        return write_tables(done, params, context)


@contextmanager
def _library(name: str) -> Iterator[None]:
    """Have the job's transforms done by the library that it was made with."""
    from pypcore.kernels import fft

    try:
        with fft.library(name):
            yield
    except ImportError as error:
        raise InputError(
            f"the job was made with the transforms of {name}, which are not installed here ({error}); "
            "pip install 'pypcore[mkl]', or make a new job with --fft scipy"
        ) from error


def _is_star(given: str) -> bool:
    return given.lower().endswith(".star")


def _movies_of(given: str, root: Path) -> list[str]:
    """Return the movies of a STAR file, as RELION's Import job writes it."""
    from pypcore.formats.star import read_star

    try:
        blocks = read_star(root / given)
    except InputError as error:
        raise UsageError(str(error)) from error
    for block in blocks.values():
        if movies := block.columns.get("rlnMicrographMovieName"):
            return movies
    raise UsageError(f"{given}: no table has a column rlnMicrographMovieName; give the STAR file of an Import job")


def _open(item: Item, params: MotionCorrParameters) -> Movie:
    from pypcore.formats.movies import open_movie

    group = params.frames_per_fraction
    return open_movie(item.path, eer_fractions=params.eer_fractions, eer_group=group, eer_sampling=params.eer_sampling)


def _pixel_size(movie: Movie, params: MotionCorrParameters) -> tuple[float, str]:
    """Return the pixel size in Å and who said so."""
    if params.pixel_size is not None:
        return params.pixel_size, "the request"
    if movie.pixel_size is not None:
        return movie.pixel_size, "the movie's header"
    raise InputError(f"{movie.path}: its header doesn't say the pixel size; give it (--pixel-size, in Å)")


def _references(
    movie: Movie, params: MotionCorrParameters
) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.bool_] | None]:
    """Return the gain and the defects for a movie; read again only when the file or the movies' size changes."""
    from pypcore.formats.eer_movie import EerMovie

    shape = movie.shape[1:]
    gain = defects = None
    if params.gain is not None:
        eer = isinstance(movie, EerMovie)
        gain = _gain(params.gain, _mtime(params.gain), shape, params.gain_rotate, params.gain_flip, eer)
    if params.defects is not None:
        defects = _defects(params.defects, _mtime(params.defects), shape)
    return gain, defects


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it was there when the job was made: put it back") from error


@functools.lru_cache(maxsize=1)
def _gain(path: Path, _mtime_ns: int, shape: tuple[int, int], rotate: Any, flip: Any, eer: bool) -> Any:
    from pypcore.formats.gain import load_gain

    return load_gain(path, shape, rotate=rotate, flip=flip, eer=eer)


@functools.lru_cache(maxsize=1)
def _defects(path: Path, _mtime_ns: int, shape: tuple[int, int]) -> Any:
    from pypcore.formats.defects import load_defects

    return load_defects(path, shape)


def _settings(params: MotionCorrParameters, pixel_size: float) -> MotionSettings:
    from pypcore.motion import MotionSettings

    # Without dose weighting the voltage decides nothing: what MotionSettings then takes for it is of no matter.
    voltage = 300.0 if params.voltage is None else params.voltage
    return MotionSettings(
        pixel_size=pixel_size,
        dose=params.frame_dose or 0.0,
        pre_dose=params.pre_dose,
        binning=params.bin,
        patches=params.patches,
        first=params.first,
        last=params.last,
        group=params.group,
        dose_weighting=params.dose_weighting,
        save_unweighted=params.save_unweighted,
        even_odd=params.even_odd,
        power_spectrum=params.save_ps,
        voltage=voltage,
        weights=params.weights,
        magnification=params.magnification,
    )
