"""Tilt series as items: finding them, and opening one as the request wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pypcore.errors import InputError, UsageError
from pypcore.items import Item, find_files, stem
from pypcore.operations.tilt_parameters import TiltSeriesParameters, read_views

if TYPE_CHECKING:
    from pypcore.formats.relion_tomo import StarSeries
    from pypcore.formats.tilt_series import TiltSeries

_USUAL_CS, _USUAL_CONTRAST = 2.7, 0.07  # mm; a share
_CROPPED = 0.1  # of their size, by which movies may differ from the images that an mdoc describes
_LOOKED_AT = 5  # series that Launch opens to see whether the request can be right
_OF_A_FOLDER = ((".mdoc",), (".st", ".ali", ".mrcs", ".mrc"), (".star",))  # what it stands for: the first that is there


def find_series(inputs: Sequence[str], root: Path) -> list[Path]:
    """Return the files that describe the series that ``inputs`` name; see ``find_files``.

    A folder stands for its mdocs; where it has none, for its stacks; else for its STAR files. A STAR file that lists
    series stands for those. An ``X_override.mdoc`` of Tomography 5 is passed over where ``X.mdoc`` is given too.
    """
    from pypcore.formats.open_tilt_series import SUFFIXES
    from pypcore.formats.relion_tomo import series_files
    from pypcore.formats.tilt_series_mdoc import OVERRIDE

    found: dict[Path, None] = {}
    for given in inputs:
        for path in _files_of(given, root, SUFFIXES):
            if path.suffix.lower() == ".star":
                try:
                    files = series_files(root / path, root)
                except InputError as error:
                    raise UsageError(str(error)) from error
                found |= dict.fromkeys(file.relative_to(root) if file.is_relative_to(root) else file for file in files)
            else:
                found[path] = None
    return [
        path
        for path in found
        if not (path.name.endswith(OVERRIDE) and path.with_name(path.name.removesuffix(OVERRIDE) + ".mdoc") in found)
    ]


def _files_of(given: str, root: Path, suffixes: Sequence[str]) -> list[Path]:
    if not (root / given).is_dir():
        return find_files([given], suffixes, root)
    names = [path.name.lower() for path in (root / given).iterdir()]
    for group in _OF_A_FOLDER:
        if any(name.endswith(group) for name in names):
            return find_files([given], group, root)
    raise UsageError(
        f"{given}: no tilt series in this folder; one is an mdoc, a stack ({', '.join(suffixes)}) or a STAR"
    )


def open_series(item: Item, params: TiltSeriesParameters, root: Path) -> tuple[TiltSeries, StarSeries | None]:
    """Open an item's series; what the request says wins over what its files say.

    Views that the request excludes are marked; those that are movies are taken out, and never read. Raises InputError
    where the pixel size is not known.
    """
    from pypcore.formats.open_tilt_series import Reading, open_tilt_series
    from pypcore.formats.tilt_series import with_dose

    reading = Reading(root, params.frames, params.skip_missing, params.sort_angles, params.duplicates)
    series, star = open_tilt_series(item.path, reading)
    facts = {"pixel_size": params.pixel_size, "axis": params.tilt_axis, "voltage": params.voltage}
    given = dict.fromkeys((fact for fact, value in facts.items() if value is not None), "the request")
    series = replace(
        series,
        pixel_size=params.pixel_size or series.pixel_size,
        axis=series.axis if params.tilt_axis is None else params.tilt_axis,
        voltage=params.voltage or series.voltage,
        cs=next(cs for cs in (params.cs, series.cs, _USUAL_CS) if cs is not None),
        amplitude_contrast=next(
            share
            for share in (params.amplitude_contrast, series.amplitude_contrast, _USUAL_CONTRAST)
            if share is not None
        ),
        hand=params.handedness or series.hand,
        sources={**series.sources, **given},
    )
    series = with_dose(series, params.dose)
    if series.pixel_size is None:
        raise InputError(f"{item.path}: nothing there says the pixel size; give it (--pixel-size, in Å)")
    if series.sources.get("pixel_size") == "the mdoc":
        _check_pixel_size(series, params)
    excluded = excluded_views(item, params)
    if excluded and max(excluded) > len(series.views):
        raise InputError(
            f"{item.path}: view {max(excluded)} is to be left out, of {len(series.views)}; correct --exclude-views"
        )
    series = _numbered(series)
    reasons = {i: "excluded by the request" for i, view in enumerate(series.views) if view.number in excluded}
    series = series.without(reasons)
    if all(view.section is None for view in series.views):
        series = series.select(series.used.nonzero()[0])
    series = series.check(sorted_by_angle=False)
    return series, replace(star, series=series) if star is not None else None


def _check_pixel_size(series: TiltSeries, params: TiltSeriesParameters) -> None:
    """Refuse an mdoc's pixel size where it is of images of another size: binned, or movies in super-resolution."""
    if series.recorded_size is None:
        return
    height, width = image_shape(series, params)
    ratio = max(height, width) / max(series.recorded_size)
    if abs(ratio - 1) > _CROPPED:
        assert series.pixel_size is not None
        raise InputError(
            f"{series.path}: its pixel size, {series.pixel_size:g} Å, is of images of {series.recorded_size[0]} x "
            f"{series.recorded_size[1]} pixels, but {series.views[0].file.name} has {width} x {height}; give "
            f"that of the movies with --pixel-size (about {series.pixel_size / ratio:.3g} Å, if both show the same)"
        )


def _numbered(series: TiltSeries) -> TiltSeries:
    """Number the views from 1, as they lie in the stack; they keep their numbers when others are taken out."""
    places = series.stack_order().argsort()
    views = (replace(view, number=int(place) + 1) for view, place in zip(series.views, places, strict=True))
    return replace(series, views=tuple(views))


def excluded_views(item: Item, params: TiltSeriesParameters) -> list[int]:
    """Return the numbers of the views of an item that the request leaves out, from 1 in the order of the stack."""
    everywhere = read_views(params.exclude_views) if params.exclude_views else []
    file = params.exclude_list
    if file is None:
        return everywhere
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: can't be read ({error}); --exclude-list is a text file") from error
    for number, line in enumerate(lines, 1):
        name, _, views = line.partition("#")[0].strip().partition(" ")
        if name in (item.name, stem(item.path)):
            try:
                return everywhere + read_views(views)
            except ValueError as error:
                raise InputError(f"{file}: line {number}: {error}") from error
    return everywhere


def check_series(items: Sequence[Item], params: TiltSeriesParameters) -> None:
    """Refuse a request that none of the first series can use; one that alone is at fault fails when its turn comes."""
    unfit: InputError | None = None
    for item in items[:_LOOKED_AT]:
        try:
            open_series(item, params, Path.cwd())
            return
        except InputError as error:
            unfit = unfit or error
    if unfit is not None:
        raise UsageError(str(unfit)) from unfit


def tilts_disk(item: Item, params: TiltSeriesParameters, images: int) -> int:
    """Estimate the bytes of an item's corrected tilts, ``images`` of each: none where it isn't made of movies."""
    from pypcore.operations.tilt_movies import are_movies

    series, _ = open_series(item, params, Path.cwd())
    if not are_movies(series, params):
        return 0
    height, width = image_shape(series, params)
    return len(series.views) * height * width * images * (2 if params.tilts_float16 else 4)


def image_shape(series: TiltSeries, params: TiltSeriesParameters) -> tuple[int, int]:
    """Return (y, x) of a series' images, from its first file's header."""
    from pypcore.formats.movies import open_movie

    with open_movie(series.views[0].file, least=1, eer_group=1, eer_sampling=params.eer_sampling) as movie:
        return movie.shape[1], movie.shape[2]
