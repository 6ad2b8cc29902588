"""The files of a folder by kind: movies, mdocs, XML, gain references, defects, stacks with angles."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pypcore.formats.tilt_series_mdoc import OVERRIDE
from pypcore.items import natural_key
from pypcore.watching.complete import is_partial_name

DEEPEST, MOST = 5, 300_000
_MOVIE = (".tif", ".tiff", ".eer", ".mrc", ".mrcs", ".mrc.gz", ".mrcs.gz", ".mrc.bz2", ".mrcs.bz2")
_EPU_MOVIE = re.compile(r"_(fractions\.(tiff?|mrc)|eer\.eer)$", re.IGNORECASE)
_GAIN = re.compile(r"gain|countref|superref", re.IGNORECASE)
_DEFECTS = re.compile(r"defect|badpix|bad_pix", re.IGNORECASE)
_IMAGE = (".mrc", ".tif", ".tiff", ".gain", ".dm4", ".mrc.gz")
_ANGLES = (".rawtlt", ".tlt")


@dataclass
class Files:
    """Paths below a folder, each list in natural order."""

    folder: Path
    movies: list[Path] = field(default_factory=list)
    mdocs: list[Path] = field(default_factory=list)
    xmls: list[Path] = field(default_factory=list)
    gains: list[Path] = field(default_factory=list)
    defects: list[Path] = field(default_factory=list)
    stacks: list[Path] = field(default_factory=list)
    """Stacks with a file of angles beside."""
    notes: list[str] = field(default_factory=list)


def list_files(folder: Path) -> Files:
    """Look through ``folder``, five folders deep; copies in progress and hidden files are passed over."""
    files, seen = Files(folder), 0
    images: list[Path] = []
    angles: set[Path] = set()
    for parent, folders, names in os.walk(folder):
        if "job.toml" in names:  # a job's own folder: its micrographs are no movies
            folders.clear()
            continue
        depth = len(Path(parent).relative_to(folder).parts)
        folders[:] = (
            sorted((one for one in folders if not one.startswith(".")), key=natural_key) if depth < DEEPEST else []
        )
        for name in sorted(names, key=natural_key):
            seen += 1
            if is_partial_name(name):
                continue
            path, lower = Path(parent, name), name.lower()
            if lower.endswith(OVERRIDE):
                files.notes.append(f"{path}: of Tomography 5, no record of what was taken; passed over")
            elif lower.endswith(".mdoc"):
                files.mdocs.append(path)
            elif lower.endswith(".xml"):
                files.xmls.append(path)
            elif lower.endswith(_ANGLES):
                angles.add(path.with_suffix(""))
            elif _DEFECTS.search(name) and lower.endswith((".txt", *_IMAGE)):
                files.defects.append(path)
            elif _GAIN.search(name) and lower.endswith(_IMAGE):
                files.gains.append(path)
            elif lower.endswith((*_MOVIE, ".st")):
                images.append(path)
        if seen > MOST:
            files.notes.append(f"more than {MOST} files below {folder}: the rest was not looked at")
            break
    files.stacks = [path for path in images if path.with_suffix("") in angles or path.suffix == ".st"]
    movies = [path for path in images if path not in set(files.stacks)]
    of_epu = [path for path in movies if _EPU_MOVIE.search(path.name)]
    if of_epu and len(of_epu) < len(movies):
        files.notes.append(f"{len(movies) - len(of_epu)} images that aren't named as EPU names movies are passed over")
    files.movies = of_epu or movies
    return files


def pattern_of(paths: list[Path], root: Path) -> str:
    """Return a pattern that names ``paths``, relative to ``root`` where they lie below it."""
    common = Path(os.path.commonpath([path.parent for path in paths]))
    endings = Counter(_ending(path) for path in paths)
    ending = endings.most_common(1)[0][0]
    deep = "" if all(path.parent == common for path in paths) else "**/"
    folder = os.path.relpath(common, root) if common.is_relative_to(root) else str(common)
    return f"{'' if folder == '.' else folder + '/'}{deep}*{ending}"


def _ending(path: Path) -> str:
    """Return what tells movies from other files by name: EPU's ending, else the suffix."""
    found = _EPU_MOVIE.search(path.name)
    if found:
        return found[0]
    return "".join(path.suffixes[-2:]) if path.suffix.lower() in (".gz", ".bz2") else path.suffix


def some_of(paths: list[Path], count: int) -> list[Path]:
    """Return up to ``count`` of ``paths``, spread evenly, the first and the last among them."""
    if len(paths) <= count:
        return paths
    return [paths[round(k * (len(paths) - 1) / (count - 1))] for k in range(count)]
