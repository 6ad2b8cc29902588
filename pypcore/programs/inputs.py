"""What the user's words stand for: files in the tables of an earlier job, models that a training job left."""

from pathlib import Path

from pypcore.errors import InputError, UsageError
from pypcore.programs.card import Takes

_COLUMNS: dict[Takes, tuple[str, ...]] = {  # what a STAR file given as input is searched for, first that is there
    "movie": ("rlnMicrographMovieName",),
    "micrograph": ("rlnMicrographName",),
    "tomogram": ("rlnTomoReconstructedTomogramDenoised", "rlnTomoReconstructedTomogram"),
    "tilt-series": ("rlnTomoTiltSeriesName", "rlnMicrographMovieName"),
}
_HALVES = ("rlnTomoReconstructedTomogramHalf1",)


def files_of(given: str, takes: Takes, root: Path, *, halves: bool = False) -> list[str]:
    """Return the files that a STAR file lists, as it writes them; anything else stands for itself.

    ``halves``: the first halves of tomograms are wanted.
    """
    if not given.lower().endswith(".star") or takes not in _COLUMNS:
        return [given]
    from pypcore.formats.star import read_star

    try:
        blocks = read_star(root / given)
    except InputError as error:
        raise UsageError(str(error)) from error
    columns = _HALVES if halves else _COLUMNS[takes]
    for column in columns:
        for block in blocks.values():
            if files := block.columns.get(column):
                return list(dict.fromkeys(files))
    raise UsageError(f"{given}: no table has a column {' or '.join(columns)}, so it names no {takes}")


def model_of(path: Path) -> Path:
    """Return the model that a training job's folder holds; a file stands for itself."""
    if not path.is_dir():
        return path
    from pypcore.job import Job
    from pypcore.merge import last_merge
    from pypcore.records import read_records

    merge = last_merge(read_records(Job.open(path).records))
    if merge is None or "model" not in merge.get("products", {}):
        raise InputError(f"{path}: a job that has left no model (yet); see pypcore status")
    return path / str(merge["products"]["model"][0])
