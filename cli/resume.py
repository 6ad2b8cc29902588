"""``pypcore resume JOB``: do what is missing."""

import sys
from typing import Annotated

import typer

from pypcore.cli.common import JobArgument, JsonOption, console, open_job
from pypcore.cli.operation_command import RESOURCE_HELP
from pypcore.cli.progress import Shown
from pypcore.cli.summary import print_dry_run, print_outcome
from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.launch import launch
from pypcore.local import Consent, fit, run_here
from pypcore.options import refresh
from pypcore.request import Request
from pypcore.slurm.template import read_site
from pypcore.slurm.watch import settle_last

app = typer.Typer(add_completion=False)


@app.command()
def resume(
    job: JobArgument,
    threads: Annotated[int | None, typer.Option(help=RESOURCE_HELP["threads"])] = None,
    memory: Annotated[str | None, typer.Option(help=RESOURCE_HELP["memory"])] = None,
    walltime: Annotated[str | None, typer.Option(help=RESOURCE_HELP["walltime"])] = None,
    device: Annotated[
        str | None, typer.Option(help="What to compute on from here on, cpu, cuda, cuda:0,1 or auto; items done stay.")
    ] = None,
    total_threads: Annotated[int | None, typer.Option(help="Threads of all tasks together; 0: no limit.")] = None,
    item_timeout: Annotated[str | None, typer.Option(help="Time limit of one item, in the forms of walltime.")] = None,
    merge_memory: Annotated[str | None, typer.Option(help="Memory per thread of Merge, GB.")] = None,
    merge_walltime: Annotated[str | None, typer.Option(help="Time limit of Merge.")] = None,
    allow_missing: Annotated[
        bool | None,
        typer.Option("--allow-missing/--refuse-missing", help="Merge even when items are missing.", show_default=False),
    ] = None,
    reject: Annotated[
        list[str] | None,
        typer.Option("--reject", metavar="RULE", help="Other thresholds than before, such as 'motion_total > 50'."),
    ] = None,
    on: Annotated[
        str | None, typer.Option(metavar="here|slurm", help="Where to go on; else where the last run was.")
    ] = None,
    force: Annotated[bool, typer.Option(help="On SLURM: submit even what looks impossible, with a warning.")] = False,
    retry_failed: Annotated[bool, typer.Option(help="Try again what failed by its own fault.")] = False,
    redo: Annotated[bool, typer.Option(help="Make finished items again whose settings are changed.")] = False,
    ignore_disk: Annotated[bool, typer.Option(help="Begin though the disk looks too small.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done and why; do nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Do what is missing of a job: what was lost, stopped, or failed before on a file that is replaced now.

    Its items are those it has; to add new ones, give the same command as before. Resources may be changed.
    """
    opened = open_job(job)
    options = {
        "threads": threads,
        "memory": memory,
        "walltime": walltime,
        "device": device,
        "total_threads": total_threads,
        "item_timeout": item_timeout,
        "merge_memory": merge_memory,
        "merge_walltime": merge_walltime,
        "allow_missing": allow_missing,
        "reject": reject or None,
    }
    request = refresh(opened.request(), options)
    consent = Consent(retry_failed, redo, ignore_disk)
    last = opened.last_run()
    if on not in (None, "here", "slurm"):
        raise UsageError(f"--on is here or slurm, got '{on}'")
    if on == "slurm" or (on is None and last is not None and last.slurm is not None):
        _resume_on_slurm(opened, request, consent, force, dry_run=dry_run, as_json=json)
        return
    if dry_run:
        launched = launch(opened, request, retry_failed=retry_failed, discover=False)
        origins = {key: "command line" for key, value in options.items() if value is not None}
        print_dry_run(opened, launched, origins, len(fit(request, launched)[0]), as_json=json)
        return
    with Shown(console(stderr=True)) as shown:
        outcome = run_here(opened, request, consent=consent, listener=shown, argv=sys.argv, discover=False)
    print_outcome(opened, outcome, as_json=json)
    raise typer.Exit(outcome.exit_code)


def _resume_on_slurm(
    job: Job, request: Request, consent: Consent, force: bool, *, dry_run: bool, as_json: bool
) -> None:
    """Submit what is missing: with more memory or time where that ran out, off nodes that lost items."""
    from pypcore.cli.submit import print_dry_submission, print_submitted
    from pypcore.slurm.client import Client
    from pypcore.slurm.dry import dry_run as dry
    from pypcore.slurm.submit import Order, last_site, submit

    settle_last(job)  # what became of the last run decides what is asked for now
    site = last_site(job) or read_site(None, request.root).place(request.resources)
    order = Order(launch_here=True, site=site, consent=consent, force=force, discover=False)
    if dry_run:
        print_dry_submission(job, dry(job, request, order, Client()), {}, as_json=as_json)
        return
    run = submit(job, request, order, Client(), sys.argv)
    print_submitted(job, run, request.job_as_given, as_json=as_json)
