"""Batch scripts, as text. Pure: one renderer for every script of every phase, so what is printed is what is sent.

Names of items are never in a script: an element finds its own in a file of the job.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from pypcore.errors import UsageError
from pypcore.resources import PhaseResources, Placement, count_gpus, format_gres, format_memory, format_walltime
from pypcore.usage import library_settings

WARN_S = 120  # SLURM tells an element so long before its walltime ends (its checks are up to 60 s late or early)


@dataclass(frozen=True)
class Batch:
    """One script: its resources, where it may run, and what it executes.

    ``array`` is the value of ``--array`` or empty, ``dependency`` that of ``--dependency``. ``log`` may hold
    SLURM's patterns (``%A_%a``). ``setup`` are shell lines of the site, run before the command.
    """

    name: str
    resources: PhaseResources
    placement: Placement
    command: tuple[str, ...]
    folder: Path
    log: Path
    setup: tuple[str, ...] = ()
    array: str = ""
    dependency: str = ""
    warn: bool = False

    def render(self) -> str:
        """Return the script's text."""
        directives = [f"#SBATCH {option}" for option in self._options()]
        exported = " ".join(f"{name}={value}" for name, value in library_settings(self.resources.threads).items())
        lines = ["#!/bin/bash", *directives, "", "set -eu", f"export {exported}"]
        if not count_gpus(self.resources.gres):
            lines.append("export CUDA_VISIBLE_DEVICES=  # no GPU was asked for: one that leaks through is not ours")
        return "\n".join([*lines, *self.setup, f"exec {shlex.join(self.command)}", ""])

    def _options(self) -> list[str]:
        task, place = self.resources, self.placement
        pairs = [
            ("job-name", self.name),
            ("partition", place.partition),
            ("account", place.account),
            ("qos", place.qos),
            ("constraint", place.constraint),
            ("exclude", place.exclude),
            ("reservation", place.reservation),
            ("nodes", "1"),
            ("ntasks", "1"),
            ("cpus-per-task", str(task.threads)),
            ("mem", format_memory(task.total_memory)),
            ("time", format_walltime(task.walltime)),
            ("gres", format_gres(task.gres)),
            ("array", self.array),
            ("dependency", self.dependency),
            ("kill-on-invalid-dep", "yes" if self.dependency else None),
            ("signal", f"B:USR1@{WARN_S}" if self.warn and task.walltime > 2 * WARN_S else None),
            ("chdir", str(self.folder)),
            ("output", self._log_pattern()),
            ("open-mode", "append"),
        ]
        options = [f"--{name}={_quote(value)}" for name, value in pairs if value]
        return options + list(place.extra_lines)

    def _log_pattern(self) -> str:
        # A per cent sign of the folder is no pattern; those of the file are.
        return f"{str(self.log.parent).replace('%', '%%')}/{self.log.name}"


def _quote(value: str) -> str:
    """Quote a value for a line of directives, which SLURM splits as a shell would; a line break can't be in one."""
    if not value.isprintable():
        raise UsageError(f"{value!r}: SLURM's directives can't hold this path; use a folder without such characters")
    return shlex.quote(value)
