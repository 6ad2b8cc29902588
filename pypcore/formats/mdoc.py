"""mdoc files: what SerialEM and Tomography 5 write beside a tilt series, a section for each exposure.

A file has lines ``key = value``, titles ``[T = text]``, then sections that begin with ``[ZValue = 0]`` (an image of a
stack) or ``[FrameSet = 0]`` (a movie by itself). All keys survive reading and writing; those that matter here have
properties with types and units. Facts: bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm, and real files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Any

from pypcore.errors import InputError

SECTION_KINDS = ("ZValue", "FrameSet", "MontSection")
_BRACKET = re.compile(r"\[\s*([^=\]]+?)\s*=\s*(.*?)\s*\]\s*$")
_AXIS = re.compile(r"tilt\s+axis\s+angle\s*=\s*(-?\d+(?:\.\d*)?)", re.IGNORECASE)
_TOMO5 = re.compile(r"_(fractions\.(tiff?|mrc)|eer\.eer)$", re.IGNORECASE)  # how Tomography 5 names its movies
_MONTHS = {"janfebmaraprmayjunjulaugsepoctnovdec"[at : at + 3]: at // 3 + 1 for at in range(0, 36, 3)}
_TIME = re.compile(r"(\d+)-(\w+)-(\d+)\s+(\d+):(\d+):(\d+)")


@dataclass
class Section:
    """One exposure. ``values`` holds every key as text, in the order of the file."""

    kind: str
    number: str
    values: dict[str, str] = field(default_factory=dict)
    source: str = "mdoc"  # names the file and section in errors

    def number_of(self, key: str) -> float | None:
        """Return a value as a number; None where it is absent or empty; InputError where it is something else."""
        text = self.values.get(key, "").strip()
        if not text:
            return None
        try:
            return float(text.split()[0])
        except ValueError as error:
            raise InputError(f"{self.source}: {key} = {text}; it should be a number: correct the mdoc") from error

    @property
    def tilt_angle(self) -> float | None:
        """Stage angle, degrees."""
        return self.number_of("TiltAngle")

    @property
    def exposure_dose(self) -> float | None:
        """Dose of this exposure, e-/Å²; None where it is absent or 0, which SerialEM writes for "not calibrated"."""
        return self.number_of("ExposureDose") or None

    @property
    def prior_dose(self) -> float | None:
        """Dose on the specimen before this exposure, e-/Å² (``PriorRecordDose``)."""
        return self.number_of("PriorRecordDose")

    @property
    def pixel_spacing(self) -> float | None:
        """Pixel size of the image, Å."""
        return self.number_of("PixelSpacing") or None

    @property
    def rotation_angle(self) -> float | None:
        """Rotation of the image against the stage, degrees: the tilt axis lies 90 degrees below it in SerialEM's."""
        return self.number_of("RotationAngle")

    @property
    def target_defocus(self) -> float | None:
        """Defocus asked for, µm; underfocus is negative."""
        return self.number_of("TargetDefocus")

    @property
    def frames(self) -> int | None:
        """Frames in the movie."""
        number = self.number_of("NumSubFrames")
        return None if number is None else int(number)

    @property
    def movie(self) -> PureWindowsPath | None:
        """Where the movie was written, on whatever system that was; None where there is no movie."""
        text = self.values.get("SubFramePath", "").strip()
        # A Windows path takes / as well as \, so that this one class reads both kinds.
        return PureWindowsPath(text) if text else None

    @property
    def time(self) -> datetime | None:
        """When it was taken; None where there is no time stamp, or none that can be read."""
        return parse_time(self.values.get("DateTime", ""))


@dataclass
class Mdoc:
    """A whole mdoc: ``header`` by key, ``titles`` (the text of ``[T = …]``), ``sections`` in the order of the file."""

    path: Path
    header: dict[str, str] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def header_number(self, key: str) -> float | None:
        """Return a value of the header as a number, or None."""
        return Section("header", "", self.header, f"{self.path}: header").number_of(key)

    @property
    def tilt_axis(self) -> tuple[float, str] | None:
        """Tilt axis, degrees counter-clockwise from +y, and which line says so; None where none does."""
        for title in self.titles:
            if found := _AXIS.search(title):
                return float(found[1]), "'Tilt axis angle' in the mdoc"
        for section in self.sections:
            if (angle := section.rotation_angle) is not None:
                return _wrapped(angle - 90), "RotationAngle - 90 in the mdoc"
        return None

    @property
    def looks_like_tomo5(self) -> bool:
        """Say whether the movies are named as Tomography 5 names them: its mdocs give a wrong axis (warp#461)."""
        return any(section.movie and _TOMO5.search(section.movie.name) for section in self.sections)


def read_mdoc(path: Path) -> Mdoc:
    """Read an mdoc; raise InputError where it is none, or has no section."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    mdoc = Mdoc(path)
    values = mdoc.header
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("["):
            found = _BRACKET.match(line)
            if found is None:
                raise InputError(f"{path}: line {number} is '{line[:60]}'; a section is [ZValue = 0]: is it an mdoc?")
            if found[1] == "T":
                mdoc.titles.append(found[2])
            else:
                section = Section(found[1], found[2], source=f"{path}: [{found[1]} = {found[2]}]")
                mdoc.sections.append(section)
                values = section.values
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise InputError(f"{path}: line {number} is '{line[:60]}'; it should be 'key = value': is it an mdoc?")
        values[key.strip()] = value.strip()
    if title := mdoc.header.get("T"):  # an mdoc of single frames has its title without brackets
        mdoc.titles.append(title)
    if not any(section.kind in SECTION_KINDS for section in mdoc.sections):
        raise InputError(f"{path}: no [ZValue = …] or [FrameSet = …] in it; an mdoc has one for each exposure")
    return mdoc


def write_mdoc(path: Path, mdoc: Mdoc) -> None:
    """Write an mdoc as SerialEM lays it out."""
    text = "\n".join(_lines(mdoc))
    path.write_bytes((text + "\n").encode("utf-8", "surrogateescape"))


def _lines(mdoc: Mdoc) -> Iterator[str]:
    yield from (f"{key} = {value}" for key, value in mdoc.header.items())
    yield ""
    for title in mdoc.titles:
        if title != mdoc.header.get("T"):
            yield from (f"[T = {title}]", "")
    for section in mdoc.sections:
        yield f"[{section.kind} = {section.number}]"
        yield from (f"{key} = {value}" for key, value in section.values.items())
        yield ""


def parse_time(text: str) -> datetime | None:
    """Read ``08-Oct-21  07:39:08``, with the year first or of four digits too; None for anything else."""
    found = _TIME.search(text)
    if found is None:
        return None
    first, month, last, *clock = found.groups()
    number = int(month) if month.isdigit() else _MONTHS.get(month[:3].lower(), 0)
    year, day = (int(first), int(last)) if len(first) == 4 else (int(last), int(first))
    hours: list[Any] = [int(part) for part in clock]
    try:
        return datetime(year + 2000 * (year < 100), number, day, *hours)
    except ValueError:
        return None


def acquisition_order(sections: list[Section]) -> tuple[list[int], str] | None:
    """Return the rank of each section in time, from 0, and what says so; None where nothing does.

    Doses on record are believed first, then time stamps. Neither complete nor distinct (warp#310, warp#432): ZValues
    are written one after another, and are believed unless the angles run from one end to the other, as they do when
    a dose-symmetric stack was sorted afterwards.
    """
    for what, values in (
        ("PriorRecordDose", [section.prior_dose for section in sections]),
        ("DateTime", [section.time for section in sections]),
    ):
        if None not in values and len(set(values)) == len(values):
            return _ranks(values), what
    angles = [section.tilt_angle or 0.0 for section in sections]
    steps = [b - a for a, b in pairwise(angles)]
    if len(sections) > 2 and (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        return None
    return list(range(len(sections))), "the order of the sections"


def _ranks(values: list[Any]) -> list[int]:
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0] * len(values)
    for rank, index in enumerate(order):
        ranks[index] = rank
    return ranks


def _wrapped(angle: float) -> float:
    """Bring an angle to (-180, 180] degrees."""
    return 180 - (180 - angle) % 360
