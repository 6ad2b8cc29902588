"""``pypcore cancel JOB``: stop a job, politely or now."""

import time
from typing import Annotated

import typer

from pypcore.cli.common import JobArgument, console, open_job
from pypcore.products import write_text

WAIT_S = 30.0


app = typer.Typer(add_completion=False)


@app.command()
def cancel(
    job: JobArgument,
    now: Annotated[bool, typer.Option("--now", help="End the items in hand too, instead of finishing them.")] = False,
) -> None:
    """Stop a job that runs, here or on another machine that sees its folder. What is done is kept."""
    opened, out = open_job(job), console()
    run = opened.last_run()
    if run is None or not run.alive():
        out.print("nothing is running; there is nothing to cancel")
        return
    write_text(opened.cancel_file, "now\n" if now else "finish\n")
    if not now:
        out.print(f"asked to stop after the items in hand; to stop at once: pypcore cancel {job} --now")
        return
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        last = opened.last_run()
        if last is None or not last.alive():
            out.print(f"stopped; go on with: pypcore resume {job}")
            return
        time.sleep(0.2)
    out.print(f"asked to stop now, but process {run.pid} on {run.host} has not answered yet", style="yellow")
    raise typer.Exit(1)
