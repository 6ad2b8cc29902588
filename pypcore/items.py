"""Items: finding their files, and giving each a name that is unique and safe in a file name and a STAR file."""

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypcore.errors import UsageError

COMPRESSED = (".gz", ".bz2")
DESCRIPTION, DESCRIBED = ".mdoc", (".mrc", ".st", ".mrcs")  # SerialEM names a description after its stack
LONGEST_NAME = 120  # leaves room for suffixes such as _noDW.mrc under the usual limit of 255 bytes


@dataclass(slots=True, unsafe_hash=True)
class Item:
    """One micrograph (a movie) or one tilt series of a job.

    ``index`` is its place in the manifest, ``name`` what its products are called, ``given`` its path as the
    user wrote it, ``file`` the same resolved; ``size`` (bytes) and ``mtime_ns`` tell a replaced file. Not frozen, and
    no Path in it, because a job may have a million of them; nobody changes one all the same.

    An item may be a ``part`` of a table: the particles of one micrograph. ``given`` is then the part too, and
    ``mtime_ns`` a checksum, of what the table says of it and of the times of the files that it names.
    """

    index: int
    name: str
    file: str
    given: str
    size: int
    mtime_ns: int
    part: str = ""

    @property
    def path(self) -> Path:
        """The item's file."""
        return Path(self.file)


@dataclass(frozen=True)
class Found:
    """A part of a file that is an item: ``path`` is the file as the user gave it, the rest as in Item.

    ``called`` is what its name is made from.
    """

    path: Path
    part: str
    called: Path
    size: int
    mtime_ns: int


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Sort key under which ``movie_9`` comes before ``movie_10``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text)]


def find_files(inputs: Sequence[str], suffixes: Sequence[str], root: Path) -> list[Path]:
    """Expand files, globs, folders and ``@list.txt`` into files, in the order given, each once.

    A glob or folder is sorted naturally; of a folder only files that end in one of ``suffixes`` (lower case,
    with the dot) are taken. Paths are relative to ``root`` unless absolute. What matches nothing is refused:
    a typing error must not look like an empty data set.
    """
    found: dict[str, Path] = {}
    for given in inputs:
        for path in _expand(given, suffixes, root):
            found.setdefault(os.path.abspath(root / path), path)
    return list(found.values())


def _expand(given: str, suffixes: Sequence[str], root: Path) -> list[Path]:
    if given.startswith("@"):
        return _read_list(root / given[1:], suffixes, root)
    path = root / given
    if path.is_dir():
        names = sorted((entry.name for entry in os.scandir(path) if entry.is_file()), key=natural_key)
        files = [Path(given) / name for name in names if name.lower().endswith(tuple(suffixes))]
        if not files:
            raise UsageError(f"{given}: no file in this folder ends in {', '.join(suffixes)}")
        return files
    if path.exists():
        return [Path(given)]
    matches = sorted(glob.glob(given, root_dir=root, recursive=True), key=natural_key)
    files = [Path(match) for match in matches if (root / match).is_file()]
    if not files:
        raise UsageError(f"{given}: no such file, and as a pattern it matches no file; check the path and the quotes")
    return files


def _read_list(path: Path, suffixes: Sequence[str], root: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"@{path}: {error.strerror}; a list is a text file with one path a line") from error
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise UsageError(f"@{path}: the list names no file")
    return [file for entry in entries for file in _expand(entry, suffixes, root)]


def stem(path: Path) -> str:
    """Return the file's name without its suffix, a suffix of compression, or the stack's in ``TS_1.mrc.mdoc``."""
    bare = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    if path.suffix.lower() == DESCRIPTION and Path(path.stem).suffix.lower() in DESCRIBED:
        bare = path.with_suffix("")
    return bare.stem


def choose_names(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[str]:
    """Return a unique, safe name for each path: its stem where that is unique, else its relative path.

    ``taken`` are names that other items of the job have already: a data set that grows never renames what it has.
    """
    used = {name.casefold() for name in taken}  # some file systems don't tell A from a
    stems = Counter(_safe(stem(path)).casefold() for path in paths)
    names = []
    for path in paths:
        name = _safe(stem(path))
        if stems[name.casefold()] > 1 or name.casefold() in used:
            name = _safe("_".join([*path.parent.parts, stem(path)]).lstrip("/_."))
        if name.casefold() in used:
            name = _with_hash(name, str(path))
        used.add(name.casefold())
        names.append(name)
    return names


def _safe(text: str) -> str:
    """Return ``text`` where it is plain (letters, digits, ``._+-``), else a plain form of it with a hash."""
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "_", text)
    if plain[:1] in "-._":
        plain = "x" + plain
    if plain == text and len(plain) <= LONGEST_NAME:
        return plain
    return _with_hash(plain, text)


def _with_hash(name: str, text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}-{digest}"
