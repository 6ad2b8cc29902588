"""A picture of picks on their micrograph, to see at a glance whether they are particles."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.formats.coordinates import Picks
from pypcore.programs.shrink import shrink

_SIDE = 800  # px of the picture's longer side


def draw_picks(path: Path, name: str, image: npt.NDArray[Any], picks: Picks, radius: float) -> None:
    """Draw ``image`` [y, x], low-passed, y upwards as in MRC files, with a circle of ``radius`` px a pick; PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure

    small = shrink(image, max(1.0, max(image.shape) / _SIDE * 2))
    low, high = np.percentile(small, [1, 99])
    figure = Figure(figsize=(8, 8 * image.shape[0] / image.shape[1] + 0.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    extent = (-0.5, image.shape[1] - 0.5, -0.5, image.shape[0] - 0.5)
    axes.imshow(small, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
    if len(picks.points):
        size = np.full(len(picks.points), 2 * radius)
        colours = picks.scores if len(picks.scores) else None
        circles = EllipseCollection(
            size, size, np.zeros_like(size), units="xy", offsets=picks.points[:, :2], transOffset=axes.transData,
            facecolors="none", linewidths=1.2,
        )  # fmt: skip
        if colours is None:
            circles.set_edgecolor("tab:orange")
        else:
            circles.set(array=colours, cmap="viridis")
        axes.add_collection(circles)
        if colours is not None:
            figure.colorbar(circles, ax=axes, label="score", shrink=0.7)
    axes.set(title=f"{name}: {len(picks.points)} picks", xlabel="x, px", ylabel="y, px")
    figure.savefig(path, format="png", metadata={"Software": None})
