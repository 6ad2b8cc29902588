"""``pypcore version``: of pypcore and of what its numbers depend on."""

import typer

from pypcore.cli.common import JsonOption, print_json
from pypcore.versions import versions

app = typer.Typer(add_completion=False)


@app.command()
def version(json: JsonOption = False) -> None:
    """Print the version of pypcore, of Python and of the libraries that its numbers depend on."""
    found = versions()
    if json:
        print_json({"schema": 1, "versions": found})
        return
    for name, number in found.items():
        typer.echo(f"{name} {number}")
