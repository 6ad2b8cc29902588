"""``pypcore show JOB ITEM``: everything about one item."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pypcore.cli.common import JobArgument, JsonOption, console, open_job, print_json, style
from pypcore.status import attempts_at, read_status

ItemArgument = Annotated[
    str, typer.Argument(metavar="ITEM", help="Its name, its path, or its number from 1.", show_default=False)
]
MOST_VALUES = 4


app = typer.Typer(add_completion=False)


@app.command()
def show(job: JobArgument, item: ItemArgument, json: JsonOption = False) -> None:
    """Show everything about one item: outcome, figures, products, attempts."""
    known = read_status(open_job(job))
    index = known.find(item)
    row, state, one = known.table()[index], known.states[index], known.items[index]
    attempts = attempts_at(known.job, one)
    if json:
        print_json({"schema": 1, "item": row, "path": one.file, "attempts": attempts})
        return
    out = console()
    colour = style(state.outcome)
    out.print(f"{escape(one.name)}  [{colour}]{state.outcome}[/{colour}]  {escape(row['message'])}")
    table = Table(show_header=False)
    table.add_row("input", escape(str(one.path)))
    for key, value in row.items():
        if key not in ("name", "input", "outcome", "message", "products") and value is not None:
            table.add_row(escape(key), escape(_short(value)))
    for kind, path in row["products"].items():
        table.add_row(escape(kind), escape(path))
    out.print(table)
    for record in attempts:
        if record["event"] == "end":
            message = f": {record['message']}" if record["message"] else ""
            out.print(f"attempt {record['attempt']}: {record['outcome']}{escape(message)}")
    out.print(f"its log: pypcore logs {escape(str(job))} {escape(one.name)}")


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > MOST_VALUES:
        return f"{value[:MOST_VALUES]} … ({len(value)} in all; --json lists them)"
    return str(value)
