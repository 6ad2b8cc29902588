"""What several verbs share: arguments, tables, JSON, durations."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pypcore.job import Job
from pypcore.words import duration, size

__all__ = ["JobArgument", "JsonOption", "console", "duration", "open_job", "print_json", "size", "style"]

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
