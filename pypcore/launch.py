"""Launch: find the items, decide what each needs and why, plan, and refuse what can't work."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pypcore import records
from pypcore.errors import InputError, SetupError, UsageError
from pypcore.items import Found, Item, choose_names
from pypcore.job import Job
from pypcore.operation import Operation, accumulates, get_operation
from pypcore.plan import Plan, make_plan
from pypcore.records import State, read_records
from pypcore.request import Request
from pypcore.sums import Sums, advise, fold_job

DISK_SAMPLE = 64  # so many items are looked at to estimate the disk that all need
RETRIED = (records.ERROR, records.TIMEOUT, records.MEMORY, records.LOST, records.CANCELLED, records.RUNNING)


@dataclass
class Launched:
    """What Launch found: the items, where each stands, what is to be done and why, and the plan.

    ``reasons`` has a sentence for each item, to do or not. ``overwritten`` counts finished items that would be
    made again; ``because`` says what changed. ``sums`` tells of the bundles' sums, where the operation accumulates;
    ``advice`` what the user should know of them before it begins.
    """

    request: Request
    items: list[Item]
    states: list[State]
    todo: list[int]
    reasons: list[str]
    plan: Plan
    disk: int
    overwritten: int = 0
    because: list[str] = field(default_factory=list)
    sums: Sums | None = None
    advice: str = ""


def launch(job: Job, request: Request, *, retry_failed: bool = False, discover: bool = True) -> Launched:
    """Plan a job; writes nothing. ``job`` need not exist yet.

    Without ``discover`` the items are those the job has; with it, new ones that the inputs name join them.

    UsageError for a request that can't mean anything, SetupError for one that this place can't do.
    """
    operation = get_operation(request.operation)
    params = operation.Parameters(**request.parameters)
    old = {(item.file, item.part): item for item in job.items()}
    # How a part of a table is now, only who reads the table knows.
    look = discover or any(part for _, part in old)
    found = operation.discover(params, list(request.inputs), request.root) if look else []
    items = _manifest(old, found, request.root, grow=discover)
    if not items:
        raise UsageError(f"{' '.join(request.inputs)}: no item found; nothing to do")
    operation.check(params, items)
    plan = make_plan(len(items), request.resources.split)

    earlier = job.request() if job.exists() else None
    known = list(read_records(job.records)) if earlier else []
    sums = Sums(job, request, items) if accumulates(operation) else None
    states = fold_job(known, items, request.digest(), sums)
    launched = Launched(request, items, states, [], [], plan, 0, sums=sums)
    before: list[State] = []
    if earlier is not None:
        launched.because = _differences(earlier, request, sums is not None)
        if launched.because:
            then = Sums(job, earlier, items) if sums else None
            before = fold_job(known, items, earlier.digest(), then)
    cleaned = job.read_cleaned()
    for item, state in zip(items, states, strict=True):
        needed, reason = _decide(job, item, state, old, retry_failed, cleaned)
        if before and before[item.index].outcome == records.DONE and state.outcome != records.DONE:
            launched.overwritten += 1
            reason = f"done before, with {', '.join(launched.because)}"
        launched.reasons.append(reason)
        if needed:
            launched.todo.append(item.index)
    launched.disk = _disk(operation, params, [items[index] for index in launched.todo])
    if sums is not None:
        sums.plan(launched.todo, launched.reasons, states)
        launched.todo = sums.todo
    if accumulates(operation):
        size, bundles = operation.partial_bytes(params, items), len({i // plan.bundle_size for i in launched.todo})
        launched.disk += bundles * size
        launched.advice = advise(request.operation, size, bundles, len(items), plan)
    return launched


def _differences(earlier: Request, request: Request, summed: bool) -> list[str]:
    """Say what changed so that finished items have to be made again; another grouping changes sums too."""
    changed = request.differences(earlier) if earlier.digest() != request.digest() else []
    before, now = earlier.resources.split.bundle_size, request.resources.split.bundle_size
    return [*changed, f"bundle size {before} -> {now}"] if summed and before != now else changed


def check_disk(job: Job, needed: int) -> None:
    """Refuse a job that will fill the disk; ``needed`` in bytes."""
    folder = job.folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SetupError(
            f"{job.folder}: needs about {needed / 2**30:.1f} GB of disk, {free / 2**30:.1f} GB are free; "
            "free some space, choose another folder with -o, or give --ignore-disk"
        )


Key = tuple[str, str]


def _manifest(old: dict[Key, Item], found: Sequence[Path | Found], root: Path, *, grow: bool) -> list[Item]:
    """Return the items of the job: those it has, as their files are now, and with ``grow`` the new ones after them."""
    now: dict[Key, Path | Found] = {}
    for one in found:
        given, part = (one.path, one.part) if isinstance(one, Found) else (one, "")
        now[os.path.abspath(root / given), part] = one
    items = [_look_again(item, now.get(key)) for key, item in old.items()]
    new = {key: one for key, one in now.items() if key not in old} if grow else {}
    called = [one.called if isinstance(one, Found) else one for one in new.values()]
    names = choose_names(called, taken=[item.name for item in items])
    for name, ((file, part), one) in zip(names, new.items(), strict=True):
        if isinstance(one, Found):
            items.append(Item(len(items), name, file, part, one.size, one.mtime_ns, part))
        else:
            stat = os.stat(file)
            items.append(Item(len(items), name, file, str(one), stat.st_size, stat.st_mtime_ns))
    return items


def _look_again(item: Item, found: Path | Found | None) -> Item:
    if isinstance(found, Found):
        return replace(item, size=found.size, mtime_ns=found.mtime_ns)
    if item.part:
        return item
    try:
        stat = os.stat(item.file)
    except OSError:
        return item  # gone: what was made from it stays; what was not will say that it is missing
    return replace(item, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _decide(
    job: Job, item: Item, state: State, old: dict[Key, Item], retry_failed: bool, cleaned: set[str]
) -> tuple[bool, str]:
    """Say whether an item is to be done, and why."""
    before = old.get((item.file, item.part))
    match state.outcome:
        case records.DONE:
            missing = _missing_product(job, state, cleaned)
            return (True, f"{missing} is missing") if missing else (False, "done")
        case records.FAILED:
            said = state.record["message"] if state.record else ""
            return (True, "failed before; --retry-failed") if retry_failed else (False, f"failed before: {said}")
        case outcome if outcome in RETRIED:
            said = state.record.get("message", "") if state.record else ""
            return (
                True,
                f"{'lost' if outcome == records.RUNNING else outcome} before{f': {said}' if said else ''}",
            )
    if state.record and state.record.get("message"):  # it was done, and its partial is gone
        return True, str(state.record["message"])
    if before is not None and (before.size, before.mtime_ns) != (item.size, item.mtime_ns):
        return True, "its file changed"
    return True, "new" if before is None else "not begun yet"


def _missing_product(job: Job, state: State, cleaned: set[str]) -> str:
    assert state.record is not None
    for relative, size in state.record["products"].values():
        try:
            if os.stat(job.folder / relative).st_size == size:
                continue
        except OSError:
            if relative in cleaned:
                continue
        return str(relative)
    return ""


def _disk(operation: Operation, params: object, items: Sequence[Item]) -> int:
    """Estimate the disk that the products need, from a sample of the items."""
    sample = items[:: max(1, len(items) // DISK_SAMPLE)]
    sizes = []
    for item in sample:
        try:
            sizes.append(operation.disk(params, item))
        except InputError:
            continue  # it will fail by itself, and make nothing
    return round(sum(sizes) / len(sizes) * len(items)) if sizes else 0
