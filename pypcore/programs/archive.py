"""A folder that a program left (a model), as one file: the same content gives the same bytes."""

import tarfile
from pathlib import Path


def pack(folder: Path, file: Path) -> None:
    """Write a folder as a plain tar, without times, owners or links."""
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                archive.add(path, str(path.relative_to(folder)), filter=_bare)


def unpack(file: Path, folder: Path) -> None:
    """Write a packed folder out again."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")


def _bare(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, 0, "", "", 0o644
    return entry
