"""The job folders below a folder."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

DEPTH = 4  # folders below a folder that was named
MARK = "job.toml"


def find_jobs(folders: Sequence[Path], depth: int = DEPTH) -> Iterator[Path]:
    """Yield each job folder that is one of ``folders`` or at most ``depth`` levels below one, once.

    Links are not followed, and what lies in a job folder is not looked at: jobs are beside each other.
    """
    seen: set[Path] = set()
    for folder in folders:
        for found in _find(folder.resolve(), depth):
            if found not in seen:
                seen.add(found)
                yield found


def _find(folder: Path, depth: int) -> Iterator[Path]:
    below = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == MARK and entry.is_file(follow_symlinks=False):
                    yield folder
                    return
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
    except OSError:  # not ours to read, or removed meanwhile: no job of it is shown
        return
    if depth:
        for name in sorted(below):
            yield from _find(folder / name, depth - 1)
