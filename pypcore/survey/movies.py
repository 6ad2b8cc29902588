"""What movies say of themselves: their headers, and what the microscope's software wrote beside each."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pypcore.errors import InputError
from pypcore.formats.eer_movie import EerMovie
from pypcore.formats.epu_xml import EpuImage, read_epu_xml
from pypcore.formats.fei_header import read_fei_header
from pypcore.formats.mdoc import Section, read_mdoc
from pypcore.formats.movies import open_movie
from pypcore.survey.facts import Fact, span
from pypcore.survey.files import Files, some_of

OPENED, READ = 8, 40  # movies, and files beside them, that are looked into

Facts = dict[str, list[Fact]]


@dataclass
class Look:
    """What the movies that were opened have: shapes (frames, height, width), kinds of pixel; facts by parameter."""

    shapes: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    facts: Facts = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    eer_frames: int | None = None

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """The shape that most have."""
        return self.shapes.most_common(1)[0][0] if self.shapes else None

    def add(self, key: str, value: float | None, source: str) -> None:
        """Note a fact, rounded to what can be meant."""
        if value is not None:
            self.facts.setdefault(key, []).append(Fact(float(f"{value:.6g}"), source))


def look_at_movies(files: Files) -> Look:
    """Open some movies, read some of what lies beside them."""
    look = Look()
    _headers(look, files)
    _mdocs(look, files)
    _xmls(look, files)
    if len(look.shapes) > 1:
        sizes = ", ".join(f"{w} x {h} px with {n} frames" for n, h, w in look.shapes)
        look.notes.append(f"movies differ: {sizes}; give those of one kind, or expect some to be refused")
    return look


def _headers(look: Look, files: Files) -> None:
    sizes: dict[str, list[float]] = {}
    for path in some_of(files.movies, OPENED):
        try:
            with open_movie(path, eer_group=1, least=1) as movie:
                if isinstance(movie, EerMovie):
                    look.eer_frames = movie.raw_frames
                if movie.shape[0] == 1:
                    look.notes.append(
                        f"{path}: one image, no movie; name the movies by a pattern if there are more such"
                    )
                    continue
                look.shapes[movie.shape] += 1
                look.kinds[str(movie.dtype)] += 1
                if movie.pixel_size:
                    sizes.setdefault(path.suffix.lower(), []).append(movie.pixel_size)
            fei = read_fei_header(path) if path.suffix.lower() in (".mrc", ".mrcs") else None
        except InputError as error:
            look.notes.append(str(error))
            continue
        if fei is not None:
            where = f"FEI header of {path.name} ({fei.application})"
            look.add("voltage", fei.voltage, where)
            look.add("pixel_size", fei.pixel_size, where)
    for suffix, found in sizes.items():
        where = f"header of {len(found)} movies ({suffix})"
        for size in dict.fromkeys(round(one, 5) for one in found):
            look.add("pixel_size", size, where)


def _mdocs(look: Look, files: Files) -> None:
    """Read the mdocs of single movies that SerialEM writes beside them."""
    doses: list[float] = []
    names = {path.name for path in files.movies}
    beside = [path for path in files.mdocs if path.with_suffix("").name in names or path.with_suffix("").suffix]
    for path in some_of(beside, READ):
        try:
            mdoc = read_mdoc(path)
        except InputError as error:
            look.notes.append(str(error))
            continue
        sections = [one for one in mdoc.sections if one.kind == "FrameSet"]
        if len(sections) != 1 or len(mdoc.sections) > 1:
            continue
        try:
            _of_frame_set(look, path, sections[0], mdoc.header_number("Voltage"), doses)
        except InputError as error:
            look.notes.append(str(error))
    if doses:
        look.add("dose", sorted(doses)[len(doses) // 2], f"{len(doses)} mdocs of movies, {span(doses)} e-/Å² a frame")
    _once_each(look)


def _of_frame_set(look: Look, path: Path, section: Section, voltage: float | None, doses: list[float]) -> None:
    look.add("voltage", voltage, f"Voltage in {path.name}")
    look.add("pixel_size", section.pixel_spacing, f"PixelSpacing in {path.name}")
    per_frame = section.values.get("FrameDosesAndNumber", "").split()
    if len(per_frame) == 2:
        doses.append(float(per_frame[0]))
    elif section.exposure_dose and section.frames:
        doses.append(section.exposure_dose / section.frames)
    gain = section.values.get("GainReference", "").strip()
    if gain:
        look.facts.setdefault("gain", []).append(Fact(gain, f"GainReference in {path.name}"))
    defects = section.values.get("DefectFile", "").strip()
    if defects:
        look.facts.setdefault("defects", []).append(Fact(defects, f"DefectFile in {path.name}"))


def _xmls(look: Look, files: Files) -> None:
    """Read EPU's XML of each movie; that of squares and holes lies in other folders, and isn't of a movie's name."""
    stems = {path.name.lower().rpartition("_")[0] for path in files.movies}
    of_movies = [path for path in files.xmls if path.stem.lower() in stems]
    doses: list[float] = []
    for path in some_of(of_movies or files.xmls, READ):
        try:
            image = read_epu_xml(path)
        except InputError as error:
            look.notes.append(str(error))
            continue
        if image is None:
            continue
        look.add("voltage", image.voltage, f"AccelerationVoltage in {path.name}")
        if not of_movies:
            continue  # of a square or a hole: another magnification and dose
        _pixel_size(look, path, image)
        frames = image.fractions or (look.shape[0] if look.shape and look.eer_frames is None else None)
        if image.dose and frames:
            doses.append(image.dose / frames)
    if doses and look.eer_frames is None:
        where = f"{len(doses)} XML of EPU: Dose over fractions, {span(doses)} e-/Å² a frame"
        look.add("dose", sorted(doses)[len(doses) // 2], where)
    _once_each(look)


def _pixel_size(look: Look, path: Path, image: EpuImage) -> None:
    if image.pixel_size is None:
        return
    if look.shape is None:
        look.add("pixel_size", image.pixel_size, f"pixelSize in {path.name}")
        return
    _, height, width = look.shape
    found = image.pixel_size_of((height, width))
    if found is None:
        size = f"{image.size[1]} x {image.size[0]}" if image.size else "a size it does not say"
        note = (
            f"{path.name}: its pixel size, {image.pixel_size:.4g} Å, is of an image of {size}; the movies have "
            f"{width} x {height}, and it does not follow what theirs is"
        )
        look.notes += [] if note in look.notes else [note]
        return
    grid = (
        ""
        if found == image.pixel_size
        else f" ({image.pixel_size:.5g} Å of {image.size}, the movie is finer or coarser)"
    )
    look.add("pixel_size", found, f"pixelSize in {path.name}{grid}")


def _once_each(look: Look) -> None:
    """Keep one source for each value, and say of how many files it is."""
    for key, facts in look.facts.items():
        kept: dict[object, Fact] = {}
        count: Counter[object] = Counter(one.value for one in facts)
        for one in facts:
            kept.setdefault(one.value, one)
        look.facts[key] = [
            Fact(value, one.source + (f" and {count[value] - 1} more" if count[value] > 1 else ""))
            for value, one in kept.items()
        ]
