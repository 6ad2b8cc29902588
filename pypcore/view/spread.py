"""How a figure is spread over the items of a job: its histogram, and its course over time or over the items."""

import math
import time
from collections.abc import Sequence
from typing import Any

from pypcore.efficiency import percentile
from pypcore.glance import Glance

BARS, STEPS, POINTS = 40, 120, 600
LEAST, MOST = 0.005, 0.995  # of the items lie between the histogram's ends where outliers would squeeze the rest
EARLIEST = 631152000.0  # 1990: a time before that is no file's

# figure: what it is called, unit. Others are shown after these, by their own name.
NAMES: dict[str, tuple[str, str]] = {
    "motion_total": ("Total motion", "Å"),
    "motion_early": ("Early motion", "Å"),
    "motion_late": ("Late motion", "Å"),
    "motion_local": ("Local motion, rms", "Å"),
    "motion_error": ("Expected error of the motion", "Å"),
    "signal_kept": ("Signal kept", ""),
    "expected_gain": ("Gain by correction", "×"),
    "mean_counts": ("Mean counts", "e-/px"),
    "alignment_error": ("Expected error of the alignment", "Å"),
    "largest_shift": ("Largest shift", "Å"),
    "tilt_axis": ("Tilt axis", "°"),
    "tilt_offset": ("Tilt offset", "°"),
    "views_used": ("Views used", ""),
    "defocus": ("Defocus", "Å"),
    "resolution": ("Resolution of the fit", "Å"),
    "particles": ("Particles", ""),
    "wall_s": ("Time an item takes", "s"),
    "peak_mib": ("Memory an item takes", "MiB"),
}


def label(name: str) -> tuple[str, str]:
    """Return what a figure is called and its unit."""
    return NAMES.get(name, (name.replace("_", " ").capitalize(), ""))


def order(name: str) -> tuple[int, str]:
    """Sort key: figures that people look at first come first."""
    return (list(NAMES).index(name) if name in NAMES else len(NAMES), name)


def summary(name: str, values: Sequence[float]) -> dict[str, Any] | None:
    """Return how many items have a figure, its median, 5th and 95th percentile and extremes; None where none has it."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return None
    called, unit = label(name)
    low, median, high = (percentile(known, share) for share in (0.05, 0.5, 0.95))
    told = {"count": len(known), "least": min(known), "low": low, "median": median, "high": high, "most": max(known)}
    return {"name": name, "label": called, "unit": unit, **told}


def histogram(values: Sequence[float]) -> dict[str, Any]:
    """Return ``low``, ``high``, the ``counts`` of equal bars between, and how many lie ``below`` and ``above``."""
    known = sorted(value for value in values if math.isfinite(value))
    low, high = known[0], known[-1]
    narrow = percentile(known, LEAST), percentile(known, MOST)
    if high - low > 3 * (narrow[1] - narrow[0]) > 0:
        low, high = narrow
    wide = (high - low) / BARS or 1.0
    counts = [0] * BARS
    for value in known:
        if low <= value <= high:
            counts[min(BARS - 1, int((value - low) / wide))] += 1
    below, above = sum(value < low for value in known), sum(value > high for value in known)
    return {"low": low, "high": high, "counts": counts, "below": below, "above": above}


def acquired(known: Glance) -> list[float] | None:
    """Return when each item's file was written, seconds since 1970; None where the manifest doesn't tell.

    Of parts of a table it holds a checksum instead, and copied files may all be of one moment.
    """
    times = [stamp / 1e9 for stamp in known.index.manifest.mtimes]
    if not times or min(times) < EARLIEST or max(times) > time.time() + 86400 or max(times) - min(times) < 1:
        return None
    return times


def course(values: Sequence[float], along: Sequence[float] | None) -> dict[str, Any]:
    """Return the course of a figure over ``along`` (seconds since 1970), or over the items' order without it.

    ``steps`` are rows of x, 10th percentile, median, 90th; ``points`` of x, value, item: all where there are few,
    else evenly chosen ones with each step's extremes.
    """
    xs = [float(item) for item in range(len(values))] if along is None else along
    known = sorted(
        (x, value, item) for item, (x, value) in enumerate(zip(xs, values, strict=True)) if math.isfinite(value)
    )
    size = max(1, math.ceil(len(known) / STEPS))
    steps: list[list[float]] = []
    chosen: dict[int, tuple[float, float, int]] = {}
    for first in range(0, len(known), size):
        part = known[first : first + size]
        here = sorted(value for _, value, _ in part)
        spread = (percentile(here, share) for share in (0.1, 0.5, 0.9))
        steps.append([sum(x for x, _, _ in part) / len(part), *spread])
        if len(known) > POINTS:
            extremes = (min(part, key=lambda one: one[1]), max(part, key=lambda one: one[1]))
            chosen |= {one[2]: one for one in (*extremes, *part[:: max(1, size // 3)])}
    points = known if len(known) <= POINTS else sorted(chosen.values())
    return {"by": "order" if along is None else "time", "steps": steps, "points": [list(one) for one in points]}
