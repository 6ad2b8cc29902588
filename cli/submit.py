"""``pypcore submit OPERATION INPUT…``: the same job as ``run``, on a SLURM cluster."""

import inspect
import sys
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from pypcore.cli.common import console, print_json
from pypcore.cli.operation_command import operation_group, parameter
from pypcore.cli.summary import print_dry_run
from pypcore.job import Job, Run
from pypcore.local import Consent
from pypcore.options import PLACEMENT, prepare
from pypcore.slurm.client import Client
from pypcore.slurm.dry import dry_run
from pypcore.slurm.submission import Submission
from pypcore.slurm.submit import Order, submit
from pypcore.slurm.template import read_site

PLACEMENT_HELP = {
    "partition": "Partition, as sinfo names it.",
    "account": "Account to charge.",
    "qos": "Quality of service.",
    "constraint": "Features a node must have.",
    "exclude": "Nodes to keep off.",
    "reservation": "Reservation to use.",
}


def _submit(operation: str, inputs: list[str], output: Path, options: dict[str, Any]) -> None:
    config, as_json, dry = options.pop("config"), options.pop("json"), options.pop("dry_run")
    where, force, site_file = options.pop("launch"), options.pop("force"), options.pop("site")
    consent = Consent(options.pop("retry_failed"), options.pop("redo"), options.pop("ignore_disk"))
    options["sbatch"] = options["sbatch"] or None
    prepared = prepare(operation, inputs, output, options, config=config)
    job, client = Job(output.absolute()), Client()
    site = read_site(site_file, Path.cwd()).place(prepared.request.resources)
    order = Order(launch_here=where == "here", site=site, consent=consent, force=force)
    if dry:
        print_dry_submission(job, dry_run(job, prepared.request, order, client), prepared.origins, as_json=as_json)
        return
    run = submit(job, prepared.request, order, client, sys.argv)
    print_submitted(job, run, prepared.request.job_as_given, as_json=as_json)


def print_submitted(job: Job, run: Run, folder: str, *, as_json: bool) -> None:
    """Say what was submitted, and how to follow it."""
    submission = Submission.of(run)
    if as_json:
        print_json({"schema": 1, "job": str(job.folder), "run": run.number, "slurm": submission.to_dict()})
        return
    out = console()
    if run.ended:
        out.print(f"Nothing submitted: {run.message}")
        return
    if submission.launch is not None:
        out.print(f"Launch is job {submission.launch}; it finds the items and submits Split and Merge")
    for array in submission.arrays:
        why = f"  [yellow]{escape(array.why)}[/yellow]" if array.why else ""
        out.print(f"Split is array {array.id}, elements {array.spec}{why}")
    if submission.merge is not None:
        out.print(f"Merge is job {submission.merge}")
    out.print(f"Follow it: pypcore status {escape(folder)} --watch; stop it: pypcore cancel {escape(folder)}")


def print_dry_submission(job: Job, dry: Any, origins: dict[str, str], *, as_json: bool) -> None:
    """Print the table of items, every script, and what it would cost at most."""
    if as_json:
        print_json(dry.to_dict())
        return
    out = console()
    print_dry_run(job, dry.launched, origins, dry.at_once, as_json=False)
    for name, text in dry.scripts.items():
        out.rule(name, align="left")
        out.print(escape(text.rstrip()), soft_wrap=True)
    out.rule()
    out.print(
        f"at most {dry.core_hours:.4g} core-hours, {dry.gpu_hours:.4g} GPU-hours, should every walltime be used up"
    )
    for problem in dry.problems:
        out.print(f"[red]would be refused[/red]: {escape(problem)}")


def slurm_options() -> list[inspect.Parameter]:
    """Return the options of whatever submits to SLURM."""

    def option(*flags: str, **more: Any) -> Any:
        return typer.Option(*flags, rich_help_panel="SLURM", show_default=False, **more)

    return [
        *(parameter(name, str | None, option(f"--{name}", help=PLACEMENT_HELP[name]), None) for name in PLACEMENT),
        parameter(
            "sbatch", list[str], option("--sbatch", help="A free option of sbatch, such as '--mail-type=END'."), []
        ),
        parameter(
            "site", Path | None, option("--site", help="The site's template (TOML); else the usual places."), None
        ),
        parameter(
            "launch",
            str,
            option("--launch", metavar="slurm|here", help="Do Launch as a job, or on this node. Default: slurm."),
            "slurm",
        ),
        parameter("force", bool, option("--force", help="Submit even what looks impossible, with a warning."), False),
    ]


app = typer.Typer(
    cls=operation_group(_submit, slurm_options),
    no_args_is_help=True,
    help="Submit a job to SLURM: pypcore submit OPERATION INPUT… -o JOB.",
    epilog="Example: pypcore submit motioncorr 'movies/*.tif' -o motion --pixel-size 1.06 --dose 1.25 --voltage 300 "
    "--threads 4 --memory 2 --walltime 2:00:00 --bundle-size 10 --total-threads 200 --partition cpu",
)


@app.callback()
def _group() -> None:
    pass
