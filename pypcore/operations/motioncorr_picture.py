"""A picture of the motion of one movie."""

from pathlib import Path

import numpy as np

from pypcore.motion import MotionField, MotionSettings

_ARROWS = 7  # local trajectories along each side
_LONGEST = 0.7  # of the distance between two of them: what the largest is drawn with
_FACTORS = np.array([1, 2, 5, 10, 20, 50, 100, 200])  # more would make a picture of noise


def draw_motion(path: Path, name: str, field: MotionField, settings: MotionSettings) -> None:
    """Draw the motion of the whole frame (left) and, exaggerated, what places in it moved besides (right), as PNG.

    Both in Å, x to the right and y upwards as in the MRC file; colours run from the first frame to the last. The
    file holds no date.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.8), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    figure.suptitle(name, fontsize=10)
    count = len(field.whole)
    colours = ScalarMappable(Normalize(settings.first, settings.first + count - 1), "viridis")

    y, x = field.whole.T * settings.pixel_size
    left.plot(x, y, color="0.7", linewidth=1, zorder=1)
    left.scatter(x, y, c=np.arange(count) + settings.first, norm=colours.norm, cmap=colours.cmap, s=18, zorder=2)
    left.plot(x[0], y[0], "o", markersize=9, markerfacecolor="none", markeredgecolor="tab:red", zorder=3)
    left.annotate("start", (x[0], y[0]), (6, 6), textcoords="offset points", color="tab:red", fontsize=8)
    left.set(title="Whole frame", xlabel="x, Å", ylabel="y, Å", aspect="equal", adjustable="datalim")
    left.grid(color="0.92")

    _draw_local(right, field, settings.pixel_size, colours)
    figure.colorbar(colours, ax=right, label="frame")
    figure.savefig(path, format="png", metadata={"Software": None})


def _draw_local(axes, field: MotionField, pixel_size: float, colours) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.collections import LineCollection

    height, width = field.shape
    micron = pixel_size / 1e4
    axes.set(xlim=(0, width * micron), ylim=(0, height * micron), aspect="equal", xlabel="x, µm", ylabel="y, µm")
    if not field.local.any():
        axes.set_title("Local motion: not measured")
        return
    ys, xs = ((np.arange(_ARROWS) + 0.5) * side / _ARROWS for side in field.shape)
    local = (field.on_grid(ys, xs) - field.whole[:, :, None, None]) * pixel_size  # Å
    times = _exaggeration(float(np.abs(local).max()), min(field.shape) / _ARROWS * pixel_size)
    moved = local * times / 1e4 + np.stack(np.meshgrid(ys, xs, indexing="ij")) * micron
    points = moved[:, ::-1].reshape(len(local), 2, -1).transpose(2, 0, 1)  # [trajectory, frame, (x, y)]
    segments = np.stack([points[:, :-1], points[:, 1:]], axis=2)
    number = np.tile(np.arange(1, len(local)) + colours.norm.vmin, len(points))
    axes.add_collection(
        LineCollection(
            list(segments.reshape(-1, 2, 2)), array=number, norm=colours.norm, cmap=colours.cmap, linewidths=1.6
        )
    )
    axes.scatter(*points[:, 0].T, s=8, color="tab:red", zorder=3)
    axes.set_title(f"Local motion, {times} times as large")


def _exaggeration(largest: float, spacing: float) -> int:
    """Return a round factor by which motion is drawn, so that the largest fits between its neighbours (both in Å)."""
    fitting = _FACTORS[_FACTORS * largest <= _LONGEST * spacing]
    return int(fitting[-1]) if len(fitting) else 1
