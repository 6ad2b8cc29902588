"""What import and export share: options, and how what was made is told."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pypcore.cli.common import console, print_json
from pypcore.errors import UsageError

if TYPE_CHECKING:
    from pypcore.exchange.result import Exchanged

MOST_LISTED = 40

FlipOption = Annotated[
    bool, typer.Option("--flip-y", help="cryoSPARC: count particles' rows from the other end of the micrograph.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over files that are there.")]
ImageSize = Annotated[
    str | None,
    typer.Option("--image-size", metavar="X,Y", help="Size of the raw tilts, pixels, where no file says it (.aln)."),
]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size", min=0.01, help="Pixel size of the raw tilts, Å, where no file says it.")
]


def read_size(text: str | None) -> tuple[int, int] | None:
    """Read ``X,Y`` as (width, height)."""
    if text is None:
        return None
    words = text.split(",")
    if len(words) != 2 or not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise UsageError(f"--image-size '{text}' is not X,Y in pixels, such as 4096,4096")
    return int(words[0]), int(words[1])


def print_exchanged(result: "Exchanged", *, as_json: bool) -> None:
    """Say what was written, what was mapped, and what was not."""
    if as_json:
        print_json({"schema": 1, **result.to_dict()})
        return
    out = console()
    for theirs, ours in result.mapped.items():
        out.print(f"[green]mapped[/green]      {escape(theirs)} -> {escape(ours)}")
    for theirs, why in result.not_mapped.items():
        out.print(f"[yellow]not mapped[/yellow]  {escape(theirs)} = {escape(why)}")
    for note in result.notes:
        out.print(escape(note))
    for path in result.written[:MOST_LISTED]:
        out.print(f"wrote {escape(str(path))}")
    if len(result.written) > MOST_LISTED:
        out.print(f"… and {len(result.written) - MOST_LISTED} more files")
    if result.command:
        out.print(f"Then: {escape(result.command)}")
