"""pypcore from Python: what the command line does, in three lines of a notebook.

>>> import pypcore
>>> job = pypcore.run("motioncorr", "movies/*.tif", "motion", pixel_size=1.06, dose=1.25, voltage=300)
>>> job.table()[0]["motion_total"], job.products()["star"]
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pypcore.job import Job
from pypcore.local import Consent, run_here
from pypcore.options import prepare, refresh
from pypcore.status import Status, read_status

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def run(
    operation: str,
    inputs: Paths,
    job: str | os.PathLike[str],
    *,
    retry_failed: bool = False,
    redo: bool = False,
    ignore_disk: bool = False,
    **options: Any,
) -> Status:
    """Run a job on this machine and return its status, with its table and its products.

    ``inputs``: files, globs, folders, a STAR file or ``@list.txt``, one or several. ``options``: the parameters and
    resources of the command line, with underscores (``pixel_size=1.06, threads=2, merge_walltime="2:00:00"``).
    Items that fail don't raise: see ``status.bad()``. Raises PypcoreError as the command line would say it.
    """
    named = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    prepared = prepare(operation, named, job, options, said="call")
    folder = Job(Path(job).absolute())
    run_here(folder, prepared.request, consent=Consent(retry_failed, redo, ignore_disk))
    return read_status(folder)


def resume(job: str | os.PathLike[str], *, retry_failed: bool = False, redo: bool = False, **options: Any) -> Status:
    """Do what is missing of a job; ``options`` are resources that are to be other than before."""
    folder = Job.open(Path(job))
    request = refresh(folder.request(), options)
    run_here(folder, request, consent=Consent(retry_failed, redo), discover=False)
    return read_status(folder)


def open_job(job: str | os.PathLike[str]) -> Status:
    """Return what is known of a job."""
    return read_status(Job.open(Path(job)))
