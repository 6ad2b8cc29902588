"""What is known of a job, read from its folder."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypcore import records
from pypcore.errors import UsageError
from pypcore.inside import inside
from pypcore.items import Item
from pypcore.job import Job, Run
from pypcore.merge import gaps, last_merge, what_is_done
from pypcore.quality import read_aside, without_aside
from pypcore.records import Record, State, count, read_record_file, read_records
from pypcore.request import Request
from pypcore.spelling import did_you_mean
from pypcore.sums import fold_as_it_is

if TYPE_CHECKING:
    from pypcore.slurm.watch import Sight

SCHEMA = 1
LOG_END = 4000  # bytes of a log that are shown where nobody knows where an item's part begins


@dataclass
class Status:
    """A job as its folder tells it."""

    job: Job
    request: Request
    items: Sequence[Item]
    states: Sequence[State]
    run: Run | None
    merge: Record | None
    sight: "Sight | None" = None  # of a run on SLURM that goes on

    @cached_property
    def counts(self) -> dict[str, int]:
        """Count the items in each outcome."""
        return count(self.states)

    @property
    def running(self) -> bool:
        """Say whether somebody drives the job now."""
        return self.run is not None and self.run.alive()

    @property
    def phase(self) -> str:
        """Where the job is: ``running``, ``done``, ``failed`` (some items), ``cancelled`` or ``stopped``."""
        if self.running:
            return "running"
        if self.run and self.run.outcome == "cancelled":
            return "cancelled"
        if self.missing:
            return "stopped"
        return "done" if self.counts[records.DONE] == len(self.items) and self.merge_state == "done" else "failed"

    @cached_property
    def missing(self) -> Sequence[Item]:
        """Items that another attempt may still finish."""
        return gaps(self.items, self.states)

    @cached_property
    def merge_state(self) -> str:
        """``waiting``, ``done``, ``out of date``, or how Merge failed."""
        if self.merge is None:
            return records.WAITING
        if self.merge["outcome"] != records.DONE:
            return str(self.merge["outcome"])
        return "done" if self.merge["of"] == without_aside(what_is_done(self.states), self.aside) else "out of date"

    @cached_property
    def aside(self) -> dict[int, str]:
        """Items that quality thresholds leave out of Merge, and why."""
        return read_aside(self.job)

    def bad(self) -> Iterator[tuple[Item, State]]:
        """Yield the items that went wrong."""
        for item, state in zip(self.items, self.states, strict=True):
            if state.outcome in records.BAD:
                yield item, state

    def products(self) -> dict[str, Path]:
        """Return what Merge made."""
        return _products(self.job, self.merge)

    def table(self) -> list[dict[str, Any]]:
        """Return one row an item: name, outcome, message, figures, times, and the path of each product."""
        rows = []
        for item, state in zip(self.items, self.states, strict=True):
            record = state.record or {}
            row: dict[str, Any] = {"name": item.name, "input": item.given, "outcome": state.outcome}
            row |= {"message": record.get("message", ""), "attempts": state.attempts}
            row |= {key: record.get(key) for key in ("wall_s", "cpu_s", "peak_mib", "threads")}
            row |= record.get("figures", {})
            row |= {"aside": self.aside[item.index]} if item.index in self.aside else {}
            row["products"] = {kind: str(path) for kind, path in _products(self.job, state.record).items()}
            rows.append(row)
        return rows

    def find(self, word: str) -> int:
        """Return the index of the item called ``word``: a name, a path as given, or a number from 1."""
        for item in self.items:
            if word in (item.name, item.given, item.file):
                return item.index
        if word.isdigit() and 1 <= int(word) <= len(self.items):
            return int(word) - 1
        raise UsageError(f"{self.job.folder} has no item '{word}'{_nearest(word, self.items)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        from importlib.metadata import version

        run = self.run
        return {
            "schema": SCHEMA,
            "pypcore_version": version("pypcore"),
            "job": str(self.job.folder),
            "operation": self.request.operation,
            "state": self.phase,
            "items": len(self.items),
            "counts": self.counts,
            "aside": len(self.aside),
            "merge": {
                "state": self.merge_state,
                "message": (self.merge or {}).get("message", ""),
                "products": {kind: str(path) for kind, path in self.products().items()},
            },
            "slurm": None if self.sight is None else self.sight.to_dict(),
            "run": None
            if run is None
            else {
                "number": run.number,
                "host": run.host,
                "pid": run.pid,
                "outcome": "running" if self.running else "lost" if run.ended is None else run.outcome,
                "message": run.message,
                "started": run.started,
                "seconds": round((run.ended or time.time()) - run.started, 1),
            },
            "bad": [
                {"name": item.name, "outcome": state.outcome, "message": (state.record or {}).get("message", "")}
                for item, state in self.bad()
            ],
        }


def read_status(job: Job, *, glance: bool = False) -> Status:
    """Read a job's folder; only of a run on SLURM that goes on SLURM is asked, once.

    ``glance``: only to be shown, through the index of the records, which a job of a million items needs.
    """
    run = job.last_run()
    if run is not None and run.slurm is not None and run.ended is None:
        from pypcore.slurm.watch import read_submitted

        return read_submitted(job, run, glance=glance)
    return fold_status(job, run, glance=glance)


def living(run: Run | None, sight: "Sight | None") -> Callable[[str], bool]:
    """Return what says whether an attempt goes on: its run, or SLURM in ``sight``, says so."""
    prefix = f"{run.number:04d}-" if run and run.alive() else None

    def alive(attempt: str) -> bool:
        if sight is not None and run is not None:
            return sight.runs_attempt(attempt, run.number)
        return prefix is not None and attempt.startswith(prefix)

    return alive


def fold_status(job: Job, run: Run | None, sight: "Sight | None" = None, *, glance: bool = False) -> Status:
    """Fold what the folder holds; an attempt is running when its run, or SLURM in ``sight``, says so."""
    alive = living(run, sight)
    if glance:
        from pypcore.glance import read_glance

        return read_glance(job, run, alive, sight)
    request, items = job.request(), list(job.items())
    known = list(read_records(job.records))
    states = fold_as_it_is(job, known, request, items, alive)
    return Status(job, request, items, states, run, last_merge(known), sight)


def item_log(job: Job, state: State, most: int | None = None) -> str:
    """Return what the last attempt at an item wrote to its log; the log's end where its worker was killed.

    At most the last ``most`` bytes of it; nothing of a file that is not in the job's folder, whatever a record says.
    """
    if state.record is None:
        return ""
    if "log" in state.record:
        name, begin, end = state.record["log"]
        first = begin if most is None else max(begin, end - most)
        return _read(job.folder, name, first, end) if name else ""
    path = attempt_log(job, state)
    return "" if path is None else _read(job.folder, str(path), -LOG_END, None)


def attempt_log(job: Job, state: State) -> Path | None:
    """Return the log of the last attempt at an item, running or not; None where it left none."""
    attempt = (state.record or {}).get("of") or (state.record or {}).get("attempt")
    file = job.records / f"{attempt}.jsonl"
    header = next(read_record_file(file), None) if file.is_file() else None
    name = (header or {}).get("log")
    return job.folder / name if name else None


def _read(folder: Path, name: str, begin: int, end: int | None) -> str:
    path = inside(folder, name)
    if path is None:
        return ""
    with path.open("rb") as log:
        log.seek(begin if begin >= 0 else max(0, path.stat().st_size + begin))
        return log.read(-1 if end is None else end - begin).decode(errors="replace")


def attempts_at(job: Job, item: Item) -> list[Record]:
    """Return every record of an item, the oldest first."""
    mark = b'"item":%d,' % item.index  # most lines are of other items, and long
    known = read_records(job.records, lambda line: mark in line)
    return sorted((r for r in known if r.get("item") == item.index), key=lambda r: r["time"])


def _products(job: Job, record: Record | None) -> dict[str, Path]:
    return {kind: job.folder / path for kind, (path, _) in (record or {}).get("products", {}).items()}


def _nearest(word: str, items: Sequence[Item]) -> str:
    names = [item.name for item in items]
    hint = did_you_mean(word, names)
    if hint.startswith("; did") or not names:
        return hint if names else "; none is planned yet"
    return f"; it has {len(names)}, such as '{names[0]}'"
