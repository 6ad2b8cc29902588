"""Small charts as SVG text: numbers in, no scripts, colours from the page's style.

The numbers come from ``pypcore.view``; what is text in them is escaped here.
"""

import math
import time
from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 330, 130
LEFT, BOTTOM, TOP = 4, 18, 6  # room for the labels
DAY_S = 86400


def histogram(told: dict[str, Any]) -> str:
    """Draw a figure's histogram with its median; ``told`` as from ``JobView.figure``."""
    bars, low, high = told["histogram"]["counts"], told["histogram"]["low"], told["histogram"]["high"]
    most, wide = max(bars) or 1, (WIDTH - 2 * LEFT) / len(bars)
    parts = []
    for number, count in enumerate(bars):
        tall = (HEIGHT - BOTTOM - TOP) * count / most
        if count:
            parts.append(
                f'<rect x="{LEFT + number * wide:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" width="{max(wide - 1, 1):.1f}" '
                f'height="{tall:.1f}"/>'
            )
    if low <= told["median"] <= high and high > low:
        at = LEFT + (WIDTH - 2 * LEFT) * (told["median"] - low) / (high - low)
        parts.append(f'<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    outside = told["histogram"]["below"] + told["histogram"]["above"]
    beyond = f" · {outside} beyond the ends" if outside else ""
    parts += [_axis(), _text(LEFT, number_text(low)), _text(WIDTH - LEFT, number_text(high), "end")]
    parts.append(_text(WIDTH / 2, f"median {number_text(told['median'])}{beyond}", "middle"))
    return _chart("bars", f"Histogram of {told['label']}", parts)


def course(told: dict[str, Any]) -> str:
    """Draw a figure over the time of acquisition, or over the items: points, their median, and the middle 80 %."""
    steps, points = told["steps"], told["points"]
    values = [value for _, value, _ in points]
    first, last = points[0][0], points[-1][0]
    low, high = _ends(values, told)

    def place(x: float, y: float) -> str:
        across = (x - first) / (last - first) if last > first else 0.5
        up = (min(max(y, low), high) - low) / (high - low) if high > low else 0.5
        return f"{LEFT + (WIDTH - 2 * LEFT) * across:.1f},{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * up:.1f}"

    dots = "".join(f"M{place(x, value)}h0" for x, value, _ in points)
    parts = [f'<path class="dots" d="{dots}"/>']
    if len(steps) > 2:
        edge = [place(x, bottom) for x, bottom, _, _ in steps] + [place(x, top) for x, _, _, top in reversed(steps)]
        parts.insert(0, f'<polygon class="band" points="{" ".join(edge)}"/>')
        parts.append(f'<polyline class="middle" points="{" ".join(place(x, value) for x, _, value, _ in steps)}"/>')
    ends = (moment(first, last - first), moment(last, last - first)) if told["by"] == "time" else _items(first, last)
    parts += [_axis(), _text(LEFT, ends[0]), _text(WIDTH - LEFT, ends[1], "end")]
    parts += [
        f'<text class="scale" x="{LEFT}" y="{TOP + 8}">{number_text(high)}</text>',
        f'<text class="scale" x="{LEFT}" y="{HEIGHT - BOTTOM - 3}">{number_text(low)}</text>',
    ]
    along = "the time of acquisition" if told["by"] == "time" else "the items"
    return _chart("course", f"{told['label']} over {along}", parts)


def columns(told: dict[str, Any]) -> str:
    """Draw how many items ended in each part of a run's time; ``told`` as from ``JobView.throughput``."""
    counts, spell = told["counts"], told["end"] - told["begin"]
    most, wide = max(counts) or 1, (WIDTH - 2 * LEFT) / len(counts)
    parts = []
    for number, count in enumerate(counts):
        tall = (HEIGHT - BOTTOM - TOP) * count / most
        x, y = LEFT + number * wide, HEIGHT - BOTTOM - tall
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(wide - 1, 0.5):.1f}" height="{tall:.1f}"/>')
    parts += [
        _axis(),
        _text(LEFT, moment(told["begin"], spell)),
        _text(WIDTH - LEFT, moment(told["end"], spell), "end"),
    ]
    each = spell / len(counts)
    parts.append(_text(WIDTH / 2, f"at most {most} in {each:.3g} s", "middle"))
    return _chart("bars", "Items that ended, over the run", parts)


def number_text(value: float) -> str:
    """Write a number as people read it: three digits, no exponent where it can be helped."""
    if not math.isfinite(value):
        return "none"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def moment(seconds: float, spell: float) -> str:
    """Write a time in this machine's zone; with the day where ``spell`` (seconds) is more than a day."""
    return time.strftime("%Y-%m-%d %H:%M" if spell > DAY_S else "%H:%M:%S", time.localtime(seconds))


def _items(first: float, last: float) -> tuple[str, str]:
    return f"item {first + 1:.0f}", f"item {last + 1:.0f}"


def _ends(values: Sequence[float], told: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of the scale: those of the values, unless a few would squeeze the rest."""
    low, high = min(values), max(values)
    core = told["high"] - told["low"]
    if core > 0 and high - low > 6 * core:
        low, high = max(low, told["low"] - core), min(high, told["high"] + core)
    return low, high


def _axis() -> str:
    return f'<line class="axis" x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'


def _text(x: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{escape(text)}</text>'


def _chart(kind: str, title: str, parts: list[str]) -> str:
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
