"""``pypcore cancel JOB``: stop a job, a phase of it on SLURM, or some of its items."""

import time
from typing import Annotated

import typer
from rich.markup import escape

from pypcore.cli.common import JobArgument, console, open_job
from pypcore.errors import UsageError
from pypcore.job import Job, Run
from pypcore.slurm.cancel import PHASES, cancel_items, cancel_submitted
from pypcore.slurm.cancel import cancel as ask_to_stop
from pypcore.status import read_status

WAIT_S = 60.0

app = typer.Typer(add_completion=False)


@app.command()
def cancel(
    job: JobArgument,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM]…", help="Only these items: names, paths or numbers.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="End the items in hand too, instead of finishing them.")] = False,
    phase: Annotated[
        str | None, typer.Option(metavar="|".join(PHASES), help="On SLURM: only this phase, at once.")
    ] = None,
) -> None:
    """Stop a job that runs here, on another machine that sees its folder, or on SLURM. What is done is kept."""
    opened, out = open_job(job), console()
    known = read_status(opened)
    run = known.run
    if run is None or not known.running:
        out.print("nothing is running; there is nothing to cancel")
        return
    folder = escape(str(job))
    if items:
        chosen = [known.items[known.find(word)] for word in items]
        cancel_items(opened, run, chosen)
        out.print(f"asked to leave out {', '.join(escape(item.name) for item in chosen)}")
        return
    if phase is not None and (run.slurm is None or phase not in PHASES):
        raise UsageError(f"--phase is for jobs on SLURM, and one of {', '.join(PHASES)}; got '{phase}'")
    if phase is not None:
        cancel_submitted(opened, run, phase=phase, now=now)
        out.print(f"cancelled {phase}")
        return
    ask_to_stop(opened, run, now=now)
    if not now:
        out.print(f"asked to stop after the items in hand; to stop at once: pypcore cancel {folder} --now")
    elif _wait_for_end(opened):
        out.print(f"stopped; go on with: pypcore resume {folder}")
    else:
        out.print(f"asked to stop now, but {_who(run)} has not answered yet", style="yellow")
        raise typer.Exit(1)


def _wait_for_end(job: Job) -> bool:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if not read_status(job).running:
            return True
        time.sleep(0.5)
    return False


def _who(run: Run) -> str:
    return "SLURM" if run.slurm is not None else f"process {run.pid} on {run.host}"
