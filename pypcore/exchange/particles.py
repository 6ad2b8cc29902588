"""Particles and micrographs between RELION's STAR files and cryoSPARC's ``.cs``."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.exchange.result import Exchanged
from pypcore.formats.cryosparc import angles_of, as_text, poses_of, read_cs, text_of, uids, write_cs
from pypcore.formats.star import Block, read_star, write_star

Rows = npt.NDArray[Any]
_PLAIN = {  # fields that need only another name, and a factor
    "ctf/df1_A": ("rlnDefocusU", 1.0),
    "ctf/df2_A": ("rlnDefocusV", 1.0),
    "ctf/df_angle_rad": ("rlnDefocusAngle", 180 / np.pi),
    "ctf/phase_shift_rad": ("rlnPhaseShift", 180 / np.pi),
    "ctf/bfactor": ("rlnCtfBfactor", 1.0),
    "ctf/scale": ("rlnCtfScalefactor", 1.0),
}
_OPTICS = {
    "ctf/accel_kv": "rlnVoltage",
    "ctf/cs_mm": "rlnSphericalAberration",
    "ctf/amp_contrast": "rlnAmplitudeContrast",
}
_ABERRATIONS = ("ctf/trefoil_A", "ctf/tetra_A", "ctf/anisomag", "ctf/shift_A")
_MM = 1e7  # Å


def cs_to_star(
    path: Path, passthrough: list[Path], folder: Path, root: Path, *, flip_y: bool = False, force: bool = False
) -> Exchanged:
    """Write the particles, or micrographs, of a ``.cs`` file as a STAR file into ``folder``.

    ``root`` is the folder that paths in it are relative to: RELION's project. ``flip_y`` counts particles' rows from
    the other end, for micrographs that were made again with their rows the other way round.
    """
    fields = read_cs(path, *passthrough)
    if "blob/path" in fields:
        return _particles_to_star(path, fields, folder, root, flip_y, force)
    if "micrograph_blob/path" in fields or "movie_blob/path" in fields:
        return _micrographs_to_star(path, fields, folder, force)
    raise InputError(
        f"{path}: no blob/path, micrograph_blob/path or movie_blob/path in it; give it with its passthrough"
    )


def _particles_to_star(
    path: Path, fields: dict[str, Rows], folder: Path, root: Path, flip_y: bool, force: bool
) -> Exchanged:
    result = Exchanged("cryoSPARC particles")
    groups, group = _groups(fields)
    stacks = _stacks(text_of(fields["blob/path"]), folder, root, result)
    images = fields["blob/idx"].astype(int) + 1
    columns: dict[str, Any] = {"rlnImageName": [f"{n:06d}@{s}" for n, s in zip(images, stacks, strict=True)]}
    if "location/micrograph_path" in fields:
        columns["rlnMicrographName"] = text_of(fields["location/micrograph_path"])
        height, width = fields["location/micrograph_shape"].astype(float).T
        y = fields["location/center_y_frac"].astype(float) * height
        columns["rlnCoordinateX"] = _rounded(fields["location/center_x_frac"].astype(float) * width)
        columns["rlnCoordinateY"] = _rounded(height - y if flip_y else y)
        result.notes.append(
            "coordinates: rows counted from the "
            + (
                "other end (--flip-y)"
                if flip_y
                else "first row of the micrograph "
                "that is named; for one made again with its rows the other way round give --flip-y"
            )
        )
    for name, (ours, factor) in _PLAIN.items():
        if name in fields:
            columns[ours] = _rounded(fields[name].astype(float) * factor)
    if "alignments3D/pose" in fields:
        angles = angles_of(fields["alignments3D/pose"])
        for axis, name in enumerate(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")):
            columns[name] = _rounded(angles[:, axis])
        sizes = fields["alignments3D/psize_A"] if "alignments3D/psize_A" in fields else fields["blob/psize_A"]
        shifts = fields["alignments3D/shift"].astype(float) * sizes.astype(float)[:, None]
        columns["rlnOriginXAngst"], columns["rlnOriginYAngst"] = _rounded(shifts[:, 0]), _rounded(shifts[:, 1])
    if "alignments3D/split" in fields:
        columns["rlnRandomSubset"] = (fields["alignments3D/split"].astype(int) + 1).tolist()
    if "alignments3D/class" in fields:
        columns["rlnClassNumber"] = (fields["alignments3D/class"].astype(int) + 1).tolist()
    columns["rlnOpticsGroup"] = (group + 1).tolist()
    first = [int(np.argmax(group == number)) for number in range(len(groups))]
    optics = _optics(fields, groups, first, "blob/psize_A", "rlnImagePixelSize")
    optics["rlnImageSize"] = [int(fields["blob/shape"][row][-1]) for row in first]
    optics["rlnImageDimensionality"] = [2] * len(groups)
    if "ctf/tilt_A" in fields and np.any(fields["ctf/tilt_A"]):
        tilt = np.arcsin(fields["ctf/tilt_A"].astype(float) / (fields["ctf/cs_mm"].astype(float)[:, None] * _MM)) * 1e3
        optics["rlnBeamTiltX"], optics["rlnBeamTiltY"] = (_rounded(tilt[first, axis]) for axis in (0, 1))
    for name in _ABERRATIONS:
        if name in fields and np.any(fields[name]):
            result.not_mapped[name] = "not zero; higher aberrations and magnification have another form in RELION"
    target = result.place(folder, f"{path.stem}.star", force=force)
    write_star(target, {"optics": optics, "particles": columns})
    result.notes.append(f"{len(group)} particles of {len(groups)} exposure groups")
    return result


def _micrographs_to_star(path: Path, fields: dict[str, Rows], folder: Path, force: bool) -> Exchanged:
    result = Exchanged("cryoSPARC exposures")
    kind, name = (
        ("micrograph", "rlnMicrographName") if "micrograph_blob/path" in fields else ("movie", "rlnMicrographMovieName")
    )
    groups, group = _groups(fields)
    columns: dict[str, Any] = {name: text_of(fields[f"{kind}_blob/path"])}
    if kind == "micrograph" and "movie_blob/path" in fields:
        columns["rlnMicrographMovieName"] = text_of(fields["movie_blob/path"])
    for theirs, (ours, factor) in _PLAIN.items():
        if theirs in fields and ours.startswith(("rlnDefocus", "rlnPhase")):
            columns[ours] = _rounded(fields[theirs].astype(float) * factor)
    if "ctf/ctf_fit_to_A" in fields:
        columns["rlnCtfMaxResolution"] = _rounded(fields["ctf/ctf_fit_to_A"].astype(float))
    columns["rlnOpticsGroup"] = (group + 1).tolist()
    first = [int(np.argmax(group == number)) for number in range(len(groups))]
    size = "rlnMicrographPixelSize" if kind == "micrograph" else "rlnMicrographOriginalPixelSize"
    optics = _optics(fields, groups, first, f"{kind}_blob/psize_A", size)
    target = result.place(folder, f"{path.stem}.star", force=force)
    write_star(target, {"optics": optics, "micrographs" if kind == "micrograph" else "movies": columns})
    result.notes.append(f"{len(group)} {kind}s")
    return result


def _groups(fields: dict[str, Rows]) -> tuple[list[int], npt.NDArray[np.intp]]:
    for name in ("ctf/exp_group_id", "location/exp_group_id", "mscope_params/exp_group_id"):
        if name in fields:
            numbers, group = np.unique(fields[name], return_inverse=True)
            return [int(number) for number in numbers], group
    rows = len(next(iter(fields.values())))
    return [1], np.zeros(rows, np.intp)


def _optics(fields: dict[str, Rows], groups: list[int], first: list[int], size: str, size_name: str) -> dict[str, Any]:
    optics: dict[str, Any] = {
        "rlnOpticsGroupName": [f"opticsGroup{number}" for number in groups],
        "rlnOpticsGroup": list(range(1, len(groups) + 1)),
    }
    for name, ours in _OPTICS.items():
        source = next((one for one in (name, name.replace("ctf/", "mscope_params/")) if one in fields), None)
        if source is not None:
            optics[ours] = _rounded(fields[source][first].astype(float))
    if size in fields:
        optics[size_name] = _rounded(fields[size][first].astype(float))
    return optics


def _stacks(stacks: list[str], folder: Path, root: Path, result: Exchanged) -> list[str]:
    """Return how RELION names the stacks: it reads ``.mrc`` as one image (pyem#48), so these get a link ``.mrcs``."""
    known: dict[str, str] = {}
    for stack in dict.fromkeys(stacks):
        if not stack.endswith(".mrc"):
            continue
        if not (root / stack).is_file():
            known[stack] = stack
            continue
        link = folder / "stacks" / f"{Path(stack).stem}.mrcs"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(root / stack, link.parent))
        known[stack] = os.path.relpath(link, root)
    linked = sum(1 for stack, name in known.items() if stack != name)
    if linked:
        result.notes.append(
            f"{linked} stacks called .mrc got links called .mrcs in {folder / 'stacks'}, which RELION needs"
        )
    if len(known) > linked:
        result.notes.append(
            f"{len(known) - linked} stacks called .mrc aren't below {root}: RELION reads stacks as .mrcs only; "
            "start in cryoSPARC's project folder (--project) to have them linked"
        )
    return [known.get(stack, stack) for stack in stacks]


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
    for name, ours in _OPTICS.items():
        if ours in optics:
            fields[name] = _column(optics, ours, path)[rows].astype("<f4")
    for name, (ours, factor) in _PLAIN.items():
        if ours in columns:
            fields[name] = (_column(columns, ours, path) / factor).astype("<f4")
    if "rlnBeamTiltX" in optics and "rlnSphericalAberration" in optics:
        tilt = np.stack([_column(optics, f"rlnBeamTilt{axis}", path)[rows] for axis in "XY"], 1)
        cs = _column(optics, "rlnSphericalAberration", path)[rows]
        fields["ctf/tilt_A"] = (np.sin(tilt * 1e-3) * cs[:, None] * _MM).astype("<f4")
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


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    """Return numbers with the digits that single precision has."""
    return [float(f"{value:.8g}") for value in values]
