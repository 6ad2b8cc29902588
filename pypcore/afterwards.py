"""The user's own command after a job."""

import os
import subprocess
from collections.abc import Mapping

from pypcore import records
from pypcore.errors import PypcoreError
from pypcore.job import Job
from pypcore.request import Request


def tell(request: Request, job: Job, exit_code: int, counts: Mapping[str, int]) -> None:
    """Run ``on_done`` when all went well, ``on_fail`` otherwise; what happened is in its environment.

    PYPCORE_JOB (the folder), PYPCORE_EXIT_CODE, PYPCORE_DONE and PYPCORE_FAILED (items). PypcoreError when it fails.
    """
    command = request.policy.on_fail if exit_code else request.policy.on_done
    if not command:
        return
    facts = {
        "PYPCORE_JOB": str(job.folder),
        "PYPCORE_EXIT_CODE": str(exit_code),
        "PYPCORE_DONE": str(counts[records.DONE]),
        "PYPCORE_FAILED": str(sum(counts[bad] for bad in records.BAD)),
    }
    ended = subprocess.run(command, shell=True, env={**os.environ, **facts})
    if ended.returncode:
        raise PypcoreError(f"the job is over; the command after it exited with {ended.returncode}: {command}")
