"""Launch: find the items, decide what each needs and why, plan, and refuse what can't work."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pypcore import records
from pypcore.errors import InputError, SetupError, UsageError
from pypcore.items import Item, choose_names
from pypcore.job import Job
from pypcore.operation import Operation, get_operation
from pypcore.plan import Plan, make_plan
from pypcore.records import State, fold, read_records
from pypcore.request import Request

DISK_SAMPLE = 64  # so many items are looked at to estimate the disk that all need
RETRIED = (records.ERROR, records.TIMEOUT, records.MEMORY, records.LOST, records.CANCELLED, records.RUNNING)


@dataclass
class Launched:
    """What Launch found: the items, where each stands, what is to be done and why, and the plan.

    ``reasons`` has a sentence for each item, to do or not. ``overwritten`` counts finished items that would be
    made again; ``because`` says what changed.
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


def launch(job: Job, request: Request, *, retry_failed: bool = False, discover: bool = True) -> Launched:
    """Plan a job; writes nothing. ``job`` need not exist yet.

    Without ``discover`` the items are those the job has; with it, new ones that the inputs name join them.

    UsageError for a request that can't mean anything, SetupError for one that this place can't do.
    """
    operation = get_operation(request.operation)
    params = operation.Parameters(**request.parameters)
    old = {item.file: item for item in job.items()}
    found = operation.discover(params, list(request.inputs), request.root) if discover else []
    items = _manifest(old, found, request.root)
    if not items:
        raise UsageError(f"{' '.join(request.inputs)}: no item found; nothing to do")
    operation.check(params, items)
    plan = make_plan(len(items), request.resources.split)

    earlier = job.request() if job.exists() else None
    known = list(read_records(job.records)) if earlier else []
    states = fold(known, items, request.digest())
    launched = Launched(request, items, states, [], [], plan, 0)
    before: list[State] = []
    if earlier is not None and earlier.digest() != request.digest():
        launched.because = request.differences(earlier)
        before = fold(known, items, earlier.digest())
    for item, state in zip(items, states, strict=True):
        needed, reason = _decide(job, item, state, old, retry_failed)
        if before and before[item.index].outcome == records.DONE and state.outcome != records.DONE:
            launched.overwritten += 1
            reason = f"done before, with {', '.join(launched.because)}"
        launched.reasons.append(reason)
        if needed:
            launched.todo.append(item.index)
    launched.disk = _disk(operation, params, [items[index] for index in launched.todo])
    return launched


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


def _manifest(old: dict[str, Item], found: Sequence[Path], root: Path) -> list[Item]:
    """Return the items of the job: those it has, as their files are now, and the new ones after them."""
    items = [_look_again(item) for item in old.values()]
    new: list[tuple[Path, Path]] = []
    for given in found:
        path = Path(os.path.abspath(root / given))
        if str(path) not in old:
            new.append((given, path))
    names = choose_names([given for given, _ in new], taken=[item.name for item in items])
    for name, (given, path) in zip(names, new, strict=True):
        stat = path.stat()
        items.append(Item(len(items), name, str(path), str(given), stat.st_size, stat.st_mtime_ns))
    return items


def _look_again(item: Item) -> Item:
    try:
        stat = os.stat(item.file)
    except OSError:
        return item  # gone: what was made from it stays; what was not will say that it is missing
    return replace(item, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _decide(job: Job, item: Item, state: State, old: dict[str, Item], retry_failed: bool) -> tuple[bool, str]:
    """Say whether an item is to be done, and why."""
    before = old.get(item.file)
    match state.outcome:
        case records.DONE:
            missing = _missing_product(job, state)
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
    if before is not None and (before.size, before.mtime_ns) != (item.size, item.mtime_ns):
        return True, "its file changed"
    return True, "new" if before is None else "not begun yet"


def _missing_product(job: Job, state: State) -> str:
    assert state.record is not None
    for relative, size in state.record["products"].values():
        try:
            if os.stat(job.folder / relative).st_size == size:
                continue
        except OSError:
            pass
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
