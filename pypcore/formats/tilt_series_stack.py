"""A tilt series from a stack of images in MRC, with its angles and its mdoc beside it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pypcore.errors import InputError
from pypcore.formats.mdoc import read_mdoc
from pypcore.formats.movies import open_movie
from pypcore.formats.tilt_angles import read_angles
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.formats.tilt_series_mdoc import describe, exposures


def series_of_stack(path: Path) -> TiltSeries:
    """Read what is known of a stack: angles from ``NAME.rawtlt``, else ``.tlt``, else an mdoc; a view a section.

    The mdoc (``NAME.st.mdoc`` or ``NAME.mdoc``) tells the rest: doses, axis, pixel size. Raises InputError where no
    angles are found, or another number of them than of images.
    """
    with open_movie(path, least=1) as stack:
        count, header_size = stack.shape[0], stack.pixel_size
    series = _from_mdoc(path, count)
    angles_file = next((file for file in beside(path, (".rawtlt", ".tlt"))), None)
    if angles_file is not None:
        angles = read_angles(angles_file)
        if len(angles) != count:
            raise InputError(
                f"{angles_file}: {len(angles)} angles for the {count} images of {path.name}; they must be as many"
            )
        views = series.views if series else tuple(View(path, number, 0.0) for number in range(count))
        views = tuple(replace(view, angle=float(angle)) for view, angle in zip(views, angles, strict=True))
        sources = {**(series.sources if series else {}), "angles": str(angles_file)}
        series = replace(series or TiltSeries(path, views), path=path, views=views, sources=sources)
    if series is None:
        raise InputError(
            f"{path}: no angles beside it; give {path.stem}.rawtlt with an angle a line, or {path.name}.mdoc"
        )
    if series.pixel_size is None and header_size is not None:
        series = replace(series, pixel_size=header_size, sources={**series.sources, "pixel_size": "the stack's header"})
    return series


def _from_mdoc(path: Path, count: int) -> TiltSeries | None:
    """Return what the mdoc beside a stack says of it; None where there is none."""
    file = next(iter(beside(path, (f"{path.suffix}.mdoc", ".mdoc", ".mrc.mdoc", ".st.mdoc"))), None)
    if file is None:
        return None
    sections = exposures(read_mdoc(file))
    if len(sections) != count:
        raise InputError(
            f"{file}: {len(sections)} sections for the {count} images of {path.name}; they must be as many: "
            "is it the mdoc of this stack?"
        )
    series = describe(read_mdoc(file), sections)
    numbers = [section.number for section in sections]
    if all(number.isdigit() for number in numbers) and sorted(map(int, numbers)) == list(range(count)):
        # ZValue is where the image lies in the stack; the sections may come in another order.
        views = tuple(
            replace(view, file=path, section=int(number)) for view, number in zip(series.views, numbers, strict=True)
        )
        return replace(series, path=path, views=tuple(sorted(views, key=lambda view: view.section or 0)))
    return replace(series, path=path, views=tuple(replace(view, file=path) for view in series.views))


def beside(path: Path, endings: Sequence[str]) -> list[Path]:
    """Return the files ``NAME + ending`` beside ``path`` that are there, in the order of ``endings``."""
    stem = path.name[: -len(path.suffix)] if path.suffix else path.name
    return [file for ending in endings if (file := path.with_name(stem + ending)).is_file() and file != path]
