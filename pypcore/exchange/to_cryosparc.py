"""Particles and micrographs of RELION's STAR files to cryoSPARC's ``.cs``."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.exchange.cryosparc_fields import MM, OPTICS, PLAIN
from pypcore.exchange.result import Exchanged
from pypcore.formats.cryosparc import as_text, poses_of, uids, write_cs
from pypcore.formats.star import Block, read_star

Rows = npt.NDArray[Any]


def star_to_cs(path: Path, folder: Path, root: Path, *, flip_y: bool = False, force: bool = False) -> Exchanged:
    """Write the particles, or micrographs, of a STAR file with optics groups as a ``.cs`` file into ``folder``."""
    blocks = read_star(path)
    optics = blocks.get("optics", Block()).columns
    if not optics:
        raise InputError(f"{path}: no data_optics; give a STAR file of RELION 3.1 or newer")
    block = next((b for b in blocks.values() if "rlnImageName" in b.columns), None)
    if block is not None:
        return _particles_to_cs(path, block.columns, optics, folder, root, flip_y, force)
    block = next((b for b in blocks.values() if "rlnMicrographName" in b.columns), None)
    if block is not None:
        return _micrographs_to_cs(path, block.columns, optics, folder, root, force)
    raise InputError(
        f"{path}: neither rlnImageName nor rlnMicrographName; give a STAR file of particles or micrographs"
    )


def _particles_to_cs(
    path: Path,
    columns: dict[str, list[str]],
    optics: dict[str, list[str]],
    folder: Path,
    root: Path,
    flip_y: bool,
    force: bool,
) -> Exchanged:
    result = Exchanged("particles for cryoSPARC")
    rows = _group_rows(path, columns, optics)
    images = [name.partition("@") for name in columns["rlnImageName"]]
    if wrong := next(
        (name for name, one in zip(columns["rlnImageName"], images, strict=True) if not one[0].isdigit()), ""
    ):
        raise InputError(f"{path}: rlnImageName is '{wrong}'; it must be like 000001@stack.mrcs: an image a row")
    size = _column(optics, "rlnImagePixelSize", path)[rows]
    side = _column(optics, "rlnImageSize", path)[rows].astype("<u4")
    fields: dict[str, Rows] = {
        "uid": uids(columns["rlnImageName"]),
        "blob/path": as_text([stack for _, _, stack in images]),
        "blob/idx": np.array([int(number) - 1 for number, _, _ in images], "<u4"),
        "blob/shape": np.stack([side, side], 1),
        "blob/psize_A": size.astype("<f4"),
        "blob/sign": np.full(len(rows), -1.0, "<f4"),
    }
    result.notes.append("blob/sign is -1: particles are light on dark, as RELION's and pypcore's extract write them")
    fields |= _ctf(columns, optics, rows, path)
    if "rlnMicrographName" in columns:
        fields |= _location(columns, root, flip_y, result)
    if "rlnAngleRot" in columns:
        names = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
        fields["alignments3D/pose"] = poses_of(np.stack([_column(columns, name, path) for name in names], 1))
        shift = np.stack([_column(columns, f"rlnOrigin{axis}Angst", path) for axis in "XY"], 1)
        fields["alignments3D/shift"] = (shift / size[:, None]).astype("<f4")
        fields["alignments3D/psize_A"] = size.astype("<f4")
    if "rlnRandomSubset" in columns:
        fields["alignments3D/split"] = (_column(columns, "rlnRandomSubset", path) - 1).astype("<u4")
    target = result.place(folder, f"{path.stem}.cs", force=force)
    write_cs(target, fields)
    result.notes.append(f"{len(rows)} particles")
    return result


def _micrographs_to_cs(
    path: Path, columns: dict[str, list[str]], optics: dict[str, list[str]], folder: Path, root: Path, force: bool
) -> Exchanged:
    result = Exchanged("micrographs for cryoSPARC")
    rows = _group_rows(path, columns, optics)
    names = columns["rlnMicrographName"]
    size = _column(optics, "rlnMicrographPixelSize", path)[rows]
    fields: dict[str, Rows] = {
        "uid": uids(names),
        "micrograph_blob/path": as_text(names),
        "micrograph_blob/idx": np.zeros(len(names), "<u4"),
        "micrograph_blob/psize_A": size.astype("<f4"),
    }
    shapes = [_shape(root / name) for name in names]
    if None not in shapes:
        fields["micrograph_blob/shape"] = np.array(shapes, "<u4")
    else:
        result.notes.append(f"sizes of micrographs are left out: not all lie below {root} (--project)")
    scope = {"accel_kv": "rlnVoltage", "cs_mm": "rlnSphericalAberration"}
    for ours, theirs in scope.items():
        if theirs in optics:
            fields[f"mscope_params/{ours}"] = _column(optics, theirs, path)[rows].astype("<f4")
    if "rlnDefocusU" in columns:
        fields |= _ctf(columns, optics, rows, path)
    target = result.place(folder, f"{path.stem}.cs", force=force)
    write_cs(target, fields)
    result.notes.append(f"{len(names)} micrographs")
    return result


def _ctf(columns: dict[str, list[str]], optics: dict[str, list[str]], rows: Rows, path: Path) -> dict[str, Rows]:
    fields: dict[str, Rows] = {"ctf/type": as_text(["spline"] * len(rows))} if "rlnDefocusU" in columns else {}
    fields["ctf/exp_group_id"] = (rows + 1).astype("<u4")
    for name, ours in OPTICS.items():
        if ours in optics:
            fields[name] = _column(optics, ours, path)[rows].astype("<f4")
    for name, (ours, factor) in PLAIN.items():
        if ours in columns:
            fields[name] = (_column(columns, ours, path) / factor).astype("<f4")
    if "rlnBeamTiltX" in optics and "rlnSphericalAberration" in optics:
        tilt = np.stack([_column(optics, f"rlnBeamTilt{axis}", path)[rows] for axis in "XY"], 1)
        cs = _column(optics, "rlnSphericalAberration", path)[rows]
        fields["ctf/tilt_A"] = (np.sin(tilt * 1e-3) * cs[:, None] * MM).astype("<f4")
    return fields


def _location(columns: dict[str, list[str]], root: Path, flip_y: bool, result: Exchanged) -> dict[str, Rows]:
    """Return where particles are as shares of their micrographs, whose sizes their headers say."""
    names = columns["rlnMicrographName"]
    fields: dict[str, Rows] = {"location/micrograph_path": as_text(names), "location/micrograph_uid": uids(names)}
    if "rlnCoordinateX" not in columns:
        return fields
    shapes = {name: _shape(root / name) for name in dict.fromkeys(names)}
    if None in shapes.values():
        result.not_mapped["rlnCoordinateX, rlnCoordinateY"] = (
            f"{sum(one is None for one in shapes.values())} micrographs aren't below {root}: their size is not known"
        )
        return fields
    shape = np.array([shapes[name] for name in names], float)
    x = np.array(columns["rlnCoordinateX"], float) / shape[:, 1]
    y = np.array(columns["rlnCoordinateY"], float) / shape[:, 0]
    fields["location/micrograph_shape"] = shape.astype("<u4")
    fields["location/center_x_frac"] = x.astype("<f4")
    fields["location/center_y_frac"] = (1 - y if flip_y else y).astype("<f4")
    return fields


def _shape(path: Path) -> tuple[int, int] | None:
    from pypcore.formats.movies import open_movie

    try:
        with open_movie(path, least=1) as image:
            return image.shape[1], image.shape[2]
    except InputError:
        return None


def _group_rows(path: Path, columns: dict[str, list[str]], optics: dict[str, list[str]]) -> Rows:
    place = {number: row for row, number in enumerate(optics["rlnOpticsGroup"])}
    try:
        return np.array([place[number] for number in columns["rlnOpticsGroup"]], np.intp)
    except KeyError as error:
        raise InputError(f"{path}: rlnOpticsGroup {error}: data_optics has no such group") from error


def _column(columns: dict[str, list[str]], name: str, path: Path) -> npt.NDArray[np.float64]:
    if name not in columns:
        raise InputError(f"{path}: no column {name}, which cryoSPARC needs")
    try:
        return np.array(columns[name], np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {name}: {error}") from error
