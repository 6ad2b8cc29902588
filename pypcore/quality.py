"""Quality: thresholds on the figures of finished items put items aside, which Merge then leaves out.

Nothing is moved or removed: ``JOB/aside.jsonl`` lists them, a line an item with its reason, and is written again at
each Merge. ``JOB/by-hand.txt`` is the user's, and wins: lines ``NAME keep`` and ``NAME aside why``.
"""

import json
import math
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from pypcore import records
from pypcore.errors import UsageError
from pypcore.items import Item
from pypcore.job import Job
from pypcore.jsonlines import read_lines
from pypcore.products import write_text
from pypcore.records import Record, State
from pypcore.spelling import did_you_mean

_RULE = re.compile(r"\s*(\w+)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")
_COMPARE = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_USED = ("wall_s", "cpu_s", "peak_mib")  # of a record itself
_SHOWN = 12  # figures that an error names


@dataclass(frozen=True)
class Rule:
    """A threshold: what puts an item aside, such as ``motion_total > 50``; the unit is the figure's own."""

    figure: str
    comparison: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``FIGURE > NUMBER`` (or <, >=, <=, ==, !=); UsageError else."""
        found = _RULE.fullmatch(text)
        try:
            limit = float(found[3]) if found else math.nan
        except ValueError:
            limit = math.nan
        if found is None or math.isnan(limit):
            raise UsageError(
                f"--reject '{text}' is not FIGURE > NUMBER (or <, >=, <=, ==, !=), as in 'motion_total > 50'"
            )
        return cls(found[1], found[2], limit)

    def __str__(self) -> str:
        """Write it as ``parse`` reads it."""
        return f"{self.figure} {self.comparison} {self.limit:g}"

    def broken_by(self, record: Record) -> str:
        """Say how a finished item's record breaks the rule, empty where it doesn't.

        A figure that is absent or no number (it could not be measured) breaks every rule on it.
        """
        value = _figures(record).get(self.figure)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            return f"{self.figure} could not be measured ({self})"
        holds = _COMPARE[self.comparison](value, self.limit)
        return f"{self.figure} {value:.4g} {self.comparison} {self.limit:g}" if holds else ""

    def check(self, done: Sequence[Record]) -> None:
        """Raise UsageError where none of the items that are done has the figure."""
        if done and all(self.figure not in _figures(record) for record in done):
            plain = [name for name, value in _figures(done[0]).items() if isinstance(value, (int, float))]
            hint = did_you_mean(self.figure, plain)
            hint = hint if hint.startswith("; did") else f"; there are {', '.join(plain[:_SHOWN])}"
            raise UsageError(f"--reject '{self}': no item has a figure '{self.figure}'{hint}")


def _figures(record: Record) -> dict[str, Any]:
    return {**{key: record[key] for key in _USED if key in record}, **record.get("figures", {})}


def judge(job: Job, reject: Sequence[str], items: Sequence[Item], states: Sequence[State]) -> dict[int, str]:
    """Decide which finished items are aside and write the list; return the reason of each, by item.

    UsageError for a rule on a figure that the items haven't, or a wrong line of ``by-hand.txt``.
    """
    rules = [Rule.parse(text) for text in reject]
    finished = [state.record for state in states if state.outcome == records.DONE and state.record is not None]
    for rule in rules:
        rule.check(finished)
    by_hand = _by_hand(job, items)
    found: dict[int, str] = {}
    for item, state in zip(items, states, strict=True):
        if state.outcome != records.DONE or state.record is None:
            continue
        said = by_hand.get(item.name)
        reason = said if said is not None else _first_broken(rules, state.record)
        if reason:
            found[item.index] = reason
    lines = [json.dumps({"item": index, "name": items[index].name, "reason": why}) for index, why in found.items()]
    if found or job.aside_file.exists():
        text = "".join(f"{line}\n" for line in lines)
        if not job.aside_file.exists() or job.aside_file.read_text() != text:
            write_text(job.aside_file, text)
    return found


def read_aside(job: Job) -> dict[int, str]:
    """Return the items that are aside, and why."""
    if not job.aside_file.exists():
        return {}
    return {row["item"]: row["reason"] for row in read_lines(job.aside_file)}


def without_aside(name: str, aside: Iterable[int]) -> str:
    """Name what is to be merged: what is done (``name``), less what is aside."""
    numbers = sorted(aside)
    return name if not numbers else sha256(f"{name} {numbers}".encode()).hexdigest()[:16]


def _first_broken(rules: Sequence[Rule], record: Record) -> str:
    return next((how for rule in rules if (how := rule.broken_by(record))), "")


def _by_hand(job: Job, items: Sequence[Item]) -> dict[str, str]:
    """Read the user's own list: name to reason, an empty one for what is kept whatever the rules say."""
    try:
        lines = job.by_hand_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    names, said = {item.name for item in items}, {}
    for number, line in enumerate(lines, 1):
        name, _, rest = line.partition("#")[0].strip().partition(" ")
        if not name:
            continue
        what, _, why = rest.strip().partition(" ")
        if name not in names or what not in ("keep", "aside"):
            hint = did_you_mean(name, names) if name not in names else "; a line is 'NAME keep' or 'NAME aside why'"
            raise UsageError(f"{job.by_hand_file}: line {number} is '{line.strip()}'{hint}")
        said[name] = "" if what == "keep" else f"by hand{f': {why.strip()}' if why.strip() else ''}"
    return said
