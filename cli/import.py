"""``pypcore import FILE…``: take over what other programs wrote."""

from pathlib import Path
from typing import Annotated

import typer

from pypcore.cli.common import JsonOption
from pypcore.cli.exchange import FlipOption, ForceOption, ImageSize, PixelSize, print_exchanged, read_size

app = typer.Typer(add_completion=False)


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="The file; of cryoSPARC its passthrough files after it.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path(),
    project: Annotated[
        Path, typer.Option("--project", help="Folder that paths in the file start at: RELION's or cryoSPARC's project.")
    ] = Path(),
    image_size: ImageSize = None,
    pixel_size: PixelSize = None,
    flip_y: FlipOption = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Take over what other programs wrote, by the file's kind.

    .pyp_config.toml of nextPYP: a pypcore.toml, and a list of what has no counterpart. STAR of RELION's Import job: a
    pypcore.toml. .cs of cryoSPARC: a STAR of its particles or micrographs. Tilt series (STAR of RELION 5, AreTomo's
    .aln, Warp's XML, .xf, .tlt): IMOD's .xf, .tlt and .rawtlt, for tomogram --alignment.
    """
    from pypcore.exchange.convert import import_files

    size = read_size(image_size)
    result = import_files(
        files, output, root=project.absolute(), size=size, pixel_size=pixel_size, flip_y=flip_y, force=force
    )
    print_exchanged(result, as_json=json)
