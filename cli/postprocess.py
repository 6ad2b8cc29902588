"""``pypcore postprocess HALF1 HALF2``: resolution and a sharpened map of two half maps."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pypcore.cli.common import JsonOption, console, print_json

app = typer.Typer(add_completion=False)

Half = Annotated[Path, typer.Argument(show_default=False, help="A half map, MRC, unmasked and unfiltered.")]


@app.command()
def postprocess(
    half1: Half,
    half2: Half,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for what is made; refused where it has such files already.")
    ] = Path("postprocess"),
    mask: Annotated[
        str,
        typer.Option(
            metavar="auto|sphere|none|FILE", help="Mask: from the map, a sphere, none, or an MRC file, 0 to 1."
        ),
    ] = "auto",
    radius: Annotated[float | None, typer.Option(help="Of the sphere, Å. Default: 0.45 of the box.")] = None,
    lowpass_mask: Annotated[float, typer.Option(help="Resolution at which an automatic mask sees the map, Å.")] = 15.0,
    threshold: Annotated[
        float | None, typer.Option(help="Density from which on an automatic mask takes it for the particle.")
    ] = None,
    edge: Annotated[
        float | None, typer.Option(help="Soft edge of the mask, voxels. Default: 6, less in a small box.")
    ] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Å; only to override what the half maps say.")] = None,
    b_factor: Annotated[
        float | None,
        typer.Option(help="B-factor, Å², below 0 to sharpen. Default: fitted to the amplitudes (Guinier)."),
    ] = None,
    fit_from: Annotated[float, typer.Option(help="Low-resolution end of the fit, Å.")] = 10.0,
    fit_to: Annotated[
        float | None, typer.Option(help="High-resolution end of the fit, Å. Default: the resolution.")
    ] = None,
    mtf: Annotated[Path | None, typer.Option(help="Detector's MTF, a STAR file as RELION has them.")] = None,
    mtf_pixel_size: Annotated[
        float | None, typer.Option(help="Pixel size of the detector's images, Å. Default: the map's.")
    ] = None,
    weighting: Annotated[bool, typer.Option(help="Weight the map by its FSC.")] = True,
    lowpass: Annotated[
        float | None, typer.Option(help="Lowpass of the map, Å. Default: the resolution at 0.143.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    force: Annotated[bool, typer.Option(help="Write over what is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure how far two half maps agree, and make a sharpened map.

    Writes postprocess.mrc, postprocess_masked.mrc, mask.mrc, postprocess.star (RELION's tables), fsc.csv and
    postprocess.png.
    """
    from pypcore.postprocess.run import Settings, run

    found = run(
        half1,
        half2,
        output,
        Settings(
            mask=mask,
            radius=radius,
            lowpass_mask=lowpass_mask,
            threshold=threshold,
            edge=edge,
            pixel_size=pixel_size,
            b_factor=b_factor,
            fit_from=fit_from,
            fit_to=fit_to,
            mtf=mtf,
            mtf_pixel_size=mtf_pixel_size,
            weighting=weighting,
            lowpass=lowpass,
            threads=threads,
        ),
        force=force,
    )
    if json:
        print_json(
            {"schema": 1, **found.figures, "products": {kind: str(path) for kind, path in found.products.items()}}
        )
        return
    out = console()
    figures = found.figures
    out.print(
        f"resolution {figures['resolution']:.2f} Å at 0.143 (masked {figures['resolution_masked']:.2f}, unmasked "
        f"{figures['resolution_unmasked']:.2f}); B-factor {figures['b_factor']:.1f} Å² ({figures['b_factor_from']})"
    )
    for kind, path in found.products.items():
        out.print(f"  {kind}: {escape(str(path))}")
