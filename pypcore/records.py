"""Records: what came of each attempt at each item, appended one line at a time, and folded into a status.

One file a writer, so no two processes ever write the same file. A line goes to the operating system as soon as it
is known and to the disk at most a second later. A torn last line, left by a writer that was killed, is ignored.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pypcore.items import Item
from pypcore.jsonlines import read_lines

SYNC_S = 1.0
DONE = "done"
FAILED = "failed"  # the item's own fault: the same input will fail again
ERROR = "error"  # an unforeseen exception: worth another try
TIMEOUT = "timeout"
MEMORY = "memory"
LOST = "lost"  # its worker died
CANCELLED = "cancelled"
RUNNING = "running"
WAITING = "waiting"
SUMMED = "summed"  # added to its bundle's sum, which is not on the disk yet: waiting, should its worker die
OUTCOMES = (DONE, FAILED, ERROR, TIMEOUT, MEMORY, LOST, CANCELLED)
BAD = (FAILED, ERROR, TIMEOUT, MEMORY, LOST)

Record = dict[str, Any]
_BEGIN, _END = b'{"event":"begin"', b'{"event":"end"'


class Recorder:
    """Appends records to one file. Safe to use from several threads of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        self._lock = threading.Lock()
        self._dirty = False
        self._torn = False  # a full disk left part of a line
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_now_and_then, daemon=True)
        self._syncer.start()

    def append(self, record: Record) -> None:
        """Write one record; raise OSError when the disk is full."""
        line = (json.dumps(record, separators=(",", ":")) + "\n").encode()
        with self._lock:
            if self._torn:
                line = b"\n" + line
            self._dirty = self._torn = True
            while line:  # a nearly full disk takes a part, then says so
                line = line[os.write(self._handle, line) :]
            self._torn = False

    def close(self) -> None:
        """Make everything durable and close the file."""
        self._closing.set()
        self._syncer.join()
        os.fsync(self._handle)
        os.close(self._handle)

    def _sync_now_and_then(self) -> None:
        while not self._closing.wait(SYNC_S):
            if self._dirty:
                self._dirty = False
                os.fsync(self._handle)


def read_records(folder: Path, wanted: Callable[[bytes], bool] | None = None) -> Iterator[Record]:
    """Read the records in ``folder``; the stem of a record's file becomes its ``attempt``.

    Of an item that a worker began and ended only the end is given. ``wanted`` spares parsing lines that nobody wants;
    a few others may come all the same.
    """
    for name in sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".jsonl")):
        yield from read_record_file(folder / name, wanted)


def read_record_file(path: Path, wanted: Callable[[bytes], bool] | None = None) -> Iterator[Record]:
    """Read the whole lines of one record file."""
    attempt = path.stem

    def chosen(lines: list[bytes]) -> list[bytes]:
        if wanted:
            lines = [line for line in lines[:-1] if wanted(line)] + lines[-1:]
        return _without_ended_begins(lines)

    for record in read_lines(path, chosen):
        record["attempt"] = attempt
        yield record


def _without_ended_begins(lines: list[bytes]) -> list[bytes]:
    """Leave out a begin that its end follows: a writer does one item at a time, and the end says all."""
    kept = [line for line, after in pairwise(lines) if not (line.startswith(_BEGIN) and after.startswith(_END))]
    return kept + lines[-1:]


@dataclass(slots=True)
class State:
    """Where an item stands: its outcome, the record that says so, and how often it was begun."""

    outcome: str = WAITING
    record: Record | None = None
    attempts: int = 0


def fold(
    records: Iterable[Record],
    items: Sequence[Item],
    digest: str,
    alive: Callable[[str], bool] = lambda attempt: False,
) -> list[State]:
    """Fold records into one state an item.

    A record counts only when it was made under the request ``digest`` and from the file as the manifest has
    it. ``done`` is never taken back by a later attempt at the same thing. An item that was begun and not ended
    is running when its attempt is ``alive``, lost otherwise.
    """
    states = [State() for _ in items]
    for record in records:
        index = record.get("item")
        if index is None or index >= len(states):
            continue
        state, item = states[index], items[index]
        if (record.get("params"), record.get("size"), record.get("mtime_ns")) != (
            digest,
            item.size,
            item.mtime_ns,
        ):
            continue
        # A begin has no outcome.
        outcome = record.get("outcome") or (RUNNING if alive(record["attempt"]) else LOST)
        if outcome == SUMMED:
            outcome = RUNNING if alive(record["attempt"]) else WAITING
        if "of" not in record:  # with it, the pool tells how an attempt ended that has a begin of its own
            state.attempts += 1
        if state.outcome == DONE and outcome != DONE:
            continue
        if state.record is None or outcome == DONE or record["time"] >= state.record["time"]:
            state.outcome, state.record = outcome, record
    return states


def count(states: Iterable[State]) -> dict[str, int]:
    """Count the items in each outcome; every outcome is a key."""
    counts = dict.fromkeys((*OUTCOMES, RUNNING, WAITING), 0)
    for state in states:
        counts[state.outcome] += 1
    return counts


def begin_record(item: Item, digest: str) -> Record:
    """Return the record that an attempt at ``item`` begins."""
    return {"event": "begin", **_identity(item, digest)}


def end_record(item: Item, digest: str, outcome: str, message: str = "", **facts: Any) -> Record:
    """Return the record of how an attempt at ``item`` ended."""
    return {"event": "end", **_identity(item, digest), "outcome": outcome, "message": message, **facts}


def _identity(item: Item, digest: str) -> Record:
    return {
        "item": item.index,
        "name": item.name,
        "params": digest,
        "size": item.size,
        "mtime_ns": item.mtime_ns,
        "time": round(time.time(), 3),
    }
