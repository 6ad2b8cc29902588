"""``extract``: particles out of micrographs by their coordinates, into stacks and a particles STAR that RELION reads.

A particle's box begins at the whole part of its coordinate, pixels from 0, less box / 2, as RELION's does; it is shrunk
by cropping its transform, inverted where asked, and normalised by what lies outside a circle.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from pypcore import operation
from pypcore.errors import InputError, UsageError
from pypcore.items import Item, find_files
from pypcore.operation import Context, Done, Result

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pypcore.formats.coordinates import Picks

FOLDER = "particles"
_CTF = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnCtfBfactor", "rlnCtfScalefactor",
        "rlnCtfMaxResolution", "rlnCtfFigureOfMerit")  # fmt: skip
_OPTICS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")


class ExtractParameters(operation.Parameters):
    """What is cut out, and how it is made comparable."""

    coordinates: Path = Field(
        description="Picks: a list of coordinate files (coordinates.star), one STAR for all, or a folder of NAME.star"
    )
    box: int = Field(ge=8, description="Side of a particle's box, px of the micrograph, even")
    scale: int | None = Field(None, ge=8, description="Shrink the boxes to this side, px, even. Default: not shrunk")
    ctf: Path | None = Field(None, description="STAR with the micrographs' CTF, as ctffind writes micrographs_ctf.star")
    pixel_size: float | None = Field(None, gt=0, description="Pixel size of the micrographs, Å; else as the files say")
    invert: bool = Field(True, description="Turn dark particles on a light ground into light ones on a dark ground")
    normalize: bool = Field(True, description="Give the ground around each particle mean 0 and deviation 1")
    background: float = Field(
        0.75, gt=0, lt=1, description="Diameter of the circle outside which the ground is, as a share of the box"
    )
    threshold: float | None = Field(None, description="Least score of a pick; default: all are taken")
    float16: bool = Field(False, description="Write stacks with half the size: MRC mode 12, for RELION 4 and newer")

    @model_validator(mode="after")
    def _even(self) -> Self:
        for name in ("box", "scale"):
            if (getattr(self, name) or 0) % 2:
                raise ValueError(f"{name} {getattr(self, name)} is odd; RELION wants even boxes")
        if self.scale is not None and self.scale > self.box:
            raise ValueError(f"scale {self.scale} is more than the box, {self.box}: nothing is gained by enlarging")
        return self


class Extract:
    """Cuts the particles of each micrograph out."""

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Extract particles from micrographs by their coordinates, for RELION"
    Parameters: ClassVar[type[operation.Parameters]] = ExtractParameters

    def needs_gpu(self, params: ExtractParameters) -> bool:
        """Say that it runs on the CPU."""
        return False

    def auxiliary(self, params: ExtractParameters) -> list[Path]:
        """List coordinates and CTF."""
        return [path for path in (params.coordinates, params.ctf) if path is not None]

    def discover(self, params: ExtractParameters, inputs: list[str], root: Path) -> list[Path]:
        """Return the micrographs that ``inputs`` name; a STAR file stands for those in it."""
        from pypcore.programs.inputs import files_of

        named = [file for given in inputs for file in files_of(given, "micrograph", root)]
        return find_files(named, (".mrc",), root)

    def check(self, params: ExtractParameters, items: Sequence[Item]) -> None:
        """Refuse coordinates that fit none of the micrographs: another folder, or another data set."""
        from pypcore.formats.coordinates import read_all_picks

        try:
            found = read_all_picks(params.coordinates, [item.given for item in items], Path.cwd())
            if params.ctf is not None:
                _rows(params.ctf, 0)
        except InputError as error:
            raise UsageError(str(error)) from error
        if not found:
            raise UsageError(f"{params.coordinates}: no coordinates for any of the {len(items)} micrographs")

    def disk(self, params: ExtractParameters, item: Item) -> int:
        """Guess at two hundred particles a micrograph: who knows before they are read."""
        return 200 * (params.scale or params.box) ** 2 * (2 if params.float16 else 4)

    def process(self, item: Item, params: ExtractParameters, context: Context) -> Result:
        """Cut out the particles of one micrograph."""
        import numpy as np

        from pypcore.formats.coordinates import read_all_picks
        from pypcore.formats.mrc import read_mrc, write_mrc

        image, said = read_mrc(item.path)
        if image.ndim != 2:
            raise InputError(f"{item.given}: {len(image)} sections: not a micrograph")
        if not np.isfinite(image).all():
            raise InputError(f"{item.given}: has pixels that are not finite; make it again")
        pixel_size = params.pixel_size or said
        if pixel_size is None:
            raise InputError(f"{item.given}: its header doesn't say the pixel size; give --pixel-size, in Å")
        picks = read_all_picks(params.coordinates, [item.given], context.root).get(item.given)
        ctf = _ctf_of(params.ctf, item.given) if params.ctf is not None else {}
        if params.ctf is not None and not ctf:
            raise InputError(f"{item.given}: {params.ctf.name} has no row for it")
        figures: dict[str, Any] = {"particles": 0, "outside": 0, "pixel_size": pixel_size, "ctf": ctf}
        if picks is None:
            return Result(figures=figures)
        picks, outside = _inside(picks, image.shape, params)
        figures |= {"particles": len(picks.points), "outside": outside}
        if not len(picks.points):
            return Result(figures=figures)
        stack = cut_out(image, picks.points, params)
        size = pixel_size * params.box / (params.scale or params.box)
        with context.write(f"{FOLDER}/{item.name}.mrcs") as temporary:
            write_mrc(temporary, stack, size, float16=params.float16)
        columns: dict[str, list[Any]] = {"rlnCoordinateX": picks.points[:, 0].tolist()}
        columns["rlnCoordinateY"] = picks.points[:, 1].tolist()
        if len(picks.scores):
            columns["rlnAutopickFigureOfMerit"] = picks.scores.tolist()
        from pypcore.formats.star import write_star

        with context.write(f"{FOLDER}/{item.name}.star") as temporary:
            write_star(temporary, {"particles": columns})
        folder = context.job / FOLDER
        return Result({"stack": folder / f"{item.name}.mrcs", "coordinates": folder / f"{item.name}.star"}, figures)

    def finish(self, done: Iterable[Done], params: ExtractParameters, context: Context) -> Result:
        """Write ``particles.star``: an optics group for each pixel size, a row a particle."""
        from pypcore.formats.star import read_star, write_star

        finished = [one for one in done if "stack" in one.products]
        if not finished:
            raise InputError(f"{params.coordinates}: no particle lies inside any micrograph")
        kinds = list(dict.fromkeys(_optics_of(one) for one in finished))
        side = params.scale or params.box
        optics: dict[str, list[Any]] = {
            "rlnOpticsGroupName": [f"opticsGroup{number}" for number in range(1, len(kinds) + 1)],
            "rlnOpticsGroup": list(range(1, len(kinds) + 1)),
            "rlnMicrographOriginalPixelSize": [kind[0] for kind in kinds],
            **{name: [kind[1][index] for kind in kinds] for index, name in enumerate(_OPTICS) if kinds[0][1][index]},
            "rlnImagePixelSize": [kind[0] * params.box / side for kind in kinds],
            "rlnImageSize": [side] * len(kinds),
            "rlnImageDimensionality": [2] * len(kinds),
            "rlnCtfDataAreCtfPremultiplied": [0] * len(kinds),
        }
        columns: dict[str, list[Any]] = {}
        for one in finished:
            rows = read_star(one.products["coordinates"])["particles"].columns
            count = len(rows["rlnCoordinateX"])
            ctf: Any = one.figures["ctf"]
            stack = f"{context.job_as_given}/{FOLDER}/{one.item.name}.mrcs"
            rows_of_one: dict[str, list[Any]] = {
                **rows,
                "rlnImageName": [f"{number:06d}@{stack}" for number in range(1, count + 1)],
                "rlnMicrographName": [one.item.given] * count,
                "rlnOpticsGroup": [kinds.index(_optics_of(one)) + 1] * count,
            }
            rows_of_one |= {name: [ctf[name]] * count for name in _CTF if name in ctf}
            if columns and set(rows_of_one) != set(columns):
                different = ", ".join(sorted(set(rows_of_one) ^ set(columns)))
                raise InputError(f"{one.item.given}: not all micrographs have {different}")
            for name, values in rows_of_one.items():
                columns.setdefault(name, []).extend(values)
        with context.write("particles.star") as temporary:
            write_star(temporary, {"optics": optics, "particles": columns})
        count = len(columns["rlnImageName"])
        return Result({"star": context.job / "particles.star"}, {"micrographs": len(finished), "particles": count})


def cut_out(
    image: npt.NDArray[Any], points: npt.NDArray[np.float64], params: ExtractParameters
) -> npt.NDArray[np.float32]:
    """Return the boxes around ``points`` [n, (x, y)] as a stack [n, y, x]; all lie inside the image."""
    import numpy as np

    from pypcore.programs.shrink import crop

    half = params.box // 2
    stack = np.empty((len(points), params.box, params.box), np.float32)
    for box, (x, y) in zip(stack, points, strict=True):
        column, row = int(x) - half, int(y) - half
        box[:] = image[row : row + params.box, column : column + params.box]
    if params.scale and params.scale != params.box:
        stack = crop(stack, params.scale)
    if params.invert:
        np.negative(stack, out=stack)
    return normalized(stack, params.background) if params.normalize else stack


def normalized(stack: npt.NDArray[np.float32], background: float) -> npt.NDArray[np.float32]:
    """Take the plane through the ground off each image, and divide by the deviation that is left there.

    The ground is what lies outside a circle around side // 2 whose diameter is ``background`` of the side.
    """
    import numpy as np

    axis = np.arange(stack.shape[-1]) - stack.shape[-1] // 2
    y, x = (values.ravel().astype(np.float64) for values in np.meshgrid(axis, axis, indexing="ij"))
    ground = y**2 + x**2 > (background * stack.shape[-1] / 2) ** 2
    plane = np.stack([np.ones_like(x), y, x], axis=1)
    pixels = stack.reshape(len(stack), -1).astype(np.float64)
    pixels -= np.linalg.lstsq(plane[ground], pixels[:, ground].T, rcond=None)[0].T @ plane.T
    deviation = pixels[:, ground].std(axis=1)
    deviation[deviation == 0] = 1  # a flat ground stays flat
    result: npt.NDArray[np.float32] = (pixels / deviation[:, None]).astype(np.float32).reshape(stack.shape)
    return result


def _inside(picks: Picks, shape: tuple[int, ...], params: ExtractParameters) -> tuple[Picks, int]:
    """Return the picks that are good enough and whose boxes lie inside the image, and how many do not."""
    import numpy as np

    from pypcore.formats.coordinates import Picks

    good = np.ones(len(picks.points), bool)
    if params.threshold is not None and len(picks.scores):
        good = picks.scores >= params.threshold
    points, scores = picks.points[good, :2], picks.scores[good] if len(picks.scores) else picks.scores
    starts = np.array([[int(x), int(y)] for x, y in points], int).reshape(-1, 2) - params.box // 2
    inside = ((starts >= 0) & (starts + params.box <= [shape[1], shape[0]])).all(axis=1)
    return Picks(points[inside], scores[inside] if len(scores) else scores), int(np.count_nonzero(~inside))


def _optics_of(one: Done) -> tuple[float, tuple[Any, ...]]:
    ctf: Any = one.figures["ctf"]
    size: Any = one.figures["pixel_size"]
    return size, tuple(ctf.get(name) for name in _OPTICS)


def _ctf_of(file: Path, given: str) -> dict[str, float]:
    """Return the CTF's columns of one micrograph, its optics among them; empty where it has no row."""
    from pypcore.formats.coordinates import same_image

    rows, names = _rows(file, file.stat().st_mtime_ns)
    index = names.get(given)
    if index is None:
        index = next((number for name, number in names.items() if same_image(name, given)), None)
    return {} if index is None else rows[index]


@functools.lru_cache(maxsize=2)
def _rows(file: Path, _mtime_ns: int) -> tuple[list[dict[str, float]], dict[str, int]]:
    """Read a STAR of micrographs: for each its CTF and its optics group's numbers; and where each name stands."""
    from pypcore.formats.star import read_star

    blocks = read_star(file)
    table = next((block for block in blocks.values() if "rlnMicrographName" in block.columns), None)
    if table is None or "rlnDefocusU" not in table.columns:
        raise InputError(f"{file}: no table has rlnMicrographName and rlnDefocusU; give what ctffind or RELION wrote")
    optics = blocks["optics"].columns if "optics" in blocks else {}
    groups = {group: number for number, group in enumerate(optics.get("rlnOpticsGroup", []))}
    rows = []
    try:
        for number in range(len(table.columns["rlnMicrographName"])):
            row = {name: float(table.columns[name][number]) for name in (*_CTF, *_OPTICS) if name in table.columns}
            group = groups.get(table.columns["rlnOpticsGroup"][number]) if "rlnOpticsGroup" in table.columns else None
            if group is not None:
                row |= {name: float(optics[name][group]) for name in _OPTICS if name in optics}
            rows.append(row)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    return rows, {name: number for number, name in enumerate(table.columns["rlnMicrographName"])}
