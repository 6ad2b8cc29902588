"""``pypcore init FOLDER``: look at a folder and write a ``pypcore.toml`` for it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pypcore.cli.common import JsonOption, console, print_json
from pypcore.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with the data.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("pypcore.toml"),
    kind: Annotated[
        str, typer.Option(metavar="auto|movies|tilts", help="What the folder holds; auto: tilts where mdocs say so.")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what was found; write nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Look at a folder and write a commented pypcore.toml: movies, mdocs, XML and headers, gain, defects.

    Each value stands with where it was found, Å, kV and e-/Å². Where files disagree, both are shown and neither is
    taken; what no file says is left as a comment with the question. Nothing is written into FOLDER or overwritten.
    """
    from pypcore.products import write_text
    from pypcore.survey.look import look_at
    from pypcore.survey.toml import command, to_toml

    if output.exists() and not force and not dry_run:
        raise UsageError(f"{output}: is there already; give --force to write over it, or another name with -o")
    survey = look_at(folder, kind)
    if not dry_run:
        write_text(output.absolute(), to_toml(survey))
    if json:
        print_json(
            {"schema": 1, "file": None if dry_run else str(output), "command": command(survey), **survey.to_dict()}
        )
        return
    out = console()
    out.print(escape(survey.summary))
    table = Table()
    for heading in ("parameter", "value", "where it was found"):
        table.add_column(heading, overflow="fold")
    for key, facts in survey.found.items():
        more = f" (and {len(facts) - 1} more)" if len(facts) > 1 else ""
        table.add_row(key, escape(str(facts[0].value)), escape(facts[0].source) + more)
    for key, facts in survey.conflicts.items():
        for fact in facts:
            table.add_row(f"[red]{key}?[/red]", escape(str(fact.value)), escape(fact.source))
    out.print(table)
    if survey.conflicts:
        out.print("[red]The files disagree[/red] where there is a question mark: neither value is taken")
    for question in survey.questions:
        out.print(f"[yellow]to answer[/yellow]  {question.key}: {escape(question.text)}")
    for note in survey.notes:
        out.print(f"[dim]{escape(note)}[/dim]")
    if not dry_run:
        out.print(f"Wrote {escape(str(output))}. Answer what it asks, then: {escape(command(survey))}")
