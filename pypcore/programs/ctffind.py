"""CTFFIND 4 and 5: asked on standard input, one answer a line; its table into RELION's columns.

Defocus in Å, underfocus positive; the first is the larger; the azimuth is that of the first, degrees
counter-clockwise from x; phase shift in radians in its table, in degrees in ours and RELION's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypcore.errors import InputError
from pypcore.formats.mrc import HEADER_BYTES, parse_header
from pypcore.formats.star import write_star
from pypcore.items import Item
from pypcore.operation import Context, Done, Figure
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.process import ProgramError
from pypcore.programs.tables import as_given

_DEGREES = 57.29577951308232


@dataclass(frozen=True)
class Ctf:
    """What was found for one image: defocus (Å), its azimuth (degrees), phase shift (degrees), the fit's score and
    the finest spacing (Å) to which the rings fit."""

    defocus_u: float
    defocus_v: float
    angle: float
    phase_shift: float
    score: float
    resolution: float


def read_ctf(path: Path) -> list[Ctf]:
    """Read CTFFIND's table: seven columns, an image a row, # before what is no row; InputError else."""
    found = []
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip() and not line.startswith("#"):
                _, u, v, angle, phase, score, resolution = (float(word) for word in line.split()[:7])
                found.append(Ctf(u, v, angle, phase * _DEGREES, score, resolution))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table of CTFFIND ({error})") from error
    if not found:
        raise InputError(f"{path}: a table of CTFFIND without a row")
    return found


class Ctffind(Adapter):
    """Micrographs, or tilt series, to their CTF."""

    def rules(self, params: Any) -> None:
        """Ranges go the right way."""
        if params.resolution[0] <= params.resolution[1]:
            raise ValueError(
                f"resolution {params.resolution[0]:g},{params.resolution[1]:g}: the coarser (larger) comes first"
            )
        if params.defocus[0] >= params.defocus[1]:
            raise ValueError(
                f"defocus {params.defocus[0]:g},{params.defocus[1]:g}: the first must be less than the second"
            )

    def check_item(self, item: Item, params: Any) -> None:
        """A pixel size must be known, and a stack be meant to be one."""
        header = _header(item.path)
        if params.pixel_size is None and header.pixel_size is None:
            raise InputError(f"{item.given}: its header doesn't say the pixel size; give --pixel-size, in Å")
        if header.shape[0] > 1 and not params.tilts:
            raise InputError(f"{item.given}: {header.shape[0]} sections; give --tilts where that is a tilt series")

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Answer its questions from a file: it asks on standard input, and nobody is there."""
        params, header = task.params, _header(task.item.path)
        pixel_size = params.pixel_size or header.pixel_size
        task.figures["pixel_size"] = pixel_size
        answers = [task.inputs[0]]
        if header.shape[0] > 1:
            answers += ["no"]  # a stack of images, not frames of a movie
        answers += [
            "out.mrc",
            f"{pixel_size:g}",
            f"{params.voltage:g}",
            f"{params.cs:g}",
            f"{params.amplitude_contrast:g}",
        ]
        answers += [str(params.box), *(f"{value:g}" for value in (*params.resolution, *params.defocus))]
        answers += [f"{params.defocus_step:g}", "no", "yes" if params.slow else "no"]
        answers += ["yes", f"{params.astigmatism:g}"] if params.astigmatism else ["no"]
        answers += ["yes", "0", "3.15", "0.17"] if params.phase_shift else ["no"]
        answers += ["no"]  # no expert options
        (task.folder / "answers.txt").write_text("\n".join(answers) + "\n")
        yield ["ctffind", *self.fill(["{extra}"], task)]

    def stdin(self, task: Task) -> Path:
        """Return the answers."""
        return task.folder / "answers.txt"

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Read the table; a series has a row a section."""
        sections = _header(task.item.path).shape[0]
        try:
            rows = read_ctf(found["result"])
        except InputError as error:
            raise ProgramError(f"ctffind exited with 0, but {error}") from error
        if len(rows) != sections:
            raise ProgramError(f"ctffind exited with 0, but its table has {len(rows)} rows for {sections} images")
        figures: dict[str, Figure]
        if task.params.tilts:
            figures = {f"{name}s": [getattr(row, name) for row in rows] for name in _FIGURES}
        else:
            figures = {name: getattr(rows[0], name) for name in _FIGURES}
        task.figures |= figures
        products = super().take(task, found)
        if task.params.tilts:
            columns = _columns([vars(row) for row in rows])
            with task.context.write(relative := f"ctf/{task.item.name}.star") as temporary:
                write_star(temporary, {task.item.name: columns})
            products["tilts"] = task.context.job / relative
        return products

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write ``micrographs_ctf.star`` as RELION's CtfFind job does: optics, and a row a micrograph."""
        if params.tilts or not done:
            return {}
        sizes = list(dict.fromkeys(one.figures["pixel_size"] for one in done))
        optics: dict[str, list[Any]] = {
            "rlnOpticsGroupName": [f"opticsGroup{number}" for number in range(1, len(sizes) + 1)],
            "rlnOpticsGroup": list(range(1, len(sizes) + 1)),
            "rlnMicrographPixelSize": sizes,
            "rlnVoltage": [params.voltage] * len(sizes),
            "rlnSphericalAberration": [params.cs] * len(sizes),
            "rlnAmplitudeContrast": [params.amplitude_contrast] * len(sizes),
        }
        rows: dict[str, list[Any]] = {
            "rlnMicrographName": [one.item.given for one in done],
            "rlnOpticsGroup": [sizes.index(one.figures["pixel_size"]) + 1 for one in done],
            "rlnCtfImage": [f"{as_given(one, 'spectrum', context)}:mrc" for one in done],
            **_columns([one.figures for one in done]),
        }
        if not params.phase_shift:
            rows.pop("rlnPhaseShift")
        with context.write("micrographs_ctf.star") as temporary:
            write_star(temporary, {"optics": optics, "micrographs": rows})
        return {"star": context.job / "micrographs_ctf.star"}


_FIGURES = ("defocus_u", "defocus_v", "angle", "phase_shift", "score", "resolution")


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    names = (
        "rlnDefocusU",
        "rlnDefocusV",
        "rlnDefocusAngle",
        "rlnPhaseShift",
        "rlnCtfFigureOfMerit",
        "rlnCtfMaxResolution",
    )
    columns = {name: [row[figure] for row in rows] for name, figure in zip(names, _FIGURES, strict=True)}
    columns["rlnCtfAstigmatism"] = [abs(row["defocus_u"] - row["defocus_v"]) for row in rows]
    return columns


def _header(path: Path) -> Any:
    with path.open("rb") as file:
        return parse_header(file.read(HEADER_BYTES), path)
