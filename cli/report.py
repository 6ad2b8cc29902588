"""``pypcore report JOB``: one HTML file that tells the job, for somebody who has only that file."""

from pathlib import Path
from typing import Annotated

import typer

from pypcore.cli.common import JobArgument, JsonOption, open_job, print_json, size
from pypcore.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def report(
    job: JobArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; default JOB-report.html, beside the job's folder."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="At most how many items are shown with their pictures, some 50 kB each.")
    ] = 60,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is no report.")] = False,
    json: JsonOption = False,
) -> None:
    """Write one HTML file with all there is to say of a job; it opens from a file share, without a network.

    Summary, figures, pictures, failures with the command that helps, asked against used, the exact command. The job
    may still be going on.
    """
    from pypcore.report.page import is_report, write_report  # late: the template engine

    folder = open_job(job).folder
    place = output or folder.with_name(f"{folder.name}-report.html")
    if place.is_dir():
        raise UsageError(f"{place} is a folder: give -o the file to write, such as {place / 'report.html'}")
    if place.exists() and not force and not is_report(place):
        raise UsageError(f"{place} is there and was not written by pypcore report: give another -o, or --force")
    write_report(folder, place, pictures)
    if json:
        print_json({"schema": 1, "report": str(place), "bytes": place.stat().st_size})
    else:
        typer.echo(f"{place}  {size(place.stat().st_size)}")
