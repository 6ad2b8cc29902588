"""What the mdocs of tilt series say, all series together: the jobs read each for itself as well."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePath

from pypcore.errors import InputError
from pypcore.formats.mdoc import Mdoc, read_mdoc
from pypcore.formats.tilt_series import TiltSeries
from pypcore.formats.tilt_series_mdoc import describe, exposures, find_movie, folders_of
from pypcore.survey.facts import Fact, span

FEWEST_TILTS = 3
_AXIS_SAME = 0.05  # degrees


@dataclass
class Series:
    """The mdocs of tilt series, what they say by parameter, and where the movies are that they name."""

    mdocs: list[Path] = field(default_factory=list)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)
    """Parameters that the mdocs say, and why they are not to be believed."""
    frames: Path | None = None
    missing: int = 0
    views: list[int] = field(default_factory=list)


def look_at_series(mdocs: list[Path], movies: list[Path], shape_of: Callable[[Path], tuple[int, int] | None]) -> Series:
    """Read the mdocs that are of tilt series; ``shape_of`` gives (height, width) of a movie, None where it can't."""
    series = Series()
    by_name: dict[str, list[Path]] = {}
    for movie in movies:
        by_name.setdefault(movie.name, []).append(movie)
    known: dict[str, list[tuple[float, str]]] = {}
    per_series_dose: list[float] = []
    folders: set[Path] = set()
    for path in mdocs:
        try:
            mdoc = read_mdoc(path)
            sections = [one for one in mdoc.sections if one.kind in ("ZValue", "FrameSet")]
            if len(sections) < FEWEST_TILTS:
                continue
            facts = describe(mdoc, exposures(mdoc))
        except InputError as error:
            series.notes.append(str(error))
            continue
        angles = [view.angle for view in facts.views]
        if max(angles) - min(angles) < 1:
            series.notes.append(f"{path}: {len(angles)} images at one angle: not a tilt series")
            continue
        series.mdocs.append(path)
        series.views.append(len(facts.views))
        series.notes += [f"{path.name}: {note}" for note in facts.notes if "Tomography 5" not in note]
        _collect(known, mdoc, facts, path)
        doses = [view.dose for view in facts.views if view.dose]
        per_series_dose += [sum(doses) / len(doses)] if len(doses) == len(facts.views) else []
        shape = _find_movies(series, path, mdoc, by_name, folders, shape_of)
        _pixel_size(series, path, facts, shape)
        if mdoc.looks_like_tomo5 and facts.axis is not None:
            series.doubts["tilt_axis"] = next(note for note in facts.notes if "Tomography 5" in note)
    if len(folders) == 1:
        series.frames = folders.pop()
    elif folders:
        series.notes.append(f"the movies lie in {len(folders)} folders: {', '.join(map(str, sorted(folders)[:3]))}")
    _agree(series, known, per_series_dose)
    return series


def _collect(known: dict[str, list[tuple[float, str]]], mdoc: Mdoc, facts: TiltSeries, path: Path) -> None:
    for key, value, where in (
        ("voltage", facts.voltage, "Voltage"),
        ("tilt_axis", facts.axis, facts.sources.get("axis", "").replace(" in the mdoc", "")),
    ):
        if value is not None:
            known.setdefault(key, []).append((value, f"{where} in {path.name}"))


def _find_movies(
    series: Series,
    path: Path,
    mdoc: Mdoc,
    by_name: dict[str, list[Path]],
    folders: set[Path],
    shape_of: Callable[[Path], tuple[int, int] | None],
) -> tuple[int, int] | None:
    """Note where the movies of an mdoc are; return (height, width) of one of them."""
    shape = None
    missing = 0
    ambiguous: list[str] = []
    for section in mdoc.sections:
        if section.movie is None:
            continue
        found = find_movie(section.movie, folders_of(path, None))
        if found is None:
            found, twins = _elsewhere(section.movie, by_name.get(section.movie.name, []))
            if twins:
                ambiguous.append(section.movie.name)
            elif found is not None:
                folders.add(_folder_for(section.movie, found))
        missing += found is None
        if found is not None and shape is None:
            shape = shape_of(found)
    if ambiguous:
        series.notes.append(
            f"{path.name}: {len(ambiguous)} movies have namesakes in other folders, and its paths don't tell which is "
            f"meant (first: {ambiguous[0]}); give the right folder as frames"
        )
    if missing:
        series.missing += missing
        series.notes.append(f"{path.name}: {missing} of {len(mdoc.sections)} movies are nowhere below the folder")
    return shape


def _elsewhere(recorded: PurePath, namesakes: list[Path]) -> tuple[Path | None, bool]:
    """Return the movie that was recorded, among files of its name; and whether several fit its path equally well."""
    if not namesakes:
        return None, False
    agreed = [_shared(recorded, one) for one in namesakes]
    best = [one for one, depth in zip(namesakes, agreed, strict=True) if depth == max(agreed)]
    return (best[0], False) if len(best) == 1 else (None, True)


def _shared(recorded: PurePath, path: Path) -> int:
    """Count the parts, from the end, that two paths share."""
    pairs = zip(reversed(recorded.parts), reversed(path.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _folder_for(recorded: PurePath, found: Path) -> Path:
    """Return the folder from which the end of the recorded path leads to the movie, as ``find_movie`` looks."""
    return found.parents[_shared(recorded, found) - 1]


def _pixel_size(series: Series, path: Path, facts: TiltSeries, shape: tuple[int, int] | None) -> None:
    """Note the pixel size of the movies: that of the mdoc's images, scaled where the movies have another size."""
    if facts.pixel_size is None:
        return
    size, where = facts.pixel_size, f"PixelSpacing in {path.name}"
    if shape is not None and facts.recorded_size is not None:
        ratio = max(shape) / max(facts.recorded_size)
        nearest = next((power for power in (0.25, 0.5, 1, 2, 4, 8) if abs(ratio / power - 1) < 0.1), None)
        if nearest is None:
            series.doubts["pixel_size"] = (
                f"{path.name} says {size:g} Å of images of {facts.recorded_size[0]} x {facts.recorded_size[1]} px, and "
                f"the movies have {shape[1]} x {shape[0]}: it does not follow what theirs is"
            )
        elif nearest != 1:
            where += f" ({size:g} Å of the stack's images; the movies have {nearest:g} times the pixels a side)"
            size /= nearest
    series.facts.setdefault("pixel_size", []).append(Fact(float(f"{size:.6g}"), where))


def _agree(series: Series, known: dict[str, list[tuple[float, str]]], doses: list[float]) -> None:
    for key, several in known.items():
        series.facts[key] = [Fact(value, where) for value, where in several]
    axes = [value for value, _ in known.get("tilt_axis", [])]
    if axes and max(axes) - min(axes) > _AXIS_SAME:
        series.facts.pop("tilt_axis")
        series.doubts["tilt_axis"] = f"each series has its own, {span(axes)} degrees; the job takes each from its mdoc"
    if doses and len(doses) == len(series.mdocs):
        series.facts["dose"] = [Fact(float(f"{value:.5g}"), "ExposureDose of the mdocs, a view") for value in doses[:1]]
        if max(doses) - min(doses) > 0.02 * max(doses):
            series.facts.pop("dose")
            series.doubts["dose"] = f"the series differ, {span(doses)} e-/Å² a view; the job takes each from its mdoc"
    for key in series.facts:
        first: dict[float, Fact] = {}
        for fact in series.facts[key]:
            first.setdefault(fact.value, fact)
        count = len(series.facts[key])
        series.facts[key] = [
            Fact(one.value, one.source + (f" and others ({count} series)" if count > 1 else ""))
            for one in first.values()
        ]
