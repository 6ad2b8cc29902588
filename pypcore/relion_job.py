"""Being a job of RELION's: its External jobs are told apart by files in their folder.

RELION learns how a job ended from ``RELION_JOB_EXIT_SUCCESS``, ``_FAILURE`` or ``_ABORTED``, and asks a job to stop
by ``RELION_JOB_ABORT_NOW`` (RELION 3.1 and newer, src/pipeliner.cpp).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pypcore.errors import Cancelled

MARKS = ("job.star", "run.job", "job_pipeline.star")  # what RELION's pipeline puts into a job folder
EXIT = {0: "RELION_JOB_EXIT_SUCCESS", 1: "RELION_JOB_EXIT_FAILURE", 4: "RELION_JOB_EXIT_ABORTED"}
ABORT = "RELION_JOB_ABORT_NOW"


def is_relion_job(folder: Path) -> bool:
    """Say whether RELION made this job folder."""
    return any((folder / mark).exists() for mark in MARKS)


def abort_asked(folder: Path) -> bool:
    """Say whether RELION's user asked the job to stop."""
    return (folder / ABORT).exists() and is_relion_job(folder)


def forget(folder: Path) -> None:
    """Remove what an earlier run left for RELION."""
    for name in (*EXIT.values(), ABORT):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def exit_file(folder: Path, exit_code: Callable[[], int]) -> Iterator[None]:
    """Leave RELION's exit file in a folder of RELION's when the body is over, however it ends."""
    if not is_relion_job(folder):
        yield
        return
    forget(folder)
    try:
        yield
    except BaseException as error:
        (folder / EXIT[4 if isinstance(error, Cancelled) else 1]).touch()
        raise
    (folder / EXIT[exit_code()]).touch()
