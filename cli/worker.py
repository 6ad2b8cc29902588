"""``pypcore worker JOB``: what SLURM's elements start; not for people."""

from typing import Annotated

import typer

from pypcore.cli.common import JobArgument, open_job
from pypcore.job import Job

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    job: JobArgument,
    run: Annotated[int, typer.Option(help="Number of the run.")],
    first: Annotated[int | None, typer.Option(help="Element that index 0 of this array does.")] = None,
    launch: Annotated[bool, typer.Option("--launch", help="Do Launch: plan, and submit Split and Merge.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Do Merge.")] = False,
) -> None:
    """Do one element of Split, Launch, or Merge of a submitted run. SLURM starts this; people use run and submit."""
    from pypcore.slurm import element

    if launch:
        from pypcore.slurm.client import Client
        from pypcore.slurm.submit import launch_as_job

        with element.as_part_of(Job(job.absolute()), run):
            launch_as_job(Job(job.absolute()), run, Client())
    elif merge:
        with element.as_part_of(Job(job.absolute()), run):
            code = element.do_merge(open_job(job), run)
        raise typer.Exit(code)
    elif first is not None:
        element.do_element(open_job(job), run, first)
    else:
        raise typer.BadParameter("one of --first, --launch, --merge")
