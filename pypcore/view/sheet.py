"""Figures and use of every finished item, in columns, read on as records grow.

The index says where each item's record is; here its numbers are kept, 8 bytes each, so that distributions of a large
job are drawn without reading its records again.
"""

import json
import math
import time
from array import array
from typing import Any

from pypcore import records
from pypcore.glance import Glance
from pypcore.record_index import RecordIndex
from pypcore.records import Record, State

USED = ("wall_s", "cpu_s", "peak_mib", "threads")
CHECK_EACH = 64  # records between two looks at the clock


class Sheet:
    """Numbers by name, one an item, NaN where there is none; ``messages`` of items that went wrong."""

    def __init__(self) -> None:
        self._begin(None)

    def _begin(self, index: RecordIndex | None) -> None:
        items = 0 if index is None else len(index)
        self.figures: dict[str, array[float]] = {}
        self.used: dict[str, array[float]] = {name: _empty(items) for name in USED}
        self.messages: dict[int, str] = {}
        self.pictures: dict[int, str] = {}
        """Which product of an item is a picture: the last of them that there is."""
        self._index = index
        self._read = array("q", bytes(8 * items))

    def read_on(self, known: Glance, seconds: float = math.inf) -> bool:
        """Read the records that say something new, for at most ``seconds``; say whether that was all of them."""
        index = known.index
        if index is not self._index:  # built again: files have other numbers, items other records
            self._begin(index)
        until = time.monotonic() + seconds
        todo: dict[int, list[tuple[int, int]]] = {}
        for item, (number, offset, when) in enumerate(zip(index.numbers, index.offsets, index.times, strict=True)):
            if when and self._read[item] != _place(number, offset):
                todo.setdefault(number, []).append((offset, item))
        done = 0
        for number, places in todo.items():
            with (known.job.records / index.files[number].name).open("rb") as source:
                for offset, item in sorted(places):
                    if done % CHECK_EACH == 0 and time.monotonic() > until:
                        return False
                    source.seek(offset)
                    self._take(item, json.loads(source.readline()))
                    self._read[item] = _place(number, offset)
                    done += 1
        return True

    def states(self, known: Glance) -> list[State]:
        """Return where each item stands with what it used and nothing else, for ``efficiency``."""
        columns = [self.used[name] for name in USED]
        states = []
        for item, outcome in enumerate(known.outcomes()):
            row = [column[item] for column in columns]
            record: Record = dict(zip(USED, row, strict=True)) if not math.isnan(row[0]) else {}
            states.append(State(outcome, record or None, known.index.attempts[item]))
        return states

    def _take(self, item: int, record: Record) -> None:
        for columns in (self.figures, self.used):
            for column in columns.values():
                column[item] = math.nan
        self.messages.pop(item, None)
        self.pictures.pop(item, None)
        if record.get("outcome") in records.BAD:
            self.messages[item] = str(record.get("message", ""))
        _put(self.used, {name: record.get(name) for name in USED}, item, len(self._read))
        if record.get("outcome") == records.DONE:
            _put(self.figures, record.get("figures", {}), item, len(self._read))
        for kind, (path, _) in record.get("products", {}).items():
            if is_picture(path):
                self.pictures[item] = kind


def is_picture(path: str) -> bool:
    """Say whether a product can be shown as it is."""
    return path.lower().endswith((".png", ".jpg", ".jpeg", ".webp"))


def _put(columns: "dict[str, array[float]]", values: dict[str, Any], item: int, items: int) -> None:
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            if name not in columns:
                columns[name] = _empty(items)
            columns[name][item] = value


def _empty(items: int) -> "array[float]":
    return array("d", [math.nan]) * items


def _place(number: int, offset: int) -> int:
    return (number << 40 | offset) + 1
