"""Launch, Split and Merge of a job: how each stands, and what is pending and why, in plain words."""

from typing import Any

from pypcore import records
from pypcore.glance import Glance
from pypcore.slurm.states import Element, explain
from pypcore.slurm.watch import Sight
from pypcore.view.causes import resume_command


def phases(known: Glance) -> list[dict[str, Any]]:
    """Return one entry a phase: ``phase``, ``state``, ``detail``, ``pending``, ``command`` where one is wanted."""
    sight = known.sight
    return [
        _phase("Launch", _launch_state(known), _launch_detail(known), sight.launch if sight else None),
        {
            **_phase("Split", _split_state(known), _split_detail(known), None),
            "counts": known.counts,
            "elements": sight.counts() if sight and sight.split else None,
            "pending": _pending(list(sight.split.values())) if sight else [],
            "note": sight.note if sight else "",
        },
        {
            **_phase(
                "Merge", _merge_state(known), (known.merge or {}).get("message", ""), sight.merge if sight else None
            ),
            "products": sorted(known.products()),
            "command": _merge_command(known),
        },
    ]


def _phase(name: str, state: str, detail: str, element: Element | None) -> dict[str, Any]:
    pending = _pending([element]) if element is not None else []
    return {"phase": name, "state": state, "detail": detail, "pending": pending, "command": ""}


def _pending(elements: list[Element]) -> list[dict[str, Any]]:
    """Group what waits by SLURM's reason, the most first."""
    counts: dict[str, int] = {}
    for element in elements:
        if element.state == "waiting":
            counts[element.reason] = counts.get(element.reason, 0) + 1
    told = []
    for reason, count in sorted(counts.items(), key=lambda one: -one[1]):
        why = explain(reason)
        told.append(
            {"count": count, "reason": reason, "meaning": why.meaning, "advice": why.advice, "never": why.never}
        )
    return told


def _launch_state(known: Glance) -> str:
    element = known.sight.launch if known.sight else None
    if element is not None and element.state != "ended":
        return element.state
    if len(known.items):
        return "done"
    return "running" if known.running else "waiting" if known.run is None else "failed"


def _launch_detail(known: Glance) -> str:
    return f"{len(known.items)} items found" if len(known.items) else "no item is known yet"


def _split_state(known: Glance) -> str:
    counts, items = known.counts, len(known.items)
    if items and not counts[records.WAITING] and not counts[records.RUNNING]:
        return "done" if counts[records.DONE] == items else "failed" if known.missing or not known.running else "done"
    if not known.running:
        return known.phase if items else "waiting"
    return "running" if counts[records.RUNNING] or not _only_waits(known.sight) else "waiting"


def _only_waits(sight: Sight | None) -> bool:
    return sight is not None and not any(one.state == "running" for one in sight.split.values())


def _split_detail(known: Glance) -> str:
    split = known.request.resources.split
    return f"{-(-len(known.items) // split.bundle_size)} bundles of {split.bundle_size}" if len(known.items) else ""


def _merge_state(known: Glance) -> str:
    element = known.sight.merge if known.sight else None
    if element is not None and element.state == "running":
        return "running"
    split_over = not known.counts[records.WAITING] and not known.counts[records.RUNNING]
    if known.running and known.sight is None and split_over and known.merge_state != records.DONE:
        return "running"
    return known.merge_state


def _merge_command(known: Glance) -> str:
    """Return the command that merges what is not merged and should be."""
    if known.running or known.merge_state in (records.DONE, records.WAITING) or not known.counts[records.DONE]:
        return ""
    return resume_command(str(known.job.folder))
