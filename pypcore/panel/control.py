"""What the panel may do to a job where it was started with --allow-control: stop it, and go on with it."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from pypcore.errors import SetupError, UsageError
from pypcore.job import Job
from pypcore.resources import parse_memory, parse_walltime
from pypcore.slurm.cancel import cancel
from pypcore.spelling import refuse_unknown

Start = Callable[[Job, Sequence[str]], None]
"""Starts ``pypcore resume`` for a job with options, and returns."""

_CHECKED = {"memory": parse_memory, "walltime": parse_walltime, "item_timeout": parse_walltime}


class Control:
    """Cancels and resumes; ``start`` is how a resume is begun."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._lock = threading.Lock()

    def cancel(self, job: Job, wanted: dict[str, Any]) -> str:
        """Ask the job's run to stop, after the items in hand or, with ``now``, at once; return what was done."""
        refuse_unknown(wanted, ("now",), "option")
        run = job.last_run()
        if run is None or not run.alive():
            raise SetupError(f"{job.folder}: nothing is running; there is nothing to cancel")
        now = wanted.get("now") is True
        cancel(job, run, now=now)
        return "asked to stop now" if now else "asked to stop after the items in hand"

    def resume(self, job: Job, wanted: dict[str, Any]) -> str:
        """Begin ``pypcore resume`` with ``retry_failed``, ``memory``, ``walltime``, ``item_timeout``."""
        refuse_unknown(wanted, ("retry_failed", *_CHECKED), "option")
        options = ["--retry-failed"] if wanted.get("retry_failed") is True else []
        for name, parse in _CHECKED.items():
            if (value := wanted.get(name)) is not None:
                if not isinstance(value, str):
                    raise UsageError(f"{name} is a text, such as '4'; got {value!r}")
                parse(value)
                options += [f"--{name.replace('_', '-')}", value]
        with self._lock:
            run = job.last_run()
            if run is not None and run.alive():
                raise SetupError(f"{job.folder}: is running already")
            self._start(job, options)
        return "resumed"
