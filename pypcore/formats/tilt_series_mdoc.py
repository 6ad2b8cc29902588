"""A tilt series from an mdoc: one movie a tilt, or a stack with an mdoc beside."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from pypcore.errors import InputError
from pypcore.formats.mdoc import Mdoc, Section, acquisition_order, read_mdoc
from pypcore.formats.tilt_series import TiltSeries, View, duplicates_of, sort_views

OVERRIDE = "_override.mdoc"  # Tomography 5's second mdoc of a series: no record of what was taken (relion#1327)
_USUAL_FOLDERS = ("", "frames", "Frames", "../frames", "../Frames")  # beside the mdoc


def series_of_movies(path: Path, *, frames: Path | None, skip_missing: bool, duplicates: str) -> TiltSeries:
    """Read an mdoc whose sections name a movie each; the views come sorted by angle.

    Movies are looked for in ``frames``, or beside the mdoc and in a folder ``frames`` there or one up. One that is
    missing is an InputError, or left out with ``skip_missing``. ``duplicates``: see ``duplicates_of``.
    """
    mdoc = read_mdoc(path)
    sections = exposures(mdoc)
    if not any(section.movie for section in sections):
        raise InputError(
            f"{path}: no SubFramePath in any section, so it names no movies; "
            "give the stack that it describes instead (its mdoc is read beside it)"
        )
    folders = folders_of(path, frames)
    facts = describe(mdoc, sections)
    views, missing = [], []
    for section, view in zip(sections, facts.views, strict=True):
        movie = section.movie
        found = find_movie(movie, folders) if movie else None
        if found is None:
            missing.append(movie.name if movie else f"[{section.kind} = {section.number}] names none")
        else:
            views.append(View(**{**vars(view), "file": found, "section": None}))
    if missing and not skip_missing:
        where = frames or f"{path.parent} and its frames folder"
        stack = path.with_suffix("")  # SerialEM names an mdoc after its stack
        instead = f"; or give the stack {stack}" if stack.is_file() else ""
        raise InputError(
            f"{path}: {len(missing)} of {len(sections)} movies are missing (first: {missing[0]}; looked in {where}); "
            f"give their folder with --frames, or --skip-missing to go on without them{instead}"
        )
    notes = [f"{name}: its movie is missing, and it is left out" for name in missing]
    if not views:
        raise InputError(f"{path}: none of its {len(sections)} movies is there (first: {missing[0]}); give --frames")
    twice = duplicates_of(views, duplicates)
    kept = [view for index, view in enumerate(views) if index not in twice]
    notes += [f"{views[index].label} is left out: {reason}" for index, reason in twice.items()]
    return replace(facts, views=sort_views(kept)).note(*notes)


def exposures(mdoc: Mdoc) -> list[Section]:
    """Return the sections that are a tilt; InputError where one has no angle, or the mdoc is of a single exposure."""
    sections = [section for section in mdoc.sections if section.kind in ("ZValue", "FrameSet")]
    if len(sections) == 1 and sections[0].kind == "FrameSet":
        raise InputError(
            f"{mdoc.path}: the mdoc of one movie ([FrameSet = {sections[0].number}]); "
            "give the mdoc of the tilt series, which has a section for each tilt"
        )
    for section in sections:
        if section.tilt_angle is None:
            raise InputError(f"{section.source}: no TiltAngle; the section of a tilt has one: correct the mdoc")
    if not sections:
        raise InputError(f"{mdoc.path}: no section of a tilt in it; give the mdoc of a tilt series")
    return sections


def describe(mdoc: Mdoc, sections: Sequence[Section]) -> TiltSeries:
    """Return what an mdoc knows, a view a section; where the images are is left to who asks."""
    sources: dict[str, str] = {"angles": str(mdoc.path)}
    notes = []
    order = acquisition_order(list(sections))
    if order is not None:
        sources["order"] = f"{order[1]} in the mdoc"
    else:
        notes.append("the mdoc doesn't say in which order the tilts were taken; dose weighting needs that")
    ranks = order[0] if order is not None else [None] * len(sections)
    doses = _prior_doses(sections, ranks, sources)
    pixel_size = next((size for section in sections if (size := section.pixel_spacing)), None)
    if pixel_size is None:
        pixel_size = mdoc.header_number("PixelSpacing") or None
    if pixel_size is not None:
        sources["pixel_size"] = "the mdoc"
    axis = mdoc.tilt_axis
    if axis is not None:
        sources["axis"] = axis[1]
        if mdoc.looks_like_tomo5:
            notes.append(
                f"the mdoc looks like one of Tomography 5, whose tilt axis is often wrong: it says {axis[0]:g}, which "
                f"in IMOD's sense may be {_tomo5_axis(axis[0]):g}; give the right one with --tilt-axis"
            )
    voltage = mdoc.header_number("Voltage")
    if voltage is not None:
        sources["voltage"] = "the mdoc"
    views = tuple(
        View(
            file=mdoc.path,
            section=index,
            angle=section.tilt_angle or 0.0,
            order=rank,
            prior_dose=dose,
            dose=section.exposure_dose,
            nominal_defocus=section.target_defocus,
            movie=section.movie.name if section.movie else "",
        )
        for index, (section, rank, dose) in enumerate(zip(sections, ranks, doses, strict=True))
    )
    facts = TiltSeries(mdoc.path, views, pixel_size, axis[0] if axis else None, voltage, sources=sources)
    sides = [int(side) for side in mdoc.header.get("ImageSize", "").split() if side.isdigit()]
    return replace(facts, recorded_size=(sides[0], sides[1]) if len(sides) == 2 else None).note(*notes)


def _prior_doses(
    sections: Sequence[Section], ranks: Sequence[int | None], sources: dict[str, str]
) -> list[float | None]:
    """Return the dose before each exposure: on record, or the exposures summed in the order they were taken."""
    prior = [section.prior_dose for section in sections]
    if None not in prior and len(set(prior)) == len(prior):
        sources["dose"] = "PriorRecordDose in the mdoc"
        return prior
    each = [section.exposure_dose for section in sections]
    if None in each or None in ranks:
        return [None] * len(sections)
    sources["dose"] = "ExposureDose in the mdoc, summed in the order taken"
    return [
        sum(dose or 0.0 for dose, other in zip(each, ranks, strict=True) if (other or 0) < (rank or 0))
        for rank in ranks
    ]


def folders_of(path: Path, frames: Path | None) -> list[Path]:
    """Return where the movies of an mdoc are looked for: in ``frames``, else beside it and in the usual folders."""
    return [frames] if frames else [path.parent / folder for folder in _USUAL_FOLDERS]


def find_movie(recorded: PurePath, folders: Sequence[Path]) -> Path | None:
    """Return the movie that was ``recorded`` on another system as it lies here.

    In each folder the longest end of the recorded path that is there counts: of ``D:\\data\\grid2\\f\\a.tif``,
    ``grid2/f/a.tif`` before ``f/a.tif`` before ``a.tif``, so that two movies of one name are told apart (warp#143).
    """
    parts = [part for part in recorded.parts if part != recorded.anchor]
    for start in range(len(parts)):
        for folder in folders:
            candidate = folder.joinpath(*parts[start:])
            if candidate.is_file():
                return candidate
    return None


def _tomo5_axis(angle: float) -> float:
    """Turn the axis that Tomography 5 writes into IMOD's sense, as Scipion does: -90 - angle."""
    return 180 - (270 + angle) % 360
