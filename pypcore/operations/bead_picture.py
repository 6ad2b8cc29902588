"""A picture of the beads of a tilt series: where they are, and how far from where the alignment has them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.beads.align import Beads
from pypcore.operations.tilt_images import Shrunk, TiltImages
from pypcore.operations.tilt_picture import figure_of, save_picture, show_image
from pypcore.tilts.alignment import TiltAlignment

_SHOWN = 512  # pixels along the longer side of the view
_LONG = 0.05  # of the field's side: how long the usual residual is drawn


def draw_beads(
    path: Path,
    name: str,
    images: TiltImages,
    alignment: TiltAlignment,
    beads: Beads,
    stage: NDArray[np.float64],
) -> None:
    """Draw the beads over the lowest view used, as recorded, with the residuals of all views, enlarged, as PNG.

    Residuals without a direction in common are noise; ones that turn with the tilt tell of a bead that moves, ones that
    go the same way in a part of the field of a specimen that bends. Beside it: how far the points of each view lie from
    where all others expect them, and how many took part. ``stage`` [view] degrees.
    """
    used = np.flatnonzero(alignment.used)
    lowest = int(used[np.abs(stage[used]).argmin()])
    small = Shrunk(images, max(1, max(images.shape[1:]) // _SHOWN))
    nm = alignment.pixel_size / 10
    figure = figure_of(11, 6.4)
    figure.suptitle(f"{name}: gold beads", fontsize=10)
    view = figure.add_axes((0.06, 0.08, 0.5, 0.82))
    show_image(
        view, small[lowest], nm * small.factor, f"View {lowest + 1}, {stage[lowest]:.1f} degrees", "y, nm", "x, nm"
    )
    lengths = np.linalg.norm(beads.residual, axis=2)
    usual = float(np.median(lengths[beads.counted])) if beads.counted.any() else 1.0
    enlarged = _LONG * max(images.shape[1:]) / max(usual, 1e-6)
    for j, steady in enumerate(beads.steady):
        colour = "tab:cyan" if steady else "tab:red"
        centre = beads.expected[lowest, j]
        seen = np.flatnonzero(beads.counted[:, j])
        for t in seen:
            ends = np.stack([centre, centre + enlarged * beads.residual[t, j]]) * nm
            view.plot(*ends.T, "-", color=colour, linewidth=0.5)
        view.plot(*(centre * nm), "o", markersize=9, markerfacecolor="none", color=colour, linewidth=0.8)
        view.annotate(str(j + 1), centre * nm, (5, 5), textcoords="offset points", fontsize=7, color=colour)
    half_y, half_x = (side * nm / 2 for side in images.shape[1:])
    view.set(xlim=(-half_x, half_x), ylim=(-half_y, half_y))
    view.text(
        0.01, 0.01, f"residuals {enlarged:.3g} times enlarged; red: does not hold still",
        transform=view.transAxes, fontsize=7, color="tab:orange",
    )  # fmt: skip
    rms, number = figure.add_axes((0.65, 0.55, 0.33, 0.35)), figure.add_axes((0.65, 0.08, 0.33, 0.33))
    steady_points = beads.counted & beads.steady
    foretold = np.linalg.norm(beads.left_out, axis=2)
    middles = [
        np.nanmedian(foretold[t, steady_points[t]]) if steady_points[t].any() else np.nan for t in range(len(stage))
    ]
    rms.plot(stage[used], np.array(middles)[used] * alignment.pixel_size, "o-", markersize=3, linewidth=0.8)
    rms.set(title="Points from where all others expect them (median)", ylabel="Å", ylim=(0, None))
    number.plot(stage[used], steady_points[used].sum(1), "o", markersize=3, color="0.3")
    number.set(title="Points that took part", xlabel="tilt, degrees", ylim=(0, None))
    for one in (rms, number):
        one.title.set_fontsize(9)
        one.grid(color="0.92")
    save_picture(figure, path)
