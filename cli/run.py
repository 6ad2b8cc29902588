"""``pypcore run OPERATION INPUT…``: a job on this machine."""

import sys
from pathlib import Path
from typing import Any

import typer

from pypcore.cli.common import console
from pypcore.cli.operation_command import operation_group
from pypcore.cli.progress import Shown
from pypcore.cli.summary import print_dry_run, print_outcome
from pypcore.job import Job
from pypcore.launch import launch
from pypcore.local import Consent, fit, run_here
from pypcore.options import prepare
from pypcore.resources import describe_walltime


def _run(operation: str, inputs: list[str], output: Path, options: dict[str, Any]) -> None:
    config, as_json, dry = options.pop("config"), options.pop("json"), options.pop("dry_run")
    consent = Consent(options.pop("retry_failed"), options.pop("redo"), options.pop("ignore_disk"))
    prepared = prepare(operation, inputs, output, options, config=config)
    job = Job(output.absolute())
    if dry:
        launched = launch(job, prepared.request, retry_failed=consent.retry_failed)
        at_once = len(fit(prepared.request, launched)[0])
        print_dry_run(job, launched, prepared.origins, at_once, as_json=as_json)
        return
    to_file = console(stderr=True)
    walltime = options.get("walltime")
    if walltime and not as_json:
        understood = describe_walltime(prepared.request.resources.split.walltime)
        to_file.print(f"walltime {walltime} is {understood} for each bundle")
    with Shown(to_file) as shown:
        outcome = run_here(job, prepared.request, consent=consent, listener=shown, argv=sys.argv)
    print_outcome(job, outcome, as_json=as_json)
    raise typer.Exit(outcome.exit_code)


app = typer.Typer(
    cls=operation_group(_run),
    no_args_is_help=True,
    help="Run a job on this machine: pypcore run OPERATION INPUT… -o JOB.",
    epilog="Example: pypcore run motioncorr 'movies/*.tif' -o motion --pixel-size 1.06 --dose 1.25 --voltage 300",
)


@app.callback()
def _group() -> None:
    pass
