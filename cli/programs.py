"""``pypcore programs``: which of other people's programs are here, how they are started, and what is wanting."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pypcore.cli.common import JsonOption, console, print_json
from pypcore.errors import SetupError, UsageError
from pypcore.programs.check import Standing, programs, stand
from pypcore.spelling import did_you_mean

app = typer.Typer(add_completion=False)


@app.command(name="programs")
def show(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PROGRAM]…", show_default=False, help="Only these.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask versions again that are remembered.")] = False,
    limit: Annotated[int, typer.Option(help="Seconds that a program may take to say its version.", min=1)] = 60,
    json: JsonOption = False,
) -> None:
    """Say for each program: found or not, version, how it is started, GPU, weights with their SHA-256, what to do.

    Exit code: 0; 3 when a program was asked for by name and is not ready.
    """
    known = programs()
    for name in names or []:
        if name not in known:
            raise UsageError(f"no program is called '{name}'{did_you_mean(name, known)}")
    standings = [stand(known[name], Path.cwd(), fresh=fresh, limit=limit) for name in names or known]
    if json:
        print_json({"schema": 1, "programs": [asdict(one) for one in standings]})
    else:
        for one in standings:
            _print(one, told=bool(names))
        if not names and any(not one.found for one in standings):
            console().print("What an absent one needs: pypcore programs NAME")
    if names and any(one.problem or not one.found for one in standings):
        raise typer.Exit(SetupError.exit_code)


def _print(one: Standing, *, told: bool) -> None:
    out = console()
    colour, word = (
        ("green", "found") if one.found and not one.problem else ("yellow", "found" if one.found else "absent")
    )
    version = f" {one.version}" if one.version else ""
    new = " (not a version that was tried)" if one.version_known is False else ""
    where = f"{version}{new}: {one.executable}, started by {one.start}; GPU: {one.gpu}" if one.found else ""
    out.print(
        f"[{colour}]{word:6}[/]  {one.program:16}{escape(where)}  [dim]{', '.join(one.operations)}[/dim]",
        soft_wrap=True,
    )
    for weights in one.weights:
        said = weights.problem or f"{weights.path}, sha256 {weights.sha256} {weights.known_as or '(not one we know)'}"
        out.print(f"        {weights.option}: {escape(said)}", soft_wrap=True)
    if one.problem and (told or one.found):
        todo = "" if one.do.partition(",")[0] in one.problem else f" [bold]->[/bold] {escape(one.do)}"
        out.print(f"        {escape(one.problem)}{todo}", soft_wrap=True)
