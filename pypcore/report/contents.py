"""What a report says, gathered from the view of a job: text, numbers, and the pictures that are to be in it."""

import base64
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypcore.efficiency import PhaseUse, Use
from pypcore.inside import inside
from pypcore.report import charts
from pypcore.resources import MIB_PER_GB
from pypcore.versions import versions
from pypcore.view.item_view import MOST_ROWS
from pypcore.view.job_view import JobView
from pypcore.view.pictures import thumbnail
from pypcore.view.sheet import is_picture
from pypcore.words import duration, size

CHARTED = 8  # figures that are drawn
LEAST_DRAWN = 5  # items: of fewer the table says more than any curve
PICTURE_WIDTH = 720  # px of a picture of an item
PRODUCT_WIDTH = 1600  # px of one that Merge made: curves and slices, to be read
SHARE_OF_EXTREMES = 3  # one picture in so many is of an item with an extreme figure; the others are spread evenly


@dataclass
class Contents:
    """All that the page shows. Texts are plain; whoever puts them into a page escapes them."""

    title: str
    facts: list[tuple[str, str]]
    command: str
    counts: dict[str, int]
    phases: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    outcome_pictures: list[dict[str, str]] = field(default_factory=list)
    """Of Merge: ``name`` and ``data``, a data URL."""
    products: list[tuple[str, str]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    same: list[tuple[str, str]] = field(default_factory=list)
    """Figures that are the same for every item."""
    throughput: str = ""
    gallery: list[dict[str, Any]] = field(default_factory=list)
    gallery_says: str = ""
    items: dict[str, Any] = field(default_factory=dict)
    """``columns`` and ``rows`` (lists) of every item."""
    resources: list[tuple[str, ...]] = field(default_factory=list)
    flags: str = ""
    parameters: list[tuple[str, str]] = field(default_factory=list)
    versions: list[tuple[str, str]] = field(default_factory=list)
    written: str = ""


def gather(view: JobView, pictures: int) -> Contents:
    """Return what the report of a job says, with pictures of at most ``pictures`` items in it."""
    view.look()
    told, asked = view.everything(), view.request()
    figures, spell = view.figures(), told["throughput"]
    found = view.efficiency()
    chosen, says = _chosen(view, figures["figures"], pictures)
    return Contents(
        title=f"{told['name']}: {told['operation']}",
        facts=list(_facts(told, asked)),
        command=asked["command"],
        counts={outcome: count for outcome, count in told["counts"].items() if count},
        phases=told["phases"],
        failures=told["failures"],
        products=[(kind, Path(path).name) for kind, path in told["products"].items()],
        charts=[_charted(view, one["name"]) for one in figures["figures"][:CHARTED] if one["count"] >= LEAST_DRAWN],
        same=[(one["label"], f"{charts.number_text(one['least'])} {one['unit']}".strip()) for one in figures["same"]],
        throughput=charts.columns(spell) if spell and sum(spell["counts"]) >= LEAST_DRAWN else "",
        gallery=[shown for item in chosen if (shown := _shown(view.item(item)))["pictures"]],
        gallery_says=says,
        items=_all_items(view),
        resources=[row for phase in found.phases for row in _use(phase)] if found else [],
        flags=found.flags if found else "",
        parameters=[(name, _value(value)) for name, value in asked["parameters"].items() if value is not None],
        versions=_versions(asked),
        written=time.strftime("%Y-%m-%d %H:%M %Z"),
        outcome_pictures=_product_pictures(view.job.folder, told["products"]),
    )


def _facts(told: dict[str, Any], asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "state", told["state"] + (f": {told['message']}" if told["message"] else "")
    yield "items", str(told["items"])
    yield "Merge", told["merge"]
    yield "folder", told["folder"]
    yield "inputs", " ".join(asked["inputs"])
    if told["started"]:
        yield "begun", time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(told["started"]))
        yield "took" if told["ended"] else "has taken", duration((told["ended"] or time.time()) - told["started"])
    if told["where"]:
        yield "on", told["where"]
    if told["run"] > 1:
        yield "runs", f"{told['run']}: the times are the last one's"


def _charted(view: JobView, name: str) -> dict[str, Any]:
    one = view.figure(name)
    counts = one["histogram"]["counts"]
    return {**one, "histogram_counts": counts, "histogram": charts.histogram(one), "course": charts.course(one)}


def _chosen(view: JobView, figures: list[dict[str, Any]], most: int) -> tuple[list[int], str]:
    """Choose the items whose pictures are shown: all, or those with the largest first figure and evenly spread ones."""
    with_pictures = sorted(view.sheet.pictures)
    if len(with_pictures) <= most:
        return with_pictures, ""
    if most == 0:
        return [], "Left out as asked (--pictures 0)."
    extremes: list[int] = []
    if figures and figures[0]["name"] in view.sheet.figures:
        column = view.sheet.figures[figures[0]["name"]]
        measured = [item for item in with_pictures if math.isfinite(column[item])]
        extremes = sorted(measured, key=lambda item: -column[item])[: most // SHARE_OF_EXTREMES]
    others = [item for item in with_pictures if item not in set(extremes)]
    room = most - len(extremes)
    spread = [others[number * len(others) // room] for number in range(room)]
    largest = f"{len(extremes)} with the largest {figures[0]['label'].lower()}, then " if extremes else ""
    says = f"{most} of {len(with_pictures)} items: {largest}{room} evenly spread over the data set."
    return extremes + spread, says


def _shown(page: dict[str, Any]) -> dict[str, Any]:
    """Return an item with its pictures and first figures."""
    pictures = []
    for product in page["products"]:
        if product["picture"] and (small := thumbnail(Path(product["path"]), PICTURE_WIDTH)):
            pictures.append({"kind": product["kind"].replace("_", " "), "data": _data_url(small)})
    figures = [
        f"{one['label']} {charts.number_text(one['value'])} {one['unit']}".strip()
        for one in page["figures"]
        if isinstance(one["value"], int | float) and not isinstance(one["value"], bool)
    ]
    return {"name": page["name"], "pictures": pictures, "figures": figures[:4]}


def _product_pictures(folder: Path, products: dict[str, str]) -> list[dict[str, str]]:
    shown = []
    for kind, path in products.items():
        there = inside(folder, path) if is_picture(path) else None
        if there and (small := thumbnail(there, PRODUCT_WIDTH)):
            shown.append({"name": kind.replace("_", " "), "data": _data_url(small)})
    return shown


def _data_url(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _all_items(view: JobView) -> dict[str, Any]:
    """Return the table of items, in the order of the items, compact: a row is a list."""
    rows: list[list[Any]] = []
    columns: list[dict[str, str]] = []
    while True:
        page = view.rows(offset=len(rows), limit=MOST_ROWS)
        columns = page["columns"]
        for row in page["rows"]:
            values = [None if value is None else float(f"{value:.4g}") for value in row["values"]]
            wall = None if row["wall_s"] is None else float(f"{row['wall_s']:.3g}")
            rows.append([row["name"], row["outcome"], wall, *values, row["message"]])
        if not page["rows"] or len(rows) >= page["total"]:
            break
    heads = [f"{one['label']}, {one['unit']}" if one["unit"] else one["label"] for one in columns]
    return {"columns": ["Item", "Outcome", "Time, s", *heads, "Message"], "rows": rows}


def _columns(use: Use) -> tuple[float, ...]:
    return use.asked, use.median, use.most, use.enough


def _use(phase: PhaseUse) -> Iterator[tuple[str, ...]]:
    memory, threads, walltime = phase.memory, phase.threads, phase.walltime
    yield (phase.phase, "memory of a task", *map(_gb, _columns(memory)))
    yield ("", "threads kept busy", *(f"{count:.3g}" for count in _columns(threads)))
    yield ("", "walltime", *map(duration, _columns(walltime)))
    if phase.gres:
        yield ("", "gres", phase.gres, "not measured", "", "")


def _gb(mib: float) -> str:
    return size(mib * 2**20) if mib < MIB_PER_GB / 10 else f"{mib / MIB_PER_GB:.2f} GB"


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _versions(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what made the job, and what wrote this page: those of the libraries are this machine's, now."""
    made = f"pypcore {asked['pypcore']}, {asked['operation']} version {asked['operation_version']}"
    return [
        ("the job was made with", made),
        ("this page was written with", ", ".join(map(" ".join, versions().items()))),
    ]
