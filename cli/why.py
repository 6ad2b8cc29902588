"""``pypcore why JOB``: why a job is not further than it is, and what to do about it."""

from collections import Counter

import typer
from rich.markup import escape

from pypcore.cli.common import JobArgument, JsonOption, console, open_job, print_json
from pypcore.slurm.states import explain
from pypcore.status import Status, read_status

app = typer.Typer(add_completion=False)


@app.command()
def why(job: JobArgument, json: JsonOption = False) -> None:
    """Say why a job waits, in plain words, and what went wrong, with what to do."""
    known = read_status(open_job(job))
    found = list(_reasons(known, str(job)))
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
    outcomes = Counter(state.outcome for _, state in known.bad())
    for outcome, number in outcomes.items():
        first = next(state for _, state in known.bad() if state.outcome == outcome)
        message = (first.record or {}).get("message", "")
        do = "replace the file, then resume" if outcome == "failed" else "resume"
        found.append((f"{number} {outcome}, such as: {message}", f"{do}: pypcore resume {folder}"))
    return found
