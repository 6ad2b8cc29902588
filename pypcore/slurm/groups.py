"""What is left to do after trouble, grouped by what it needs: as before, more memory, more time, another node."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pypcore import records
from pypcore.items import Item
from pypcore.job import Job
from pypcore.launch import Launched
from pypcore.records import read_records
from pypcore.resources import SplitResources
from pypcore.split import bundles_to_do

MORE_MEMORY, MORE_TIME = 1.5, 2.0
MOST = 4.0  # times what was asked for at first; who needs more says so


@dataclass(frozen=True)
class Group:
    """Elements with the same resources; ``elements`` are lists of items. ``why``: what is more, and for what."""

    resources: SplitResources
    elements: list[list[Item]]
    why: str = ""
    exclude: str = ""


def group_by_cause(job: Job, launched: Launched) -> list[Group]:
    """Group what Launch found to do; items keep their bundles as far as they have one cause.

    An item that ran out of memory or time gets more of it than its last attempt had, up to MOST times what the
    request asks. Nodes on which several items were lost are left out.
    """
    asked = launched.request.resources.split
    attempts = _attempts(job, launched)
    wanted: dict[tuple[SplitResources, str], list[list[Item]]] = {}
    todo = set(launched.todo)
    for bundle in bundles_to_do(launched):
        if launched.sums:  # a sum is not cut: it gets what the neediest of its items needs
            resources, why = _most(
                [_needs(asked, launched.states[i.index], attempts.get(i.index, 0)) for i in bundle if i.index in todo]
            )
            wanted.setdefault((resources, why), []).append(bundle)
            continue
        parts: dict[tuple[SplitResources, str], list[Item]] = {}
        for item in bundle:
            needs = _needs(asked, launched.states[item.index], attempts.get(item.index, 0))
            parts.setdefault(needs, []).append(item)
        for needs, items in parts.items():
            wanted.setdefault(needs, []).append(items)
    exclude = ",".join(_bad_nodes(job, launched))
    return [Group(resources, elements, why, exclude) for (resources, why), elements in wanted.items()]


def _needs(asked: SplitResources, state: records.State, times: int) -> tuple[SplitResources, str]:
    if state.outcome == records.MEMORY:
        factor = min(MOST, MORE_MEMORY ** max(1, times))
        return replace(asked, memory=round(asked.memory * factor)), f"memory x {factor:g}: it ran out of it"
    if state.outcome == records.TIMEOUT:
        factor = min(MOST, MORE_TIME ** max(1, times))
        return replace(asked, walltime=round(asked.walltime * factor)), f"walltime x {factor:g}: it ran out of it"
    return asked, ""


def _most(needs: Sequence[tuple[SplitResources, str]]) -> tuple[SplitResources, str]:
    resources = needs[0][0]
    for other, _ in needs:
        resources = replace(
            resources,
            memory=max(resources.memory, other.memory),
            walltime=max(resources.walltime, other.walltime),
        )
    return resources, "; ".join(sorted({why for _, why in needs if why}))


def _attempts(job: Job, launched: Launched) -> dict[int, int]:
    """Count how often each item that is to be done ran out of memory or of time."""
    items: list[Item] = launched.items
    counts: Counter[int] = Counter()
    if job.records.is_dir():
        for record in read_records(job.records):
            if record.get("outcome") in (records.MEMORY, records.TIMEOUT) and record["item"] < len(items):
                counts[record["item"]] += 1
    return dict(counts)


def _bad_nodes(job: Job, launched: Launched) -> list[str]:
    lost = Counter((state.record or {}).get("host", "") for state in launched.states if state.outcome == records.LOST)
    return sorted(node for node, times in lost.items() if node and times > 1)
