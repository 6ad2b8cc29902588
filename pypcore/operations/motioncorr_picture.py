"""A picture of the motion of one movie: its trajectories over the micrograph, and what is known of them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.motion import Corrected, MotionSettings

_WIDE, _HIGH = 12.0, 6.4  # inches of 100 px
_ARROWS = 8  # trajectories along the longer side
_LONGEST = 0.8  # of the distance between two of them: what the largest is drawn with
_FACTORS = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500])  # more would make a picture of noise
_SEEN = 700  # pixels of the micrograph along its longer side
_SMOOTH = 15.0  # Å: finer detail is noise to the eye

Image = NDArray[np.float32]


def draw_motion(path: Path, name: str, corrected: Corrected, settings: MotionSettings) -> None:
    """Draw the trajectories over the micrograph, the path of the whole frame, and the error of each frame, as PNG.

    x to the right and y upwards as in the MRC file; colours run from the first frame to the last. The file holds no
    date.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    field, figures = corrected.field, corrected.figures
    figure = Figure(figsize=(_WIDE, _HIGH), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(f"{name}   {_summary(figures)}", fontsize=10, y=0.985)
    count = len(field.whole)
    frames = np.arange(count) + settings.first
    colours: Any = ScalarMappable(Normalize(frames[0], frames[-1]), "plasma")

    # Places are given, not sought by a layout engine, which would draw all of it once more.
    _draw_over(figure.add_axes((0.05, 0.08, 0.53, 0.83)), corrected, settings, colours)
    y, x = field.whole.T * settings.pixel_size
    right = figure.add_axes((0.65, 0.47, 0.25, 0.44))
    right.plot(x, y, color="0.7", linewidth=1, zorder=1)
    right.scatter(x, y, c=frames, norm=colours.norm, cmap=colours.cmap, s=18, zorder=2)
    right.plot(x[0], y[0], "o", markersize=9, markerfacecolor="none", markeredgecolor="tab:green", zorder=3)
    right.annotate("start", (x[0], y[0]), (6, 6), textcoords="offset points", color="tab:green", fontsize=8)
    right.set(title="Whole frame", xlabel="x, Å", ylabel="y, Å", aspect="equal", adjustable="datalim")
    right.margins(0.15)
    right.grid(color="0.92")
    figure.colorbar(colours, cax=figure.add_axes((0.915, 0.47, 0.016, 0.44)), label="frame")
    _draw_error(figure.add_axes((0.65, 0.08, 0.33, 0.26)), frames, figures)
    canvas.print_png(path, metadata={"Software": None}, pil_kwargs={"compress_level": 3})  # savefig draws it twice


def _summary(figures: dict[str, Any]) -> str:
    text = f"motion {figures['motion_total']:.1f} Å (early {figures['motion_early']:.1f})"
    if "motion_error" not in figures:
        return f"{text}; nothing to align on"
    return (
        f"{text}, local {figures['motion_local']:.2f} Å rms, expected error {figures['motion_error']:.2f} Å; "
        f"signal kept at {figures['signal_kept_at']:g} Å: {figures['signal_kept']:.0%}, uncorrected "
        f"{figures['signal_kept_uncorrected']:.0%}"
    )


def _draw_over(axes: Any, corrected: Corrected, settings: MotionSettings, colours: Any) -> None:
    from matplotlib.collections import LineCollection

    field = corrected.field
    height, width = field.shape
    micron = settings.pixel_size / 1e4
    seen = _small_view(corrected.micrograph, corrected.pixel_size)
    low, high = np.quantile(seen, [0.01, 0.99])
    # One grey map for all, drawn faint: the trajectories are what is to be seen.
    axes.imshow(
        seen, cmap="gray", vmin=low - 0.3 * (high - low), vmax=high, origin="lower", interpolation="bilinear",
        extent=(0, width * micron, 0, height * micron),
    )  # fmt: skip
    axes.set(xlim=(0, width * micron), ylim=(0, height * micron), aspect="equal", xlabel="x, µm", ylabel="y, µm")
    numbers = [max(3, round(_ARROWS * n / max(field.shape))) for n in field.shape]
    ys, xs = ((np.arange(m) + 0.5) * side / m for m, side in zip(numbers, field.shape, strict=True))
    moved = field.on_grid(ys, xs) * settings.pixel_size  # Å
    spacing = min(side / m for m, side in zip(numbers, field.shape, strict=True)) * settings.pixel_size
    if moving := bool(field.local.any()):
        moved = moved - (field.whole * settings.pixel_size)[:, :, None, None]
    times = _exaggeration(float(np.abs(moved).max()), spacing)
    points = moved * times / 1e4 + np.stack(np.meshgrid(ys, xs, indexing="ij")) * micron
    lines = points[:, ::-1].reshape(len(points), 2, -1).transpose(2, 0, 1)  # [trajectory, frame, (x, y)]
    segments = np.stack([lines[:, :-1], lines[:, 1:]], axis=2).reshape(-1, 2, 2)
    number = np.tile(np.arange(1, len(points)) + colours.norm.vmin, len(lines))
    axes.add_collection(LineCollection(list(lines), colors="white", linewidths=3.4, capstyle="round"))
    axes.add_collection(
        LineCollection(
            list(segments), array=number, norm=colours.norm, cmap=colours.cmap, linewidths=2.0, capstyle="round"
        )
    )
    axes.scatter(*lines[:, 0].T, s=14, color="tab:green", edgecolor="white", linewidth=0.6, zorder=3)
    patches = corrected.estimate.patches
    if patches is not None and patches.unlike.any():
        y, x = patches.centres[patches.unlike].T * micron
        axes.scatter(x, y, s=60, marker="x", color="tab:red", zorder=4, label="held back")
        axes.legend(loc="lower right", fontsize=8)
    what = "Local motion" if moving else "Motion (the frame moves as one)"
    axes.set_title(f"{what}, drawn {times} times as large")


def _draw_error(axes: Any, frames: NDArray[np.intp], figures: dict[str, Any]) -> None:
    axes.set(title="Each frame", xlabel="frame", ylabel="Å")
    if "motion_error_per_frame" in figures:
        axes.plot(frames, figures["motion_error_per_frame"], color="tab:blue", label="expected error")
        axes.plot(frames, figures["motion_in_frame"], color="tab:orange", label="motion in the frame")
        for frame in figures["poor_frames"]:
            axes.axvline(frame, color="tab:red", linewidth=1)
        axes.legend(fontsize=8)
        axes.set_ylim(0, None)
    axes.grid(color="0.92")


def _small_view(micrograph: Image, pixel_size: float) -> Image:
    """Return the micrograph, binned to 700 px and smoothed for the eye."""
    from scipy.ndimage import gaussian_filter

    step = max(1, -(-max(micrograph.shape) // _SEEN))
    height, width = (n // step * step for n in micrograph.shape)
    binned = micrograph[:height, :width].reshape(height // step, step, width // step, step).mean((1, 3))
    smooth: Image = gaussian_filter(binned, _SMOOTH / 2 / (pixel_size * step))
    return smooth


def _exaggeration(largest: float, spacing: float) -> int:
    """Return a round factor by which motion is drawn, so that the largest fits between its neighbours (both in Å)."""
    fitting = _FACTORS[_FACTORS * largest <= _LONGEST * spacing]
    return int(fitting[-1]) if len(fitting) else 1
