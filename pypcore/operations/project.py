"""``project``: projections of a map along the poses of a STAR file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from pypcore import operation
from pypcore.compute import CPU, Compute
from pypcore.errors import InputError, UsageError
from pypcore.items import Found, Item
from pypcore.operation import Context, Done, Result
from pypcore.operations.on_device import OnDevice

if TYPE_CHECKING:
    from pypcore.operations.particle_items import Table
    from pypcore.reconstruct.arrays import Projector

FOLDER, STAR = "projections", "projections.star"


class ProjectParameters(OnDevice):
    """Parameters of projections."""

    map: Path = Field(description="The map, MRC, a cube of even side; protein white")
    pixel_size: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Pixel size of the map and its projections, Å; default: what the map's header has",
    )
    ctf: bool = Field(True, description="Apply the contrast transfer that the STAR file gives each particle")
    padding: Literal[1, 2] = Field(
        2, description="How many times finer the map's transform is sampled; 1 takes an eighth of the memory"
    )


class Project:
    """Projects a map along each particle's pose, with its shift and CTF: what ``reconstruct`` takes back."""

    name: ClassVar[str] = "project"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Project a map along the poses of particles, with their shifts and CTF"

    Parameters: ClassVar[type[operation.Parameters]] = ProjectParameters

    def __init__(self) -> None:
        self.root = Path()

    def needs_gpu(self, params: ProjectParameters) -> bool:
        """Say that the device asked for decides."""
        return False

    def auxiliary(self, params: ProjectParameters) -> list[Path]:
        """List the map."""
        return [params.map]

    def discover(self, params: ProjectParameters, inputs: list[str], root: Path) -> list[Found]:
        """Return the micrographs of the STAR files; their images need not be there."""
        from pypcore.operations.particle_items import discover_parts

        self.root = root
        return discover_parts(inputs, root, _pixel_size(params), images=False)

    def check(self, params: ProjectParameters, items: Sequence[Item]) -> None:
        """Refuse a map that can't be projected, and CTFs that nobody gave."""
        try:
            _projector(params, 1)
        except InputError as error:
            raise UsageError(str(error)) from error
        for item in {item.file: item for item in items}.values():
            if params.ctf and _table(params, item, self.root).particles.defocus is None:
                raise UsageError(f"{item.file}: no column rlnDefocusU; give --no-ctf for plain projections")

    def disk(self, params: ProjectParameters, item: Item) -> int:
        """Return the size of the projections."""
        rows = _table(params, item, self.root).parts[item.part]
        return 1024 + len(rows) * _projector(params, 1).box ** 2 * 4

    def process(self, item: Item, params: ProjectParameters, context: Context) -> Result:
        """Write the projections of one micrograph's particles."""
        from pypcore.formats.mrc import write_mrc

        table = _table(params, item, context.root)
        projector = _projector(params, context.threads, context.compute)
        rows, particles = table.parts[item.part], table.particles
        images = projector.project(
            particles.poses(rows),
            particles.ctf(rows) if params.ctf else None,
            particles.optics,
            particles.group[rows],
        )
        relative = f"{FOLDER}/{item.name}.mrcs"
        with context.write(relative) as temporary:
            write_mrc(temporary, images, projector.pixel_size, label="pypcore project")
        return Result({"stack": context.job / relative}, {"particles": len(rows), "box": projector.box})

    def finish(self, done: Iterable[Done], params: ProjectParameters, context: Context) -> Result:
        """Write ``projections.star``, with the poses and where each projection is."""
        from pypcore.formats.star import write_star

        finished = list(done)
        tables = {one.item.file: _table(params, one.item, context.root) for one in finished}
        # Optics groups of several STAR files are numbered on.
        first: dict[str, int] = {}
        optics: list[Any] = []
        for file, table in tables.items():
            first[file] = len(optics) + 1
            optics += table.particles.optics
        rows: dict[str, list[Any]] = {}
        for one in finished:
            for name, column in _rows(one, tables[one.item.file], first[one.item.file], params, context).items():
                rows.setdefault(name, []).extend(column)
        projector = _projector(params, context.threads)
        with context.write(STAR) as temporary:
            write_star(temporary, {"optics": _optics(optics, projector), "particles": rows})
        return Result({"star": context.job / STAR}, {"particles": len(rows["rlnImageName"])})


def _optics(optics: Sequence[Any], projector: Projector) -> dict[str, list[Any]]:
    count = len(optics)
    columns: dict[str, list[Any]] = {
        "rlnOpticsGroup": list(range(1, count + 1)),
        "rlnOpticsGroupName": [f"opticsGroup{number}" for number in range(1, count + 1)],
        "rlnVoltage": [one.voltage for one in optics],
        "rlnSphericalAberration": [one.cs for one in optics],
        "rlnAmplitudeContrast": [one.amplitude_contrast for one in optics],
        "rlnImagePixelSize": [projector.pixel_size] * count,
        "rlnImageSize": [projector.box] * count,
        "rlnImageDimensionality": [2] * count,
    }
    more = {
        "rlnBeamTiltX": [one.beam_tilt[0] for one in optics],
        "rlnBeamTiltY": [one.beam_tilt[1] for one in optics],
        "rlnOddZernike": [_list(one.odd_zernike) for one in optics],
        "rlnEvenZernike": [_list(one.even_zernike) for one in optics],
    }
    for row, column in ((i, j) for i in (0, 1) for j in (0, 1)):
        more[f"rlnMagMat{row}{column}"] = [one.magnification[row][column] for one in optics]
    plain = {"rlnMagMat00": 1.0, "rlnMagMat11": 1.0, "rlnOddZernike": "[]", "rlnEvenZernike": "[]"}
    matrix = any(one.magnification != ((1.0, 0.0), (0.0, 1.0)) for one in optics)
    kept = {
        name: column
        for name, column in more.items()
        if any(value != plain.get(name, 0.0) for value in column) or (matrix and name.startswith("rlnMagMat"))
    }
    return columns | kept


def _list(coefficients: Sequence[float]) -> str:
    return f"[{','.join(f'{one:g}' for one in coefficients)}]"


def _rows(one: Done, table: Table, first: int, params: ProjectParameters, context: Context) -> dict[str, list[Any]]:
    particles, rows = table.particles, table.parts[one.item.part]
    stack = f"{context.job_as_given}/{FOLDER}/{one.item.name}.mrcs"
    columns: dict[str, Any] = {
        "rlnImageName": [f"{number:06d}@{stack}" for number in range(1, len(rows) + 1)],
        "rlnMicrographName": [particles.micrographs[number] for number in particles.micrograph[rows]],
        "rlnOpticsGroup": (particles.group[rows] + first).tolist(),
    }
    for place, name in enumerate(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")):
        columns[name] = particles.angles[rows, place].tolist()
    for place, name in enumerate(("rlnOriginXAngst", "rlnOriginYAngst")):
        columns[name] = particles.origins[rows, place].tolist()
    if params.ctf and particles.defocus is not None:
        for place, name in enumerate(("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")):
            columns[name] = particles.defocus[rows, place].tolist()
        columns["rlnPhaseShift"] = particles.phase_shift[rows].tolist()
        columns["rlnCtfBfactor"] = particles.bfactor[rows].tolist()
        columns["rlnCtfScalefactor"] = particles.scale[rows].tolist()
    return columns


def _table(params: ProjectParameters, item: Item, root: Path) -> Table:
    from pypcore.operations.particle_items import read_table

    return read_table(item.path, root, _pixel_size(params), images=False)


def _pixel_size(params: ProjectParameters) -> float:
    try:
        return _read_map(params.map, params.map.stat().st_mtime_ns, params.pixel_size)[1]
    except InputError as error:
        raise UsageError(str(error)) from error


def _projector(params: ProjectParameters, threads: int, compute: Compute = CPU) -> Projector:
    changed = params.map.stat().st_mtime_ns
    return _make_projector(params.map, changed, params.pixel_size, params.padding, threads, compute)


@lru_cache(maxsize=1)
def _make_projector(
    path: Path, mtime_ns: int, given: float | None, padding: int, threads: int, compute: Compute
) -> Projector:
    from pypcore.reconstruct.arrays import Projector

    volume, pixel_size = _read_map(path, mtime_ns, given)
    try:
        return Projector(volume, pixel_size, padding=padding, threads=threads, compute=compute)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


@lru_cache(maxsize=1)
def _read_map(path: Path, _mtime_ns: int, given: float | None) -> tuple[Any, float]:
    import numpy as np

    from pypcore.formats.mrc import read_mrc

    volume, pixel_size = read_mrc(path)
    if volume.ndim != 3 or not np.isfinite(volume).all():
        raise InputError(f"{path}: not a map, or with voxels that are not finite")
    if given is None and pixel_size is None:
        raise InputError(f"{path}: its header says no pixel size; give --pixel-size, in Å")
    return np.asarray(volume, np.float32), float(given or pixel_size or 0)
