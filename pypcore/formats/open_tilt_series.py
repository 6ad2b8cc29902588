"""Open a tilt series, whatever it was described by: an mdoc, a stack, or a STAR file of RELION 5."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pypcore.errors import InputError
from pypcore.formats.relion_tomo import StarSeries, series_of_star
from pypcore.formats.tilt_series import TiltSeries, duplicates_of, sort_views
from pypcore.formats.tilt_series_mdoc import series_of_movies
from pypcore.formats.tilt_series_stack import series_of_stack

SUFFIXES = (".mdoc", ".st", ".mrc", ".mrcs", ".ali", ".star")
Duplicates = Literal["last", "first", "all"]


@dataclass(frozen=True)
class Reading:
    """How a series is read. ``root`` is the folder that paths in STAR files are relative to."""

    root: Path
    frames: Path | None = None  # where the movies of an mdoc are
    skip_missing: bool = False
    sort_angles: bool = False
    duplicates: Duplicates = "last"


def open_tilt_series(path: Path, reading: Reading) -> tuple[TiltSeries, StarSeries | None]:
    """Return the series that ``path`` describes, its angles checked; for a STAR file also what else it says.

    Raises InputError, one line, for what is missing or can't be; files of images are looked at when they are read.
    """
    star = None
    suffix = path.suffix.lower()
    if suffix == ".mdoc":
        series = series_of_movies(
            path, frames=reading.frames, skip_missing=reading.skip_missing, duplicates=reading.duplicates
        )
    elif suffix == ".star":
        star = series_of_star(path, reading.root)
        series = star.series
    else:
        series = series_of_stack(path)
        if reading.sort_angles:
            series = _sorted(series)
    if suffix != ".mdoc":
        series = series.without(duplicates_of(series.views, reading.duplicates))
    if missing := [view for view in series.views if not view.file.is_file()]:
        raise InputError(
            f"{path}: {len(missing)} of {len(series.views)} images are missing (first: {missing[0].file}); "
            "start in the folder that its paths are relative to, or correct them"
        )
    series = series.check(sorted_by_angle=suffix not in (".mdoc", ".star") and not reading.sort_angles)
    if star is not None:
        star = replace(star, series=series)
    return series, star


def _sorted(series: TiltSeries) -> TiltSeries:
    """Sort the views by angle; where nobody says when they were taken, the stack is in that order."""
    views = series.views
    if all(view.order is None for view in views):
        views = tuple(replace(view, order=number) for number, view in enumerate(views))
        series = replace(series, sources={**series.sources, "order": "the order in the stack"})
    return replace(series, views=sort_views(views))
