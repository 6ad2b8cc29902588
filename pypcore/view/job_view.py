"""One job's folder as plain values: a card, its three phases, causes of failure, figures, resources, requests.

A view stays open while its job goes on and reads only what is new: the index and the sheet are read on in memory, and
SLURM is asked at most once in ``ask_s`` seconds. Every method returns what JSON can hold; paths are absolute texts.
"""

import math
import shlex
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pypcore import records
from pypcore.efficiency import Efficiency, efficiency, last_launch
from pypcore.errors import UsageError
from pypcore.glance import Glance, read_glance
from pypcore.job import Job, Run
from pypcore.record_index import OUTCOMES
from pypcore.status import LOG_END, Status, item_log, living
from pypcore.view.causes import Cause, group, resume_command
from pypcore.view.item_view import in_hand, item_page, item_rows
from pypcore.view.pace import ends, pace, throughput
from pypcore.view.phases import phases
from pypcore.view.sheet import Sheet
from pypcore.view.spread import acquired, course, histogram, order, summary

ASK_S = 30.0  # between two calls of squeue for a job
LINES = 6  # of a log under a cause
EXAMPLES = 20  # items named under a cause
USE_FIGURES = ("wall_s", "peak_mib")


class JobView:
    """A job, looked at again and again; safe to use from several threads."""

    def __init__(self, folder: Path | str, ask_s: float = ASK_S) -> None:
        self.job = Job.open(folder)
        self.ask_s = ask_s
        self.lock = threading.RLock()
        self.sheet = Sheet()
        self.version = 0
        """Rises with every look that found something new."""
        self.whole = False
        """All records that were there at the last look are in the sheet."""
        self._known: Glance | None = None
        self._asked_at = 0.0
        self._told: Any = None
        self._names: tuple[str, list[str]] = ("", [])

    # -- looking

    @property
    def known(self) -> Glance:
        """The last look; the first one where there was none."""
        if self._known is None:
            self.look()
        assert self._known is not None
        return self._known

    def look(self, seconds: float = math.inf) -> bool:
        """Look at the folder again, reading figures for at most ``seconds``; say whether anything is new."""
        with self.lock:
            before = self._known
            self._known = self._glance(before)
            whole = self.sheet.read_on(self._known, seconds)
            told = (self._known.now.codes, self._known.phase, self._known.merge, self._known.run, self._seen(), whole)
            new = told != self._told or not whole
            self._told, self.whole = told, whole
            self.version += new
            return new

    def _seen(self) -> Any:
        sight = self._known.sight if self._known else None
        return sight and (sight.note, sight.counts(), sight.reasons(), sight.launch, sight.merge)

    def _glance(self, before: Glance | None) -> Glance:
        run, sight = self.job.last_run(), None
        if run is not None and run.slurm is not None and run.ended is None:
            run, sight = self._ask(run, before)
        return read_glance(self.job, run, living(run, sight), sight, before.index if before else None)

    def _ask(self, run: Run, before: Glance | None) -> tuple[Run | None, Any]:
        """Return the run and what SLURM says of it: as it said a moment ago, or asked again."""
        same = before is not None and before.run is not None and before.run.number == run.number and before.sight
        if before is not None and same and time.time() - self._asked_at < self.ask_s:
            return run, before.sight
        from pypcore.slurm.watch import ask, read_submitted  # late: few jobs are on SLURM

        self._asked_at = time.time()
        try:
            asked = read_submitted(self.job, run, glance=True)
        except PermissionError:  # another's job: what became of its items can't be recorded, only told
            return run, ask(self.job, run)
        return asked.run, asked.sight

    # -- telling

    def card(self) -> dict[str, Any]:
        """Return the job in a few figures, for a list of jobs."""
        with self.lock:
            known, run, now = self.known, self.known.run, time.time()
            speed = pace(known, now)
            last = max((when for _, when in ends(known)), default=None)
            return {
                "folder": str(self.job.folder),
                "name": self.job.folder.name,
                "operation": known.request.operation,
                "state": known.phase,
                "items": len(known.items),
                "counts": known.counts,
                "bad": sum(known.counts[outcome] for outcome in records.BAD),
                "merge": known.merge_state,
                "pace": None if speed is None or math.isinf(speed.left_s) else speed.to_dict(),
                "where": "" if run is None else "SLURM" if run.slurm is not None else run.host,
                "run": 0 if run is None else run.number,
                "started": None if run is None else run.started,
                "ended": None if run is None else run.ended,
                "last": last,
                "message": "" if run is None else run.message,
                "resume": resume_command(str(self.job.folder)) if known.missing and not known.running else "",
            }

    def phases(self) -> list[dict[str, Any]]:
        """Return Launch, Split and Merge: how each stands, and what of it is pending and why."""
        with self.lock:
            return phases(self.known)

    def in_hand(self) -> list[dict[str, Any]]:
        """Return the items that are being done now, those begun first at the top."""
        with self.lock:
            return in_hand(self.known)

    def throughput(self) -> dict[str, Any] | None:
        """Return how many items ended in each part of the last run's time; None where none did."""
        with self.lock:
            known = self.known
            if known.run is None:
                return None
            times = [when for _, when in ends(known) if when >= known.run.started]
            if not times:
                return None
            begin = max(known.run.started, min(times) - 1)
            end = time.time() if known.running else max(times)
            return {"begin": begin, "end": end, "counts": throughput(times, begin, end)}

    def causes(self) -> list[Cause]:
        """Group what went wrong."""
        with self.lock:
            known = self.known
            bad = []
            for item in known.only(records.BAD):
                message, peak = "", 0.0
                if item not in known.now.begins:  # one that was begun after its last record and died left no word
                    message, peak = self._end(item)
                bad.append((item, OUTCOMES[known.now.codes[item]], message, peak))
            return group(bad, str(self.job.folder), known.request, known.run)

    def _end(self, item: int) -> tuple[str, float]:
        """Return the message and the peak (MiB) of an item that went wrong, from its record where not read before."""
        if item in self.sheet.messages:
            peak = self.sheet.used["peak_mib"][item]
            return self.sheet.messages[item], 0.0 if math.isnan(peak) else peak
        record = self.known.states[item].record or {}
        return str(record.get("message", "")), float(record.get("peak_mib") or 0.0)

    def failures(self) -> list[dict[str, Any]]:
        """Return the causes with some of their items and the last lines of the first one's log."""
        with self.lock:
            told = []
            for cause in self.causes():
                first = self.known.states[cause.items[0]]
                lines = item_log(self.job, first, LOG_END).rstrip().splitlines()[-LINES:]
                named = [{"item": item, "name": self.known.items[item].name} for item in cause.items[:EXAMPLES]]
                told.append({**cause.to_dict(), "log": lines, "items": named})
            return told

    def rows(self, **wanted: Any) -> dict[str, Any]:
        """Return a page of the table of items; see ``item_view.item_rows``."""
        with self.lock:
            return item_rows(self.known, self.sheet, self.names(), **wanted)

    def item(self, item: int) -> dict[str, Any]:
        """Return everything about one item; UsageError where there is no such."""
        with self.lock:
            if not 0 <= item < len(self.known.items):
                raise UsageError(f"{self.job.folder} has {len(self.known.items)} items, none is number {item + 1}")
            return item_page(self.known, self.sheet, item)

    def names(self) -> list[str]:
        """Return the items' names."""
        sha = self.known.index.manifest.sha
        if self._names[0] != sha:
            self._names = sha, [item.name for item in self.job.items()]
        return self._names[1]

    def figures(self) -> dict[str, Any]:
        """Return the figures that differ between items, those people look at first coming first, and those that don't.

        ``whole``: every finished item is in them; while a large job is being opened some may still be missing.
        """
        with self.lock:
            columns = {**self.sheet.figures, **{name: self.sheet.used[name] for name in USE_FIGURES}}
            told = [summary(name, columns[name]) for name in sorted(columns, key=order)]
            varied = [one for one in told if one and one["most"] > one["least"]]
            same = [one for one in told if one and one["most"] == one["least"]]
            return {"figures": varied, "same": same, "whole": self.whole}

    def figure(self, name: str, *, by: str = "time") -> dict[str, Any]:
        """Return one figure's summary, histogram and course, ``by`` time of acquisition or order of the items."""
        with self.lock:
            column = self.sheet.figures.get(name) or (self.sheet.used.get(name) if name in USE_FIGURES else None)
            told = summary(name, column) if column else None
            if column is None or told is None:
                raise UsageError(f"{self.job.folder}: no finished item has a figure '{name}'")
            times = acquired(self.known)
            along = times if by == "time" else None
            return {**told, "timed": times is not None, "histogram": histogram(column), **course(column, along)}

    def efficiency(self) -> Efficiency | None:
        """Return what was asked against what was used; None while nothing is measured."""
        with self.lock:
            known = self.known
            light = Status(known.job, known.request, [], self.sheet.states(known), known.run, known.merge, known.sight)
            try:
                return efficiency(light, last_launch(self.job))
            except UsageError:
                return None

    def resources(self) -> dict[str, Any]:
        """Return what was asked, phase by phase, and ``used``: as ``pypcore efficiency --json``, or None."""
        found = self.efficiency()
        return {"asked": self.known.request.resources.to_dict(), "used": found.to_dict() if found else None}

    def request(self) -> dict[str, Any]:
        """Return what was asked of the job: operation, inputs, parameters, versions, and the command itself."""
        known = self.known
        asked, run = known.request, known.run
        return {
            "operation": asked.operation,
            "operation_version": asked.operation_version,
            "pypcore": asked.pypcore,
            "root": str(asked.root),
            "inputs": list(asked.inputs),
            "parameters": dict(asked.parameters),
            "policy": asdict(asked.policy),
            "command": shlex.join([Path(run.argv[0]).name, *run.argv[1:]]) if run and run.argv else "",
        }

    def products(self) -> dict[str, str]:
        """Return what Merge made, by kind."""
        return {kind: str(path) for kind, path in self.known.products().items()}

    def everything(self) -> dict[str, Any]:
        """Return all that one page of the job shows, its items apart."""
        with self.lock:
            return {
                **self.card(),
                "version": self.version,
                "phases": self.phases(),
                "in_hand": self.in_hand(),
                "throughput": self.throughput(),
                "failures": self.failures(),
                "products": self.products(),
                "latest": self.latest(),
            }

    def latest(self, most: int = 8) -> list[dict[str, Any]]:
        """Return the newest finished items that have a picture."""
        times = self.known.index.times
        newest: Sequence[int] = sorted(self.sheet.pictures, key=lambda item: times[item], reverse=True)[:most]
        return [{"item": i, "name": self.known.items[i].name, "kind": self.sheet.pictures[i]} for i in newest]
