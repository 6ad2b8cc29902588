"""What went wrong, grouped by cause, each with what to do and the command that does it."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pypcore import records
from pypcore.efficiency import MARGIN, MEMORY_STEPS, WALLTIME_STEPS, round_up
from pypcore.job import Run
from pypcore.request import Request
from pypcore.resources import MIB_PER_GB, format_walltime
from pypcore.slurm.groups import MORE_MEMORY, MORE_TIME

_PATH = re.compile(r"\S*/\S*|\S+\.[A-Za-z]\w{0,4}\b")
_NUMBER = re.compile(r"\d+(?:[._]\d+)*")
_QUOTED = re.compile(r"'[^']*'")
_UNFORESEEN = "something unforeseen happened: its log has the traceback"


@dataclass
class Cause:
    """Items that went wrong alike. ``message`` is the first one's; ``command`` can be pasted as it is."""

    outcome: str
    message: str
    items: list[int] = field(default_factory=list)
    peak_mib: float = 0.0
    advice: str = ""
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; of the items only their number."""
        return {
            "outcome": self.outcome,
            "message": self.message,
            "count": len(self.items),
            "advice": self.advice,
            "command": self.command,
        }


def alike(message: str) -> str:
    """Return what messages of one cause have in common: their text without paths, names in quotes and numbers."""
    return _NUMBER.sub("#", _PATH.sub("…", _QUOTED.sub("…", message)))


def group(bad: Iterable[tuple[int, str, str, float]], folder: str, request: Request, run: Run | None) -> list[Cause]:
    """Group items that went wrong, given as (item, outcome, message, peak in MiB); the largest group first.

    ``folder`` is the job's, as commands are to name it.
    """
    causes: dict[tuple[str, str], Cause] = {}
    for item, outcome, message, peak in bad:
        cause = causes.setdefault((outcome, alike(message)), Cause(outcome, message))
        cause.items.append(item)
        cause.peak_mib = max(cause.peak_mib, peak)
    for cause in causes.values():
        options, cause.advice = _remedy(cause, request, run)
        cause.command = resume_command(folder, options)
    return sorted(causes.values(), key=lambda cause: -len(cause.items))


def resume_command(folder: str, options: str = "") -> str:
    """Return the command that goes on with a job, ready to paste."""
    return f"pypcore resume {shlex.quote(folder)} {options}".strip()


def _remedy(cause: Cause, request: Request, run: Run | None) -> tuple[str, str]:
    """Return the options of ``resume`` that help, and why."""
    asked, on_slurm = request.resources.split, run is not None and run.slurm is not None
    match cause.outcome:
        case records.FAILED:
            return "--retry-failed", "the file itself is at fault: replace it, then try again"
        case records.MEMORY if on_slurm:
            return "", f"on SLURM resume asks for {MORE_MEMORY:g} times the memory by itself"
        case records.MEMORY:
            needed = max(asked.memory * MORE_MEMORY, cause.peak_mib * MARGIN / asked.threads) / MIB_PER_GB
            return f"--memory {round_up(needed, MEMORY_STEPS):g}", "give each thread more memory (GB)"
        case records.TIMEOUT if "--item-timeout" in cause.message:
            longer = round_up(request.policy.item_timeout * MORE_TIME, WALLTIME_STEPS)
            return f"--item-timeout {format_walltime(round(longer))}", "give each item more time"
        case records.TIMEOUT if on_slurm:
            return "", f"on SLURM resume asks for {MORE_TIME:g} times the walltime by itself"
        case records.TIMEOUT:
            longer = round_up(asked.walltime * MORE_TIME, WALLTIME_STEPS)
            return f"--walltime {format_walltime(round(longer))}", "give each bundle more time"
        case records.LOST:
            return "", "its worker died, not by the item's fault: do it again"
        case _:
            return "", _UNFORESEEN if cause.outcome == records.ERROR else "do it again"
