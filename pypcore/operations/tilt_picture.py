"""Pictures of tilt series: one that tells at a glance whether the alignment worked, one of the tomogram."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.operations.tilt_images import Shrunk, TiltImages, normalisation
from pypcore.tilts.alignment import LocalShifts, TiltAlignment
from pypcore.tomogram.reconstruct import Reconstruction
from pypcore.tomogram.settings import TomogramSettings

Image = NDArray[np.float32]
_SMALL = 256  # voxels along the longer side of the quick tomogram
_BLUR = 0.8  # pixels: noise at the last frequencies says nothing to an eye
_SHADES = (1.0, 99.0)  # percentiles that become black and white
_SHOWN = 512  # pixels along the longer side of a slice in a picture, about: more than that is thrown away by the screen
_PNG = {"compress_level": 1}  # noise hardly gets smaller, and trying takes most of a picture's time


def draw_alignment(
    path: Path,
    name: str,
    images: TiltImages,
    alignment: TiltAlignment,
    stage: NDArray[np.float64],
    reasons: dict[int, str],
    errors: NDArray[np.float64] | None,
    thickness: int,
    *,
    threads: int,
    memory: int,
) -> None:
    """Draw a quick tomogram made by the alignment, from above and from the side, and the shifts of the views, as PNG.

    Things in the two slices are round or lines where the alignment is right, and arcs or crosses where it is not. The
    side view must fit between the dashed lines, the top and bottom of ``thickness`` px. ``images`` are of the views
    used; ``reasons`` has those left out, ``errors`` each view's expected error (px) where it is known.
    """
    small = Shrunk(images, max(1, max(images.shape[1:]) // _SMALL))
    binning = small.factor
    part = alignment.select(alignment.used)
    part = replace(
        part,
        shifts=part.shifts / binning,
        image_shape=(small.shape[1], small.shape[2]),
        pixel_size=part.pixel_size * binning,
        local=None if part.local is None else LocalShifts(part.local.nodes / binning),
    )
    height, width = part.aligned_shape
    deep = max(8, round(1.5 * thickness / binning))
    settings = TomogramSettings((deep, height, width), cutoff=0.25, falloff=0.1, normalise=normalisation(images))
    work = Reconstruction(part, settings, threads=threads, memory=memory, whole=True)
    volume = np.concatenate([slab.volume.copy() for slab in work.slabs(small)])

    figure = figure_of(11, 7.2)
    figure.suptitle(name, fontsize=10)
    tall = 0.76 * height / (height + min(deep, height))  # of the figure, for the view from above
    above, side = figure.add_axes((0.07, 0.92 - tall, 0.44, tall)), figure.add_axes((0.07, 0.07, 0.44, 0.76 - tall))
    nm = alignment.pixel_size * binning / 10
    middle = max(1, deep // 24)
    show_image(above, volume[deep // 2 - middle : deep // 2 + middle].mean(0), nm, "From above: the middle", "y, nm")
    rows = max(1, height // 16)
    show_image(
        side,
        volume[:, height // 2 - rows : height // 2 + rows].mean(1),
        nm,
        "From the side, along the axis",
        "z, nm",
    )
    for z in (-thickness / 2, thickness / 2):
        side.axhline(z * alignment.pixel_size / 10, color="tab:orange", linestyle="--", linewidth=0.8)

    shifts, axis = figure.add_axes((0.6, 0.43, 0.38, 0.49)), figure.add_axes((0.6, 0.07, 0.38, 0.24))
    used = alignment.used
    moved = alignment.shifts * alignment.pixel_size / 10  # nm
    for values, label, colour in ((moved[:, 0], "across the axis", "tab:blue"), (moved[:, 1], "along it", "tab:green")):
        shifts.plot(stage[used], values[used], "o-", markersize=3, linewidth=0.8, color=colour, label=label)
    low, high = shifts.get_ylim()
    for view in np.flatnonzero(~used):
        shifts.axvline(stage[view], color="tab:red", linewidth=1, linestyle=":")
        why = f" {reasons.get(int(view), 'left out')}"[:38]
        shifts.text(stage[view], low, why, rotation=90, fontsize=6, color="tab:red", va="bottom", ha="right")
    shifts.set_ylim(low, high)
    shifts.set(title=f"Shifts; {used.sum()} of {len(used)} views used", xlabel="tilt, degrees", ylabel="nm")
    shifts.legend(fontsize=8)
    if errors is not None:
        axis.plot(stage[used], errors[used] * alignment.pixel_size, "o-", markersize=3, linewidth=0.8, color="0.3")
        axis.set(title="Expected error of the shifts", xlabel="tilt, degrees", ylabel="Å", ylim=(0, None))
    else:
        axis.plot(stage[used], alignment.axes[used], "o", markersize=3, color="0.3")
        axis.set(title="Tilt axis", xlabel="tilt, degrees", ylabel="degrees from +y")
    for one in (shifts, axis):
        one.grid(color="0.92")
    save_picture(figure, path)


def draw_tomogram(path: Path, name: str, slices: dict[str, Image], voxel_size: float) -> None:
    """Draw a tomogram's middle from above (``xy``) and from two sides (``xz``, ``zy``), as PNG without a date."""
    above, front, right = slices["xy"], slices["xz"], slices["zy"]
    nm = voxel_size / 10
    # Inches: the slices to one scale, as wide and high as the specimen, with room for what stands beside them.
    wide, deep, high = (float(n) for n in (above.shape[1], right.shape[1], above.shape[0]))
    inch = min(7.4 / (wide + deep), 13.0 / (high + deep))
    width, height = max((wide + deep) * inch, 4.0) + 1.9, (high + deep) * inch + 1.9
    figure = figure_of(width, height)
    figure.suptitle(name, fontsize=10)

    def room(x: float, y: float, across: float, up: float) -> Any:
        return figure.add_axes((x / width, y / height, across * inch / width, up * inch / height))

    bottom = 0.55 + deep * inch + 0.65
    show_image(room(0.75, bottom, wide, high), above, nm, "From above", "y, nm")
    show_image(room(0.75 + wide * inch + 0.65, bottom, deep, high), right, nm, "From the right", "", "z, nm")
    show_image(room(0.75, 0.55, wide, deep), front, nm, "From the front, along the tilt axis", "z, nm", "x, nm")
    save_picture(figure, path)


def figure_of(width: float, height: float) -> Any:
    """Return an empty figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=90)
    FigureCanvasAgg(figure)
    return figure


def save_picture(figure: Any, path: Path) -> None:
    """Write a figure as PNG without a date."""
    figure.savefig(path, format="png", metadata={"Software": None}, pil_kwargs=_PNG)


def show_image(axes: Any, image: Image, nm: float, title: str, down: str, across: str = "") -> None:
    """Show an image with its first row at the bottom, as MRC viewers do; lengths in nm from its centre."""
    from scipy.ndimage import gaussian_filter

    half_y, half_x = image.shape[0] * nm / 2, image.shape[1] * nm / 2
    factor = max(1, max(image.shape) // _SHOWN)
    if min(image.shape) >= factor > 1:  # means of blocks; what is left over at the ends, less than a block, is cut off
        y, x = (size // factor for size in image.shape)
        half_y, half_x = y * factor * nm / 2, x * factor * nm / 2
        image = image[: y * factor, : x * factor].reshape(y, factor, x, factor).mean((1, 3))
    image = gaussian_filter(image, _BLUR)
    low, high = np.percentile(image, _SHADES) if image.size else (0.0, 1.0)
    extent = (-half_x, half_x, -half_y, half_y)
    axes.imshow(
        image, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), origin="lower", extent=extent, aspect="equal"
    )
    axes.set_title(title, fontsize=9)
    axes.set(xlabel=across, ylabel=down)
    axes.tick_params(labelsize=7)
