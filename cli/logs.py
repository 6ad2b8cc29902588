"""``pypcore logs JOB [ITEM]``: what a worker said while it did an item."""

from typing import Annotated

import typer
from rich.markup import escape

from pypcore.cli.common import JobArgument, console, open_job
from pypcore.errors import UsageError
from pypcore.status import item_log, read_status

ItemArgument = Annotated[
    str | None,
    typer.Argument(metavar="[ITEM]", help="Its name, path or number; without it, every item that went wrong."),
]


app = typer.Typer(add_completion=False)


@app.command()
def logs(job: JobArgument, item: ItemArgument = None) -> None:
    """Show the log of one item, or of every item that went wrong, the error first."""
    known = read_status(open_job(job))
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
