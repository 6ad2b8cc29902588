"""``pypcore export JOB --to PROGRAM``: hand a job's results to other programs."""

from pathlib import Path
from typing import Annotated

import typer

from pypcore.cli.common import JsonOption
from pypcore.cli.exchange import FlipOption, ForceOption, ImageSize, PixelSize, print_exchanged, read_size

app = typer.Typer(add_completion=False)


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(metavar="JOB", help="A job folder, or a file: STAR, .aln, .xf.", show_default=False)
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="relion|cryosparc|imod|aretomo", help="For which program.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path("export"),
    project: Annotated[
        Path, typer.Option("--project", help="RELION's project folder: paths in the STAR files start there.")
    ] = Path(),
    image_size: ImageSize = None,
    pixel_size: PixelSize = None,
    flip_y: FlipOption = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Hand a job's results to other programs. Only small files are written; images stay where they are.

    relion: its STAR files, and those they name, with paths from --project. cryosparc: particles or micrographs as .cs.
    imod: .xf, .tlt, .rawtlt of each tilt series. aretomo: .aln.
    """
    from pypcore.exchange.convert import export as convert

    size = read_size(image_size)
    result = convert(source, to, output, project=project, size=size, pixel_size=pixel_size, flip_y=flip_y, force=force)
    print_exchanged(result, as_json=json)
