"""``pypcore version``: of pypcore and of what its numbers depend on."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import typer

from pypcore.cli.common import JsonOption, print_json

DECISIVE = ("numpy", "scipy", "numba", "tifffile", "imagecodecs", "mrcfile", "gemmi")


app = typer.Typer(add_completion=False)


@app.command()
def version(json: JsonOption = False) -> None:
    """Print the version of pypcore, of Python and of the libraries that its numbers depend on."""
    versions = {"pypcore": version_of("pypcore"), "python": platform.python_version()}
    for name in DECISIVE:
        try:
            versions[name] = version_of(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    if json:
        print_json({"schema": 1, "versions": versions})
        return
    for name, number in versions.items():
        typer.echo(f"{name} {number}")
