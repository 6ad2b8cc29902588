"""``pypcore why JOB``: why a job is not further than it is, and what to do about it."""

import typer
from rich.markup import escape

from pypcore.cli.common import JobArgument, JsonOption, console, print_json
from pypcore.slurm.states import explain
from pypcore.status import Status
from pypcore.view.job_view import JobView

app = typer.Typer(add_completion=False)


@app.command()
def why(job: JobArgument, json: JsonOption = False) -> None:
    """Say why a job waits, in plain words, and what went wrong, with what to do."""
    view = JobView(job)
    view.look(0)
    known = view.known
    found = [*_reasons(known, str(job)), *_causes(view)]
    if json:
        print_json({"schema": 1, "state": known.phase, "why": [{"what": what, "do": do} for what, do in found]})
        return
    out = console()
    for what, do in found:
        out.print(f"{escape(what)}\n    {escape(do)}")
    if not found:
        out.print(f"it is {known.phase}; nothing holds it up")


def _reasons(known: Status, folder: str) -> list[tuple[str, str]]:
    found = []
    if known.sight:
        if known.sight.note:
            found.append((known.sight.note, "what is shown may be old; look again when SLURM answers"))
        for reason, number in known.sight.reasons().items():
            told = explain(reason)
            found.append((f"{number} pending ({reason or 'no reason yet'}): {told.meaning}", told.advice))
    if known.run and known.run.message:
        found.append((f"run {known.run.number}: {known.run.message}", f"pypcore resume {folder}"))
    return found


def _causes(view: JobView) -> list[tuple[str, str]]:
    return [
        (f"{len(cause.items)} {cause.outcome}, such as: {cause.message}", f"{cause.advice}: {cause.command}")
        for cause in view.causes()
    ]
