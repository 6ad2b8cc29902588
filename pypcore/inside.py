"""Files that a job's records name, but only those that lie in the job's folder."""

from pathlib import Path


def inside(folder: Path, relative: str) -> Path | None:
    """Return the regular file ``relative`` to ``folder``, links followed; None where that is not one in the folder.

    Records are data: one that was written by somebody else may name anything.
    """
    try:
        path = (folder / relative).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # not there; a NUL; links in a circle
        return None
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
