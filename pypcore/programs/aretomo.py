"""AreTomo2 and AreTomo3: what they are called with, and their alignments as IMOD's files and a table of tomograms."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pypcore.errors import InputError
from pypcore.formats.aretomo import read_aln
from pypcore.formats.mrc import HEADER_BYTES, parse_header
from pypcore.formats.star import write_star
from pypcore.formats.tilt_angles import write_angles
from pypcore.formats.xf import write_xf
from pypcore.items import Item
from pypcore.operation import Context, Done
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.process import ProgramError
from pypcore.programs.tables import as_given

_ANGLES = (".rawtlt", ".tlt")
_FLIPS = {"none": "0", "ud": "1", "lr": "2"}
_READABLE = (1, 2, 6)  # MRC modes that AreTomo2 reads


def angles_beside(item: Item, given: Path | None) -> Path:
    """Return the file of a series' angles: the one given, or NAME.rawtlt or NAME.tlt beside it; InputError else."""
    if given is not None:
        return given
    for suffix in _ANGLES:
        beside = item.path.with_suffix(suffix)
        if beside.is_file():
            return beside
    raise InputError(
        f"{item.given}: no angles: neither {item.path.stem}.rawtlt nor .tlt is beside it; give --angles FILE"
    )


def read_angles(path: Path) -> list[float]:
    """Read angles, degrees: the first number of each line."""
    try:
        return [float(line.split()[0]) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a list of angles, one a line ({error})") from error


class _AreTomo(Adapter):
    """What both have in common."""

    first_section = 0

    def check_item(self, item: Item, params: Any) -> None:
        """Look whether there are as many angles as sections: AreTomo itself stops without them, and exits with 0."""
        with item.path.open("rb") as file:
            header = parse_header(file.read(HEADER_BYTES), item.path)
        if header.mode not in _READABLE:
            raise InputError(f"{item.given}: MRC mode {header.mode}; {self.card.program.name} reads modes {_READABLE}")
        angles = read_angles(path := angles_beside(item, params.angles))
        if len(angles) != header.shape[0]:
            raise InputError(f"{item.given}: {header.shape[0]} sections, and {path.name} has {len(angles)} angles")

    def method(self, params: Any) -> list[str]:
        """Return the words for how it reconstructs."""
        if params.method == "wbp":
            return ["-Wbp", "1"]
        return ["-Wbp", "0", "-Sart", *(str(value) for value in params.iterations)]

    def judge(self, task: Task, ended: Any) -> None:
        """Hold it to its last line too: it exits with 0 after most failures."""
        super().judge(task, ended)
        for line in ended.lines:
            if found := re.search(r"Tilt offset: *(-?[\d.]+)", line):
                task.figures["tilt_offset"] = float(found[1])
        if not any("Total time" in line for line in ended.lines):
            raise ProgramError(f"{self.card.program.name} exited with 0, but never came to its end: {ended.last_words}")

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Keep all, and write the alignment as IMOD does."""
        products = super().take(task, found)
        if "alignment" not in products:
            return products
        try:
            alignment = read_aln(products["alignment"])
        except InputError as error:
            raise ProgramError(f"{self.card.program.name} exited with 0, but {error}") from error
        name, context = task.item.name, task.context
        if len(alignment.sections) + len(alignment.dark) != alignment.views:
            raise ProgramError(
                f"{self.card.program.name} exited with 0, but aligned {len(alignment.sections)} and left out "
                f"{len(alignment.dark)} of {alignment.views} sections"
            )
        with context.write(f"alignments/{name}.xf") as temporary:
            write_xf(temporary, *alignment.transforms())
        with context.write(f"alignments/{name}.tlt") as temporary:
            write_angles(temporary, alignment.tilts)
        products |= {kind: context.job / f"alignments/{name}.{kind}" for kind in ("xf", "tlt")}
        task.figures |= {
            "tilt_axis": float(alignment.axes.mean()),
            "sections": len(alignment.sections),
            "dark_sections": [one - self.first_section for one in alignment.dark],
            "pixel_size": task.params.pixel_size,
            "bin": task.params.bin,
        }
        return products

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write ``tomograms.star`` as RELION 5 names its columns."""
        made = [one for one in done if "tomogram" in one.products]
        if not made:
            return {}
        columns: dict[str, list[Any]] = {
            "rlnTomoName": [one.item.name for one in made],
            "rlnVoltage": [float(params.voltage)] * len(made) if params.voltage else [],
            "rlnSphericalAberration": [params.cs] * len(made) if params.cs else [],
            "rlnTomoTiltSeriesPixelSize": [params.pixel_size] * len(made),
            "rlnTomoTomogramBinning": [params.bin] * len(made),
            "rlnTomoReconstructedTomogram": [as_given(one, "tomogram", context) for one in made],
        }
        for number in (1, 2):
            if all(f"half{number}" in one.products for one in made):
                columns[f"rlnTomoReconstructedTomogramHalf{number}"] = [
                    as_given(one, f"half{number}", context) for one in made
                ]
        with context.write("tomograms.star") as temporary:
            write_star(temporary, {"global": {name: column for name, column in columns.items() if column}})
        return {"tomograms": context.job / "tomograms.star"}


class AreTomo2(_AreTomo):
    """A stack and its angles to a tomogram and an alignment."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Call it once, with short relative names. -Gpu takes numbers apart by blanks: by commas it takes the first."""
        params = task.params
        task.linked(angles_beside(task.item, params.angles), "angles.rawtlt")
        words = ["AreTomo2", "-InMrc", task.inputs[0], "-OutMrc", "out.mrc"]
        if params.alignment is None:
            words += ["-AngFile", "angles.rawtlt"]
            words += ["-TiltAxis", f"{params.tilt_axis:g}", "1" if params.refine_axis else "-1"]
            words += ["-TiltCor", "1" if params.tilt_offset else "0"]
        else:
            words += ["-AlnFile", task.linked(params.alignment, "given.aln"), "-Align", "0"]
        yield words + self.method(params) + self.options(task) + self.fill(["{devices}", "{extra}"], task)

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """An alignment must be there, unless it was given."""
        if "alignment" not in found and task.params.alignment is None:
            raise ProgramError("AreTomo2 exited with 0, but it left no in.aln")
        return super().take(task, found)


class AreTomo3(_AreTomo):
    """A stack and its angles, or an mdoc and its movies, to tomograms and an alignment."""

    first_section = 1

    def check_item(self, item: Item, params: Any) -> None:
        """An mdoc needs its movies beside it, and the dose of a frame; a stack its angles."""
        if item.path.suffix.lower() != ".mdoc":
            super().check_item(item, params)
            return
        missing = [movie.name for movie in movies_of(item) if not movie.is_file()]
        if missing:
            raise InputError(f"{item.given}: {len(missing)} of its movies are not beside it, such as {missing[0]}")
        if params.frame_dose is None:
            raise InputError(f"{item.given}: movies need --frame-dose, e-/Å² a frame")

    def lay_in(self, task: Task) -> None:
        """A stack gets its angles beside it, an mdoc its movies."""
        super().lay_in(task)
        if task.item.path.suffix.lower() == ".mdoc":
            for movie in movies_of(task.item):
                task.linked(movie, movie.name)
            return
        angles = read_angles(angles_beside(task.item, task.params.angles))
        (task.folder / "in_TLT.txt").write_text("".join(f"{angle:8.2f}\n" for angle in angles))

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Call it once; without its three folders it would write to / ."""
        params, movies = task.params, task.item.path.suffix.lower() == ".mdoc"
        for folder in ("out", "log", "tmp"):
            (task.folder / folder).mkdir()
        words = ["AreTomo3", "-InPrefix", task.inputs[0], "-OutDir", "out/", "-LogDir", "log/", "-TmpDir", "tmp/"]
        words += ["-Cmd", "0" if movies else "1", "-Serial", "0"]
        words += [
            "-TiltCor",
            "1" if params.tilt_offset else "0",
            "-CorrCTF",
            "1" if params.ctf_correction else "0",
            "15",
        ]
        if params.gain is not None:
            words += ["-RotGain", str(params.gain_rotate // 90), "-FlipGain", _FLIPS[params.gain_flip]]
        yield words + self.method(params) + self.options(task) + self.fill(["{devices}", "{extra}"], task)


def movies_of(item: Item) -> list[Path]:
    """Return the movies that an mdoc names (SubFramePath, with Windows' backslashes or not), beside it."""
    text = item.path.read_text(encoding="utf-8", errors="replace")
    names = [
        re.split(r"[\\/]", found.strip())[-1] for found in re.findall(r"^SubFramePath *= *(.+)$", text, re.MULTILINE)
    ]
    if not names:
        raise InputError(f"{item.given}: no SubFramePath in it: it names no movie")
    return [item.path.parent / name for name in names]
