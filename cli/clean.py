"""``pypcore clean JOB``: what a job folder costs on the disk, and taking away what is asked for."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pypcore.cleaning import INTERMEDIATES, PARTIALS, SCRATCH, UNFINISHED, clean, refuse_driven, weigh
from pypcore.cli.common import JobArgument, JsonOption, console, open_job, print_json, size

app = typer.Typer(add_completion=False)


@app.command("clean")
def clean_job(
    job: JobArgument,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Remove what workers that died left: scratch, and files half written.")
    ] = False,
    partials: Annotated[
        bool, typer.Option("--partials", help="Remove the sums of bundles: the job can't go on from them any more.")
    ] = False,
    intermediates: Annotated[
        bool, typer.Option("--intermediates", help="Remove products that only served to make others.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show; the same as asking for nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what each part of a job folder costs. Nothing is removed unless it is asked for by its option.

    The records are never removed, nor are the products that a job is for; a job that is being run is left alone.
    """
    opened = open_job(job)
    asked = [*([SCRATCH, UNFINISHED] if scratch else []), *([PARTIALS] if partials else [])]
    asked += [INTERMEDIATES] if intermediates else []
    if asked:
        refuse_driven(opened)
    parts = weigh(opened)
    removed = [] if dry_run or not asked else clean(opened, asked)
    gone = {part.name for part in removed}
    if json:
        rows = [part.to_dict() | {"asked": part.name in asked, "removed": part.name in gone} for part in parts]
        print_json({"schema": 1, "job": str(opened.folder), "bytes": sum(part.bytes for part in parts), "parts": rows})
        return
    out = console()
    table = Table()
    for heading, side in (
        ("part", "left"),
        ("files", "right"),
        ("size", "right"),
        ("remove with", "left"),
        ("", "left"),
    ):
        table.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for part in parts:
        option = (
            {SCRATCH: "--scratch", UNFINISHED: "--scratch"}.get(part.name, f"--{part.name}") if part.removable else ""
        )
        said = "[green]removed[/green]" if part.name in gone else escape(part.about)
        table.add_row(escape(part.name), str(len(part.files)), size(part.bytes), option, said)
    out.print(table)
    freed = sum(part.bytes for part in removed)
    total = sum(part.bytes for part in parts)
    if removed:
        out.print(f"{size(freed)} freed, {size(total - freed)} left")
    elif asked and not dry_run:
        out.print(f"{size(total)} in all; there was nothing of what was asked for")
    else:
        would = sum(part.bytes for part in parts if part.name in asked)
        more = f"; {size(would)} would be freed" if asked else "; nothing is removed unless an option asks for it"
        out.print(f"{size(total)} in all{more}")
