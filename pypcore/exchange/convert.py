"""Which import or export a file asks for."""

from collections.abc import Sequence
from pathlib import Path

from pypcore.errors import InputError, UsageError
from pypcore.exchange.result import Exchanged
from pypcore.job import Job

TO = ("relion", "cryosparc", "imod", "aretomo")


def import_files(
    paths: Sequence[Path],
    folder: Path,
    *,
    root: Path,
    size: tuple[int, int] | None = None,
    pixel_size: float | None = None,
    flip_y: bool = False,
    force: bool = False,
) -> Exchanged:
    """Take over other programs' files: the first says what they are, the others are its passthroughs or more like it.

    InputError, UsageError: nothing was written, or what was is named in none.
    """
    first = paths[0]
    if not first.is_file():
        raise InputError(f"{first}: no such file")
    suffix = first.suffix.lower()
    if suffix == ".toml":
        from pypcore.exchange.nextpyp import import_pyp_config

        return import_pyp_config(first, folder, force=force)
    if suffix == ".cs":
        from pypcore.exchange.from_cryosparc import cs_to_star

        return cs_to_star(first, list(paths[1:]), folder, root, flip_y=flip_y, force=force)
    from pypcore.exchange.tilts import SUFFIXES, is_tilt_star

    if suffix == ".star" and not is_tilt_star(first):
        from pypcore.exchange.relion import import_movies

        return import_movies(first, folder, force=force)
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{first}: import reads .pyp_config.toml (nextPYP), .cs (cryoSPARC), .star (RELION), "
            f"{', '.join(SUFFIXES[1:])}"
        )
    return convert_tilts(paths, "imod", folder, root=root, size=size, pixel_size=pixel_size, force=force)


def convert_tilts(
    paths: Sequence[Path],
    to: str,
    folder: Path,
    *,
    root: Path,
    size: tuple[int, int] | None,
    pixel_size: float | None,
    force: bool,
) -> Exchanged:
    """Write the alignments of tilt series for another program."""
    from pypcore.exchange.tilts import read_series, write_as, write_listing

    result = Exchanged(f"tilt series for {to}")
    described = [one for path in paths for one in read_series(path, root, size, pixel_size)]
    for one in described:
        write_as(to, one, folder, result, root=root, force=force)
    if to == "relion":
        write_listing(described, folder, result, force=force)
    result.notes.append(f"{len(described)} tilt series")
    if to == "imod" and any(one.alignment is not None for one in described):
        result.command = f"pypcore run tomogram STACKS -o tomograms --alignment {folder}"
    return result


def export(
    source: Path,
    to: str,
    folder: Path,
    *,
    project: Path,
    size: tuple[int, int] | None = None,
    pixel_size: float | None = None,
    flip_y: bool = False,
    force: bool = False,
) -> Exchanged:
    """Write a job's STAR files, or a STAR file, for another program; ``project`` is the folder its paths start at."""
    if to not in TO:
        raise UsageError(f"--to '{to}' is not one of {', '.join(TO)}")
    star, root = _star_of(source)
    is_star = star.suffix.lower() == ".star"
    if to == "relion" and is_star:
        from pypcore.exchange.relion import star_for_project

        return star_for_project(star, folder, root, project.absolute(), force=force)
    if to == "cryosparc" and is_star:
        from pypcore.exchange.to_cryosparc import star_to_cs

        return star_to_cs(star, folder, root, flip_y=flip_y, force=force)
    from pypcore.exchange.tilts import is_tilt_star

    if to == "cryosparc" or (is_star and not is_tilt_star(star)):
        raise UsageError(f"{star}: nothing in it for {to}; imod and aretomo take alignments, cryosparc STAR files")
    return convert_tilts([star], to, folder, root=root, size=size, pixel_size=pixel_size, force=force)


def _star_of(source: Path) -> tuple[Path, Path]:
    """Return the STAR file of a job (or the file itself), and the folder that paths in it start at."""
    if source.is_file():
        return source, Path.cwd()
    job = Job.open(source)
    from pypcore.status import read_status

    status = read_status(job)
    star = status.products().get("star")
    if star is None or not star.is_file():
        raise UsageError(f"{source}: no STAR file that Merge made; pypcore status {source} says how the job stands")
    return star, status.request.root
