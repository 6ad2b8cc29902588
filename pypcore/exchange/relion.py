"""STAR files for a RELION project: copies whose paths start at its folder; and what an Import job's STAR says."""

import os
from pathlib import Path
from typing import Any

from pypcore.errors import InputError
from pypcore.exchange.result import Exchanged
from pypcore.formats.star import Block, read_star, write_star

_FILES = (".mrc", ".mrcs", ".star", ".tif", ".tiff", ".eer", ".gain", ".txt")
_PARAMETERS = {
    "rlnMicrographOriginalPixelSize": "pixel_size",
    "rlnVoltage": "voltage",
    "rlnSphericalAberration": "cs",
    "rlnAmplitudeContrast": "amplitude_contrast",
}


def star_for_project(path: Path, folder: Path, root: Path, project: Path, *, force: bool = False) -> Exchanged:
    """Write a STAR file, and those that it names, into ``folder`` with every path relative to ``project``.

    Paths in it are relative to ``root``, where the job was started. What is not there is left as it is, and said.
    """
    result = Exchanged("STAR for RELION")
    missing: list[str] = []
    _rewrite(path, path.name, folder, root, project, result, missing, force)
    if missing:
        result.notes.append(
            f"{len(missing)} paths name nothing below {root}, and are as they were (first: {missing[0]})"
        )
    return result


def _rewrite(
    path: Path, name: str, folder: Path, root: Path, project: Path, result: Exchanged, missing: list[str], force: bool
) -> None:
    blocks = read_star(path)
    written: dict[str, Any] = {}
    for title, block in blocks.items():
        columns: dict[str, Any] = {}
        for key, values in block.columns.items():
            columns[key] = [_moved(key, one, folder, root, project, result, missing, force) for one in values]
        pairs = {
            key: _moved(key, value, folder, root, project, result, missing, force) for key, value in block.pairs.items()
        }
        written[title] = {**columns, **pairs}
    write_star(result.place(folder, name, force=force), written)


def _moved(
    key: str, value: str, folder: Path, root: Path, project: Path, result: Exchanged, missing: list[str], force: bool
) -> str:
    """Return a value as it is in the project; a STAR file that is named is written too."""
    number, at, name = value.rpartition("@")
    if "/" not in name and "." not in name:
        return value
    bare, colon, kind = name.partition(":")
    if not (root / bare).is_file():
        if "/" in bare or bare.lower().endswith(_FILES):
            missing.append(name)
        return value
    if bare.endswith(".star"):
        inner = os.path.relpath(root / bare, root)
        target = folder / inner
        if target not in result.written:
            _rewrite(root / bare, inner, folder, root, project, result, missing, force)
        return f"{number}{at}{_relative(target, project)}"
    return f"{number}{at}{_relative(root / bare, project)}{colon}{kind}"


def _relative(path: Path, project: Path) -> str:
    absolute = Path(os.path.abspath(path))
    return str(absolute.relative_to(project) if absolute.is_relative_to(project) else absolute)


def import_movies(path: Path, folder: Path, *, force: bool = False) -> Exchanged:
    """Write a ``pypcore.toml`` with what the STAR of RELION's Import job says of its movies."""
    import tomlkit

    blocks = read_star(path)
    movies = next(
        (b.columns["rlnMicrographMovieName"] for b in blocks.values() if "rlnMicrographMovieName" in b.columns), None
    )
    result = Exchanged("RELION movies")
    if not movies and any("rlnMicrographName" in block.columns for block in blocks.values()):
        result.kind = "RELION micrographs"
        result.notes.append(
            "nothing to convert: ctffind, extract, topaz-extract and others take this STAR file as it is"
        )
        result.command = f"pypcore run ctffind {path} -o ctf"
        return result
    if not movies:
        raise InputError(f"{path}: neither rlnMicrographMovieName nor rlnMicrographName; it names no movies")
    optics = blocks.get("optics", Block()).columns
    document, parameters = tomlkit.document(), tomlkit.table()
    document.add(tomlkit.comment(f"Made by pypcore import from {path}: {len(movies)} movies"))
    for theirs, ours in _PARAMETERS.items():
        values = sorted({float(value) for value in optics.get(theirs, [])})
        if len(values) == 1:
            entry = tomlkit.item(values[0])
            entry.comment(theirs)
            parameters.add(ours, entry)
            result.mapped[theirs] = f"{ours} = {values[0]:g}"
        elif values:
            result.not_mapped[theirs] = (
                f"optics groups differ ({', '.join(f'{v:g}' for v in values)}): make a job of each"
            )
    for theirs in optics:
        if theirs not in (*_PARAMETERS, "rlnOpticsGroup", "rlnOpticsGroupName"):
            result.not_mapped.setdefault(theirs, "motioncorr has no use for it")
    document.add("parameters", parameters)
    target = result.place(folder, "pypcore.toml", force=force)
    target.write_text(tomlkit.dumps(document), encoding="utf-8")
    result.notes.append("an Import job's STAR says nothing of the dose and the gain: give --dose and --gain")
    result.command = f"pypcore run motioncorr {path} -o motion --config {target} --dose DOSE"
    return result
