"""Pictures of a reconstruction: FSC curves, slices, directions of view, Guinier plot. PNG, without a date."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.postprocess.fsc import Fsc, Map
from pypcore.postprocess.sharpen import Guinier

_CURVES = (
    ("unmasked", "unmasked", "0.55", 1.0),
    ("masked", "masked", "tab:blue", 1.2),
    ("randomised", "phases random, masked", "tab:red", 1.0),
    ("corrected", "corrected", "black", 1.8),
)


def draw_reconstruction(
    path: Path, title: str, fsc: Fsc, volume: Map, mask: Map | None, angles: npt.NDArray[np.float64]
) -> None:
    """Draw FSC (top left), directions of view (top right) and the middle slices of ``volume`` (below).

    ``angles`` [n, 3] are rot, tilt, psi in degrees; the outline of ``mask`` is drawn on the slices.
    """
    figure = _figure(11, 8.2)
    figure.suptitle(title, fontsize=11)
    grid = figure.add_gridspec(2, 6, height_ratios=(1, 1.05))
    _draw_fsc(figure.add_subplot(grid[0, :3]), fsc)
    _draw_directions(figure, figure.add_subplot(grid[0, 3:], projection="mollweide"), angles)
    _draw_slices([figure.add_subplot(grid[1, 2 * i : 2 * i + 2]) for i in range(3)], volume, mask, fsc.pixel_size)
    _save(figure, path)


def draw_postprocess(
    path: Path, title: str, fsc: Fsc, guinier: Guinier | None, b_factor: float, volume: Map, mask: Map | None
) -> None:
    """Draw FSC, Guinier plot and the middle slices of the sharpened map."""
    figure = _figure(11, 8.2)
    figure.suptitle(title, fontsize=11)
    grid = figure.add_gridspec(2, 6, height_ratios=(1, 1.05))
    _draw_fsc(figure.add_subplot(grid[0, :3]), fsc)
    _draw_guinier(figure.add_subplot(grid[0, 3:]), guinier, b_factor)
    _draw_slices([figure.add_subplot(grid[1, 2 * i : 2 * i + 2]) for i in range(3)], volume, mask, fsc.pixel_size)
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="png", metadata={"Software": None})


def _draw_fsc(axes: Any, fsc: Fsc) -> None:
    for name, label, colour, width in _CURVES:
        axes.plot(fsc.frequency, getattr(fsc, name), color=colour, linewidth=width, label=label)
    axes.axhline(0.143, color="0.7", linewidth=0.8, zorder=0)
    axes.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    resolution = fsc.resolution()
    axes.axvline(1 / resolution, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    axes.annotate(
        f"{resolution:.2f} Å at 0.143", (1 / resolution, 0.143), (5, 5), textcoords="offset points", fontsize=9
    )
    axes.set(xlim=(0, fsc.frequency[-1]), ylim=(-0.1, 1.05), xlabel="resolution, Å", ylabel="correlation")
    ticks = axes.get_xticks()
    ticks = ticks[(ticks > 0) & (ticks <= fsc.frequency[-1])]
    axes.set_xticks(ticks, [f"{1 / tick:.3g}" for tick in ticks])
    axes.legend(loc="best", fontsize=8, frameon=False)
    axes.set_title("Fourier shell correlation of the halves", fontsize=10)


def _draw_directions(figure: Any, axes: Any, angles: npt.NDArray[np.float64]) -> None:
    """Draw how many views there are of each direction; the middle of the map of the globe is along +x."""
    longitude = np.deg2rad((angles[:, 0] + 180) % 360 - 180)
    latitude = np.deg2rad(90 - _tilt_within(angles[:, 1]))
    # Bins of one area: even steps in longitude, and in the sine of the latitude.
    rows = int(np.clip(np.sqrt(len(angles) / 10), 6, 18))
    columns = 2 * rows
    edges_x, edges_s = np.linspace(-np.pi, np.pi, columns + 1), np.linspace(-1, 1, rows + 1)
    counts, _, _ = np.histogram2d(np.sin(latitude), longitude, (edges_s, edges_x))
    image = axes.pcolormesh(edges_x, np.arcsin(edges_s), counts, cmap="viridis", rasterized=True)
    axes.set_xticks([])
    axes.set_yticks(np.deg2rad([-60, -30, 0, 30, 60]), ["150", "120", "90", "60", "30"], fontsize=7)
    axes.set_title("Directions of view: rot across, tilt down (degrees)", fontsize=10)
    figure.colorbar(image, ax=axes, label="particles", shrink=0.7)


def _tilt_within(tilt: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the angle from the z axis, 0 to 180 degrees."""
    return np.asarray(np.rad2deg(np.arccos(np.cos(np.deg2rad(tilt)))))


def _draw_slices(places: list[Any], volume: Map, mask: Map | None, pixel_size: float) -> None:
    middle = volume.shape[0] // 2
    half = middle * pixel_size
    low, high = np.percentile(volume, (1, 99.8))
    for axis, (axes, name) in enumerate(zip(places, ("xy", "xz", "yz"), strict=True)):
        low_edge, high_edge = -half - pixel_size / 2, (volume.shape[0] - middle - 0.5) * pixel_size
        extent = (low_edge, high_edge, low_edge, high_edge)
        axes.imshow(np.take(volume, middle, axis), "gray", origin="lower", vmin=low, vmax=high, extent=extent)
        if mask is not None:
            # A mask that is the same everywhere has no outline.
            outline = np.take(mask, middle, axis)
            if outline.min() < 0.5 < outline.max():
                axes.contour(outline, [0.5], colors="tab:orange", linewidths=0.7, extent=extent, origin="lower")
        axes.set(xlabel=f"{name[0]}, Å", ylabel=f"{name[1]}, Å")
        axes.set_title(f"middle slice in {name}", fontsize=10)


def _draw_guinier(axes: Any, guinier: Guinier | None, b_factor: float) -> None:
    axes.set_title(f"Guinier plot: B = {b_factor:.1f} Å²", fontsize=10)
    axes.set(xlabel="1/resolution², 1/Å²", ylabel="ln of the mean amplitude")
    if guinier is None:
        axes.text(0.5, 0.5, "the B-factor was given", ha="center", va="center", transform=axes.transAxes)
        return
    shown = guinier.ln > np.log(1e-29)
    axes.plot(guinier.k2[shown], guinier.ln[shown], color="0.5", linewidth=1)
    k2 = guinier.k2[guinier.fitted]
    axes.plot(k2, guinier.intercept + guinier.slope * k2, color="tab:red", linewidth=1.5, label="fit")
    axes.legend(fontsize=8, frameon=False)
