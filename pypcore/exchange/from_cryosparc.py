"""Particles and exposures of cryoSPARC's ``.cs`` to RELION's STAR files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.exchange.cryosparc_fields import ABERRATIONS, MM, OPTICS, PLAIN
from pypcore.exchange.result import Exchanged
from pypcore.formats.cryosparc import angles_of, read_cs, text_of
from pypcore.formats.star import write_star

Rows = npt.NDArray[Any]


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
    for name, (ours, factor) in PLAIN.items():
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
        tilt = np.arcsin(fields["ctf/tilt_A"].astype(float) / (fields["ctf/cs_mm"].astype(float)[:, None] * MM)) * 1e3
        optics["rlnBeamTiltX"], optics["rlnBeamTiltY"] = (_rounded(tilt[first, axis]) for axis in (0, 1))
    for name in ABERRATIONS:
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
    for theirs, (ours, factor) in PLAIN.items():
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
    for name, ours in OPTICS.items():
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


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    """Return numbers with the digits that single precision has."""
    return [float(f"{value:.8g}") for value in values]
