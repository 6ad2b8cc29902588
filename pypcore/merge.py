"""Merge: see whether Split left gaps, and hand what is done to the operation's ``finish``."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pypcore import records
from pypcore.items import Item
from pypcore.job import Job
from pypcore.quality import judge, read_aside, without_aside
from pypcore.records import Record, State, read_records
from pypcore.request import Request
from pypcore.sums import fold_as_it_is

if TYPE_CHECKING:  # an operation's world is heavy, and only Merge itself needs it
    from pypcore.operation import Done

GAPS = (
    records.ERROR,
    records.TIMEOUT,
    records.MEMORY,
    records.LOST,
    records.CANCELLED,
    records.RUNNING,
    records.WAITING,
)


def gaps(items: Sequence[Item], states: Sequence[State]) -> list[Item]:
    """List the items that another attempt may still finish.

    An item whose own file is at fault is no gap: it is settled, reported, and left out.
    """
    return [item for item, state in zip(items, states, strict=True) if state.outcome in GAPS]


def what_is_done(states: Sequence[State]) -> str:
    """Name the set of finished items and attempts: Merge is out of date when this differs."""
    digest = hashlib.sha256()
    for index, state in enumerate(states):
        if state.outcome == records.DONE and state.record:
            digest.update(f"{index}:{state.record['attempt']}:{state.record['time']};".encode())
    return digest.hexdigest()[:16]


def what_to_merge(job: Job, request: Request, items: Sequence[Item], states: Sequence[State]) -> str:
    """Judge what is done by the request's thresholds, and name what Merge is to take in: what is done and not aside."""
    return without_aside(what_is_done(states), judge(job, request.policy.reject, items, states))


def read_done(job: Job) -> Iterator["Done"]:
    """Read what is finished and not aside, in the order of the items."""
    from pypcore.operation import Done

    items = list(job.items())
    states = fold_as_it_is(job, read_records(job.records), job.request(), items)
    aside = read_aside(job)
    for item, state in zip(items, states, strict=True):
        if state.outcome == records.DONE and state.record and item.index not in aside:
            products = {kind: job.folder / path for kind, (path, _) in state.record["products"].items()}
            yield Done(item, products, state.record["figures"])


def last_merge(known: Iterable[Record]) -> Record | None:
    """Return the newest record of a Merge, if there was one."""
    merges = (record for record in known if record["event"] == "merge")
    return max(merges, key=lambda record: float(record["time"]), default=None)


def merge_is_current(job: Job, of: str, known: Iterable[Record]) -> bool:
    """Say whether the newest Merge took in just ``of`` (``what_to_merge``), and its products are still there."""
    merge = last_merge(known)
    if merge is None or merge["outcome"] != records.DONE or merge["of"] != of:
        return False
    paths = ((job.folder / relative, size) for relative, size in merge["products"].values())
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)
