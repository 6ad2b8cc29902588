"""Files that appear whole or not at all: written beside their place, fsynced, renamed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"  # a file with this suffix is being written, or was when its writer died


@contextmanager
def whole(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on a clean exit it becomes ``path``, with all that was written.

    When the body raises, the temporary file is removed and ``path`` stays as it was. With ``lasting`` the new name
    too is on disk on return; without, a power cut in the next seconds may take it back, never leave half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The real suffix stays last: libraries choose a format by it.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{PART}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        if lasting:
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_parts(folder: Path) -> int:
    """Remove what dead writers left under ``folder``; return how many files that were."""
    removed = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            if name.startswith(".") and PART in name:
                Path(parent, name).unlink(missing_ok=True)
                removed += 1
    return removed
