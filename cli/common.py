"""What several verbs share: arguments, tables, JSON, durations."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pypcore.job import Job

JobArgument = Annotated[Path, typer.Argument(metavar="JOB", help="The job folder.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]

STYLE = {"done": "green", "running": "cyan", "waiting": "dim", "cancelled": "yellow"}


def console(stderr: bool = False) -> Console:
    """Return a console that doesn't fold lines when its output goes to a file."""
    import sys

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty())


def open_job(folder: Path) -> Job:
    """Open the job folder a user named."""
    return Job.open(folder)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def style(outcome: str) -> str:
    """Return the colour of an outcome; what is bad is red."""
    return STYLE.get(outcome, "red")


def duration(seconds: float) -> str:
    """Write seconds as people say them: ``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Write bytes as people say them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
