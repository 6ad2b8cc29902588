"""How a run on SLURM stands: its records first, then the queue (one call), then the accounting for what left it.

What was seen is kept beside the run, so that with the controller down the last known is told, and how old it is.
An element that has ended without a record of its items may only be late: shared disks and the accounting lag.
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from pypcore import records
from pypcore.errors import PypcoreError
from pypcore.items import Item
from pypcore.job import Job, Run
from pypcore.products import write_text
from pypcore.records import Record, Recorder, end_record
from pypcore.slurm.client import Client
from pypcore.slurm.states import Element, Key, cause_of, combine, explain, find, parse_sacct, parse_squeue
from pypcore.slurm.submission import Submission, read_elements
from pypcore.status import Status, fold_status

LATE_S = 60.0  # a record may show so long after its element has ended

OUTCOMES = {"timeout": records.TIMEOUT, "memory": records.MEMORY, "cancelled": records.CANCELLED}
SAID = {
    records.TIMEOUT: "its element went over its walltime",
    records.MEMORY: "its element went over its memory",
    records.CANCELLED: "its element was cancelled",
}


@dataclass
class Sight:
    """What SLURM said at ``time``; ``note`` says what is wrong with that, if anything.

    ``split`` has every element that SLURM knows something of; ``ended`` when each was first seen to have ended.
    """

    time: float
    launch: Element | None = None
    split: dict[int, Element] = field(default_factory=dict)
    merge: Element | None = None
    ended: dict[int, float] = field(default_factory=dict)
    note: str = ""

    def active(self) -> bool:
        """Say whether anything still waits or runs."""
        return any(one is not None and one.state != "ended" for one in (self.launch, self.merge, *self.split.values()))

    def counts(self) -> dict[str, int]:
        """Count the elements of Split that wait, run and have ended."""
        counts = dict.fromkeys(("waiting", "running", "ended"), 0)
        for element in self.split.values():
            counts[element.state] += 1
        return counts

    def reasons(self) -> dict[str, int]:
        """Count what is pending, by SLURM's reason."""
        pending = [self.launch, self.merge, *self.split.values()]
        return dict(Counter(one.reason for one in pending if one is not None and one.state == "waiting"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "launch": None if self.launch is None else self.launch.state,
            "split": self.counts(),
            "merge": None if self.merge is None else self.merge.state,
            "pending": {reason: [count, *astuple(explain(reason))[:2]] for reason, count in self.reasons().items()},
            "seen": self.time,
            "note": self.note,
        }

    def runs_attempt(self, attempt: str, number: int) -> bool:
        """Say whether an attempt of run ``number`` goes on."""
        parts = attempt.split("-")
        if parts[0] != f"{number:04d}" or len(parts) < 3:
            return False
        return self.runs(int(parts[1])) if parts[1].isdecimal() else True

    def runs(self, element: int) -> bool:
        """Say whether an element runs, or has just ended and its record may be late."""
        known = self.split.get(element)
        if known is None or known.state == "waiting":
            return False
        return known.state == "running" or self.time - self.ended.get(element, 0.0) < LATE_S


def look(job: Job, run: Run, client: Client) -> Sight:
    """Ask SLURM how a run stands; when it does not answer, return what it said the last time."""
    submission, before = Submission.of(run), _remembered(job, run)
    now = time.time()
    try:
        ids = submission.ids()
        known = parse_squeue(client.squeue(ids)) if ids else {}
        if _asks_accounting(submission, known):
            accounts = client.sacct(ids)
            known = combine(known, parse_sacct(accounts) if accounts is not None else {})
    except PypcoreError as error:
        if before is None:
            return Sight(0.0, note=str(error))
        return replace(before, note=f"{error}; last known, {round(now - before.time)} s old")
    sight = Sight(now)
    sight.launch = None if submission.launch is None else find(known, submission.launch, None) or _gone()
    sight.merge = None if submission.merge is None else find(known, submission.merge, None) or _gone()
    for array in submission.arrays:
        for index in range(array.count):
            assert array.id is not None or run.ended is None
            known_one = None if array.id is None else find(known, array.id, index)
            sight.split[array.first + index] = known_one or _gone()
    seen = before.ended if before else {}
    sight.ended = {n: seen.get(n, now) for n, one in sight.split.items() if one.state == "ended"}
    with contextlib.suppress(PermissionError):  # another's job: it is only looked at
        _remember(job, run, sight)
    return sight


def _asks_accounting(submission: Submission, known: Mapping[Key, Element]) -> bool:
    """Say whether the queue leaves something open: what left it, or why an element failed (only there is a code)."""
    keys: list[Key] = [(id_, None) for id_ in (submission.launch, submission.merge) if id_ is not None]
    keys += [(one.id, index) for one in submission.arrays if one.id is not None for index in range(one.count)]
    return any(key not in known or known[key].said == "FAILED" for key in keys)


def ask(job: Job, run: Run) -> Sight:
    """Ask the cluster that has a run how that stands."""
    return look(job, run, Client(cluster=Submission.of(run).cluster))


def read_submitted(job: Job, run: Run, *, glance: bool = False) -> Status:
    """Read the status of a job whose run is SLURM's; end the run when SLURM has nothing left of it."""
    sight = ask(job, run)
    if not sight.note and not sight.active() and settle(job, run, sight, fold_status(job, run, sight)):
        return fold_status(job, run, glance=glance)
    return fold_status(job, run, sight, glance=glance)


def settle_last(job: Job) -> None:
    """End the last run if SLURM drove it and has nothing left of it, so that another can begin."""
    run = job.last_run()
    if run is not None and run.slurm is not None and run.ended is None:
        read_submitted(job, run)


def settle(job: Job, run: Run, sight: Sight, status: Status) -> bool:
    """End a run of which SLURM has nothing left, unless a record may be late; say whether it has ended.

    What became of its items is recorded.
    """
    if _late(job, run, sight, status):
        return False
    again = job.read_run(run.number)  # Merge may have ended it meanwhile
    if again.ended is None:
        recorder = Recorder(job.records / f"{run.number:04d}-settled.jsonl")
        record_lost(job, run, sight, status, recorder)
        recorder.close()
        cancelled = sight.merge is not None and sight.merge.cause == "cancelled"
        run.ended, run.outcome = time.time(), "cancelled" if cancelled else "failed"
        if not cancelled:
            planned = Submission.of(run).arrays
            run.message = f"{'Merge' if planned else 'Launch'} did not end as it should; see {job.logs / 'slurm'}"
        job.write_run(run)
    else:
        run.ended, run.outcome, run.message = again.ended, again.outcome, again.message
    return True


def record_lost(job: Job, run: Run, sight: Sight, status: Status, recorder: Recorder) -> None:
    """Record why items are missing whose element has ended: SLURM forgets, records don't."""
    submission, items, states = Submission.of(run), status.items, status.states
    digest = status.request.digest()
    for number, of_element in enumerate(read_elements(job, run.number)):
        element = sight.split.get(number)
        if element is None or element.state != "ended":
            continue
        begun = [index for index in of_element if states[index].outcome in (records.LOST, records.RUNNING)]
        untouched = [index for index in of_element if states[index].outcome == records.WAITING]
        started = element.said not in ("CANCELLED", "") or begun
        if not begun and len(untouched) == len(of_element) and started:
            begun = untouched[:1]  # it died before it began any: the first stands for it
        if begun:
            log = _log(job, run, submission, number)
            for index in begun:
                attempt = (states[index].record or {}).get("attempt", "slurm")
                recorder.append(_lost(items[index], digest, element, log) | {"of": attempt})


def _lost(item: Item, digest: str, element: Element, log: str) -> Record:
    cause = cause_of(element, log)
    outcome = OUTCOMES.get(cause, records.LOST)
    where = f" on {element.node}" if element.node else ""
    said = f"SLURM says {element.said or 'nothing of it any more'}{where}"
    message = f"{SAID.get(outcome, 'its worker is gone')}; {said}"
    return end_record(item, digest, outcome, message, host=element.node)


def _late(job: Job, run: Run, sight: Sight, status: Status) -> bool:
    """Say whether a record may still come: of an item whose element has just ended, and was not cancelled."""
    open_ones = (records.LOST, records.RUNNING)
    for number, items in enumerate(read_elements(job, run.number)):
        fresh = sight.time - sight.ended.get(number, 0.0) < LATE_S and sight.split[number].cause != "cancelled"
        if fresh and any(status.states[index].outcome in open_ones for index in items):
            return True
    return False


def _log(job: Job, run: Run, submission: Submission, number: int) -> str:
    """Return the end of what SLURM wrote while an element ran; it names causes that its states don't."""
    for array in submission.arrays:
        if array.first <= number < array.first + array.count:
            name = f"{run.number:04d}-split-{array.first}-{array.id}_{number - array.first}.log"
            path = job.logs / "slurm" / name
            if path.is_file():
                return path.read_bytes()[-8000:].decode(errors="replace")
    return ""


def _gone() -> Element:
    """Return what is left of a job that neither queue nor accounting knows: it has ended, nobody says how."""
    return Element("ended", "unknown")


def _sight_file(job: Job, run: Run) -> Path:
    return job.runs / f"{run.number:04d}.seen"


def _remember(job: Job, run: Run, sight: Sight) -> None:
    table = {
        "time": sight.time,
        "launch": _pack(sight.launch),
        "merge": _pack(sight.merge),
        "split": {str(number): _pack(element) for number, element in sight.split.items()},
        "ended": {str(number): ended for number, ended in sight.ended.items()},
    }
    write_text(_sight_file(job, run), json.dumps(table))


def _remembered(job: Job, run: Run) -> Sight | None:
    try:
        table = json.loads(_sight_file(job, run).read_text())
    except FileNotFoundError:
        return None
    return Sight(
        table["time"],
        _unpack(table["launch"]),
        {int(n): element for n, packed in table["split"].items() if (element := _unpack(packed))},
        _unpack(table["merge"]),
        {int(n): ended for n, ended in table["ended"].items()},
    )


def _pack(element: Element | None) -> list[object] | None:
    if element is None:
        return None
    return [element.state, element.cause, element.reason, element.node, element.exit_code, element.said]


def _unpack(packed: list[object] | None) -> Element | None:
    if packed is None:
        return None
    state, cause, reason, node, code, said = packed
    return Element(state, cause, reason, node, tuple(code) if code else None, said)  # type: ignore[arg-type]
