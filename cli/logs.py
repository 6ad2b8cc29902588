"""``pypcore logs JOB [ITEM]``: what a worker said while it did an item."""

import time
from typing import Annotated

import typer
from rich.markup import escape

from pypcore import records
from pypcore.cli.common import JobArgument, console, open_job
from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.status import LOG_END, attempt_log, item_log, read_status

ItemArgument = Annotated[
    str | None,
    typer.Argument(metavar="[ITEM]", help="Its name, path or number; without it, every item that went wrong."),
]


LOOK_S = 2.0

app = typer.Typer(add_completion=False)


@app.command()
def logs(
    job: JobArgument,
    item: ItemArgument = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing, until the item has ended.")] = False,
) -> None:
    """Show the log of one item, or of every item that went wrong, the error first."""
    known = read_status(open_job(job))
    if follow:
        if item is None:
            raise UsageError("--follow needs an item; name one that runs")
        _follow(known.job, known.find(item))
        return
    chosen = [known.find(item)] if item else [bad.index for bad, _ in known.bad()]
    out = console()
    if not chosen:
        out.print("no item went wrong; name one to see its log")
    for index in chosen:
        state, one = known.states[index], known.items[index]
        if state.record is None:
            raise UsageError(f"{one.name}: not begun yet, so it has no log")
        message = state.record.get("message", "")
        colour = "red" if message else "green"
        out.print(
            f"[{colour}]{escape(one.name)}: {state.outcome}{escape(f': {message}' if message else '')}[/{colour}]"
        )
        text = item_log(known.job, state).rstrip()
        out.print(escape(text) if text else "(it said nothing)")


def _follow(job: Job, index: int) -> None:
    """Show what is added to the log of an item's attempt, attempt after attempt, until none runs."""
    path, shown = None, 0
    while True:
        state = read_status(job).states[index]
        if (now := attempt_log(job, state)) != path:
            path, shown = now, max(0, now.stat().st_size - LOG_END) if now and now.is_file() else 0
        if path is not None and path.is_file():
            with path.open("rb") as log:
                log.seek(shown)
                typer.echo(log.read().decode(errors="replace"), nl=False)
                shown = log.tell()
        if state.outcome not in (records.RUNNING, records.WAITING):
            typer.echo(f"{state.outcome} {(state.record or {}).get('message', '')}".rstrip())
            return
        time.sleep(LOOK_S)
