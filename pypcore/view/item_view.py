"""The items of a job: a page of their table, those in hand, and everything about one."""

import math
import shlex
import time
from collections.abc import Sequence
from typing import Any

from pypcore import records
from pypcore.glance import Glance
from pypcore.inside import inside
from pypcore.record_index import OUTCOMES
from pypcore.status import attempts_at, item_log
from pypcore.view.causes import group
from pypcore.view.sheet import Sheet, is_picture
from pypcore.view.spread import label, order

MOST_ROWS = 500  # of a page
MOST_IN_HAND = 64
MOST_LOG = 256 * 1024  # bytes of a log that are shown
COLUMNS = 4  # figures in the table
MOST_VALUES = 2000  # of a list among the figures


def item_rows(
    known: Glance,
    sheet: Sheet,
    names: Sequence[str],
    *,
    outcomes: Sequence[str] = (),
    text: str = "",
    sort: str = "",
    descending: bool = False,
    offset: int = 0,
    limit: int = 100,
) -> dict[str, Any]:
    """Return ``rows`` from ``offset`` on of the items with one of ``outcomes`` (all) whose name has ``text`` in it.

    ``sort``: the items' order, ``name``, ``outcome``, ``ended`` or a figure; items without it come last. ``columns``
    are the figures in the rows, with labels and units; ``total`` counts the rows of all pages.
    """
    items = list(known.only(outcomes)) if outcomes else list(range(len(known.items)))
    if text:
        wanted = text.casefold()
        items = [item for item in items if wanted in names[item].casefold()]
    items = _sorted(known, sheet, names, items, sort, descending)
    columns = [name for name in sorted(sheet.figures, key=order) if _varies(sheet.figures[name])][:COLUMNS]
    if sort in sheet.figures and sort not in columns:
        columns.append(sort)
    shown = items[offset : offset + min(limit, MOST_ROWS)]
    return {
        "total": len(items),
        "offset": offset,
        "columns": [{"name": name, "label": label(name)[0], "unit": label(name)[1]} for name in columns],
        "rows": [_row(known, sheet, names, item, columns) for item in shown],
    }


def in_hand(known: Glance) -> list[dict[str, Any]]:
    """Return the items that are being done, with seconds since each was begun."""
    now = time.time()
    begun = []
    for item in known.only((records.RUNNING,)):
        file = known.now.begins.get(item)
        begin = file.begin.time if file and file.begin else known.index.times[item]
        begun.append((begin, item))
    return [
        {"item": item, "name": known.items[item].name, "for_s": round(max(0.0, now - begin), 1)}
        for begin, item in sorted(begun)[:MOST_IN_HAND]
    ]


def item_page(known: Glance, sheet: Sheet, index: int) -> dict[str, Any]:
    """Return all about one item: outcome, figures, products, log, attempts, and the commands that tell more."""
    item, state, job = known.items[index], known.states[index], known.job
    record = state.record or {}
    message = str(record.get("message", ""))
    folder, name = shlex.quote(str(job.folder)), shlex.quote(item.name)
    causes = []
    if state.outcome in records.BAD:
        peak = float(record.get("peak_mib") or 0.0)
        causes = group([(index, state.outcome, message, peak)], str(job.folder), known.request, known.run)
    products = []
    for kind, (path, size) in record.get("products", {}).items():
        there = inside(job.folder, path) is not None
        shown = {"kind": kind, "path": str(job.folder / path), "bytes": size, "there": there}
        products.append({**shown, "picture": there and is_picture(path)})
    plain, lists = _figures(record.get("figures", {}))
    return {
        "item": index,
        "name": item.name,
        "input": item.file,
        "given": item.given,
        "bytes": item.size,
        "outcome": state.outcome,
        "message": message,
        "used": {key: record.get(key) for key in ("wall_s", "cpu_s", "peak_mib", "threads", "host")},
        "figures": plain,
        "lists": lists,
        "products": products,
        "log": item_log(job, state, MOST_LOG),
        "attempts": [_attempt(one) for one in attempts_at(job, item)],
        "advice": causes[0].advice if causes else "",
        "commands": {
            "fix": causes[0].command if causes else "",
            "show": f"pypcore show {folder} {name}",
            "log": f"pypcore logs {folder} {name}",
        },
    }


def _sorted(
    known: Glance, sheet: Sheet, names: Sequence[str], items: list[int], sort: str, descending: bool
) -> list[int]:
    match sort:
        case "":
            return items[::-1] if descending else items
        case "name":
            return sorted(items, key=lambda item: names[item], reverse=descending)
        case "outcome":
            return sorted(items, key=lambda item: OUTCOMES[known.now.codes[item]], reverse=descending)
        case "ended":
            column: Sequence[float] = known.index.times
            has = [item for item in items if column[item]]
        case _:
            column = sheet.figures.get(sort) or sheet.used.get(sort) or ()
            has = [item for item in items if column and not math.isnan(column[item])]
    there = set(has)
    rest = [item for item in items if item not in there]
    return sorted(has, key=lambda item: column[item], reverse=descending) + rest


def _row(known: Glance, sheet: Sheet, names: Sequence[str], item: int, columns: Sequence[str]) -> dict[str, Any]:
    wall = sheet.used["wall_s"][item]
    values = [sheet.figures[name][item] for name in columns]
    return {
        "item": item,
        "name": names[item],
        "outcome": OUTCOMES[known.now.codes[item]],
        "message": sheet.messages.get(item, ""),
        "ended": known.index.times[item] or None,
        "wall_s": None if math.isnan(wall) else wall,
        "values": [None if math.isnan(value) else value for value in values],
        "picture": sheet.pictures.get(item),
    }


def _varies(column: Sequence[float]) -> bool:
    known = (value for value in column if not math.isnan(value))
    first = next(known, None)
    return any(value != first for value in known)


def _figures(figures: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the figures that are one number or word, and those that are a list of numbers (one a frame, mostly)."""
    plain, lists = [], []
    for name in sorted(figures, key=order):
        value, (called, unit) = figures[name], label(name)
        told = {"name": name, "label": called, "unit": unit, "value": value}
        if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
            lists.append({**told, "value": value[:MOST_VALUES]})
        elif not isinstance(value, list | dict) and value is not None:
            plain.append(told)
    return plain, lists


def _attempt(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record.get(key) for key in ("attempt", "event", "outcome", "message", "time", "host", "wall_s")}
