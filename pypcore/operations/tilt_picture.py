"""Pictures of tilt series: one that tells at a glance whether the alignment worked, one of the tomogram."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.operations.tilt_images import Shrunk, TiltImages, normalisation
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.reconstruct import Reconstruction
from pypcore.tomogram.settings import TomogramSettings

Image = NDArray[np.float32]
_SMALL = 256  # voxels along the longer side of the quick tomogram
_BLUR = 0.8  # pixels: noise at the last frequencies says nothing to an eye
_SHADES = (1.0, 99.0)  # percentiles that become black and white


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
        local=None,
    )
    height, width = part.aligned_shape
    deep = max(8, round(1.5 * thickness / binning))
    settings = TomogramSettings((deep, height, width), cutoff=0.25, falloff=0.1, normalise=normalisation(images))
    work = Reconstruction(part, settings, threads=threads, memory=memory, whole=True)
    volume = np.concatenate([slab.volume.copy() for slab in work.slabs(small)])

    figure = _figure(11, 7.2)
    figure.suptitle(name, fontsize=10)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), height_ratios=(2, 1))
    left = figure.add_subfigure(grid[:, 0])
    above, side = left.subplots(2, 1, height_ratios=(height, min(deep, height)))
    nm = alignment.pixel_size * binning / 10
    middle = max(1, deep // 24)
    _show(above, volume[deep // 2 - middle : deep // 2 + middle].mean(0), nm, "From above: the middle", "y, nm")
    rows = max(1, height // 16)
    _show(
        side,
        volume[:, height // 2 - rows : height // 2 + rows].mean(1),
        nm,
        "From the side, along the axis",
        "z, nm",
    )
    for z in (-thickness / 2, thickness / 2):
        side.axhline(z * alignment.pixel_size / 10, color="tab:orange", linestyle="--", linewidth=0.8)

    shifts, axis = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
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
    figure.savefig(path, format="png", metadata={"Software": None})


def draw_tomogram(path: Path, name: str, slices: dict[str, Image], voxel_size: float) -> None:
    """Draw a tomogram's middle from above (``xy``) and from two sides (``xz``, ``zy``), as PNG without a date."""
    above, front, right = slices["xy"], slices["xz"], slices["zy"]
    nm = voxel_size / 10
    figure = _figure(10, 10 * (above.shape[0] + front.shape[0]) / (above.shape[1] + right.shape[1]) + 0.8)
    figure.suptitle(name, fontsize=10)
    axes = figure.subplots(
        2, 2, width_ratios=(above.shape[1], right.shape[1]), height_ratios=(above.shape[0], front.shape[0])
    )
    _show(axes[0, 0], above, nm, "From above", "y, nm")
    _show(axes[0, 1], right, nm, "From the right", "", "z, nm")
    _show(axes[1, 0], front, nm, "From the front, along the tilt axis", "z, nm", "x, nm")
    axes[1, 1].axis("off")
    figure.savefig(path, format="png", metadata={"Software": None})


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, min(max(height, 4.0), 16.0)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _show(axes: Any, image: Image, nm: float, title: str, down: str, across: str = "") -> None:
    """Show an image with its first row at the bottom, as MRC viewers do; lengths in nm from its centre."""
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(image, _BLUR)
    low, high = np.percentile(image, _SHADES) if image.size else (0.0, 1.0)
    half_y, half_x = image.shape[0] * nm / 2, image.shape[1] * nm / 2
    extent = (-half_x, half_x, -half_y, half_y)
    axes.imshow(
        image, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), origin="lower", extent=extent, aspect="equal"
    )
    axes.set_title(title, fontsize=9)
    axes.set(xlabel=across, ylabel=down)
    axes.tick_params(labelsize=7)
