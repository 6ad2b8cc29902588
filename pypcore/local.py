"""A job on this machine: Launch, Split and Merge, one after another, under one driver."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import FrameType

from pypcore import records, relion_job
from pypcore.afterwards import tell
from pypcore.compute import refuse_unusable
from pypcore.errors import Cancelled, PypcoreError, UsageError
from pypcore.items import Item
from pypcore.job import Job, Run
from pypcore.lanes import count_lanes, cut
from pypcore.launch import Launched, check_disk, launch
from pypcore.machine import Slot, slots, this_machine
from pypcore.merge import gaps, merge_is_current, what_to_merge
from pypcore.operation import get_operation
from pypcore.operations.on_device import device_asked
from pypcore.plan import Plan
from pypcore.pool import Limits, Listener, Pool
from pypcore.products import remove_parts, write_text
from pypcore.records import Record, State, count, read_records
from pypcore.request import Request
from pypcore.resources import count_gpus
from pypcore.split import bundles_to_do
from pypcore.sums import fold_as_it_is

SUCCESS, SOME_FAILED, CANCELLED = 0, PypcoreError.exit_code, Cancelled.exit_code
OUTCOMES = {SUCCESS: "done", SOME_FAILED: "failed", CANCELLED: "cancelled"}


@dataclass
class Outcome:
    """How a run ended: the states of all items, what Merge said, and the exit code."""

    launched: Launched
    states: list[State] = field(default_factory=list)
    done_now: int = 0
    missing: list[Item] = field(default_factory=list)
    merge: Record | None = None
    merged_before: bool = False
    cancelled: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Count the items in each outcome."""
        return count(self.states)

    @property
    def exit_code(self) -> int:
        """0 when everything is done, 1 when something failed, 4 when the user stopped it."""
        if self.cancelled:
            return CANCELLED
        merged = self.merged_before or (self.merge is not None and self.merge["outcome"] == records.DONE)
        return SUCCESS if merged and self.counts[records.DONE] == len(self.states) else SOME_FAILED


class Silent(Listener):
    """Hears everything, says nothing."""

    def planned(self, launched: Launched, at_once: int) -> None:
        """Launch is over; ``at_once`` tasks will run at the same time."""

    def merging(self) -> None:
        """Split is over."""

    def stopping(self, now: bool) -> None:
        """The user asked to stop."""


@dataclass(frozen=True)
class Consent:
    """What a user has to allow by name."""

    retry_failed: bool = False
    redo: bool = False
    ignore_disk: bool = False


def run_here(
    job: Job,
    request: Request,
    *,
    consent: Consent | None = None,
    listener: Silent | None = None,
    argv: Sequence[str] = (),
    discover: bool = True,
) -> Outcome:
    """Do a job on this machine, or what is missing of it; without ``discover`` only the items that it has.

    UsageError, SetupError: nothing was begun, or (a full disk) what is done is kept.
    """
    consent = consent or Consent()
    listener = listener or Silent()
    launched = launch(job, request, retry_failed=consent.retry_failed, discover=discover)
    if launched.overwritten and not consent.redo:
        raise redo_refused(job, launched)
    split_slots, merge_slots = fit(request, launched)
    if not consent.ignore_disk:
        check_disk(job, launched.disk)
    job.create()
    outcome = Outcome(launched, launched.states)
    with driving(job, request, outcome, argv) as run:
        write_text(job.plan_file, describe_plan(launched.plan, len(split_slots), launched.disk))
        if launched.sums:
            launched.sums.discard()
        listener.planned(launched, len(split_slots))
        _split_and_merge(job, run, outcome, split_slots, merge_slots, listener)
    return outcome


@contextlib.contextmanager
def driving(job: Job, request: Request, outcome: Outcome, argv: Sequence[str]) -> Iterator[Run]:
    """Be the job's driver for the body: its request and items are frozen, and how the run ended is written."""
    last = job.last_run()
    if last is not None and last.slurm is not None:
        from pypcore.slurm.watch import settle_last  # late: only who has such a run needs it

        settle_last(job)
    run = job.claim(argv)
    try:
        with relion_job.exit_file(job.folder, lambda: outcome.exit_code):
            remove_parts(job.folder)
            job.write_items(outcome.launched.items)
            job.freeze(request)
            yield run
    except BaseException as error:
        run.outcome, run.message = "cancelled" if isinstance(error, Cancelled) else "error", str(error)
        raise
    else:
        run.outcome = OUTCOMES[outcome.exit_code]
    finally:
        run.ended = time.time()
        job.cancel_file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the disk is full: the process being gone says as much
            job.write_run(run)
        tell(request, job, outcome.exit_code, outcome.counts)


def redo_refused(job: Job, launched: Launched) -> UsageError:
    """Return the error for finished items that would be made again without consent."""
    return UsageError(
        f"{job.folder}: {launched.overwritten} items are finished, with other settings "
        f"({', '.join(launched.because)}); choose another folder with -o, or give --redo to make them again"
    )


def fit(request: Request, launched: Launched) -> tuple[list[Slot], list[Slot]]:
    """Return the slots of Split and of Merge on this machine; SetupError for a phase that can never fit."""
    resources, device = request.resources, device_asked(request)
    refuse_unusable(device)
    phases = (resources.launch, resources.split, resources.merge)
    machine = this_machine(with_gpus=device == "auto" or any(phase.gres for phase in phases))
    slots(machine, resources.launch, 1, "Launch")  # its work is done by this process; a request must fit all the same
    # A worker decides for itself whether it can use the GPU that it is handed.
    split = resources.split.with_gpu() if device == "auto" and machine.gpus and find_spec("cupy") else resources.split
    lanes = count_lanes(get_operation(request.operation), device, count_gpus(split.gres))
    return (
        cut(slots(machine, split, launched.plan.concurrency), lanes),
        slots(machine, resources.merge, 1, "Merge"),
    )


def _split_and_merge(
    job: Job, run: Run, outcome: Outcome, split_slots: list[Slot], merge_slots: list[Slot], listener: Silent
) -> None:
    launched, request = outcome.launched, outcome.launched.request
    digest = request.digest()
    limits = Limits(request.resources.split.walltime, request.policy.item_timeout)
    pool = Pool(job, run, digest, split_slots, limits, listener, summing=launched.sums is not None)
    with signals(pool, listener):
        try:
            if launched.todo:
                pool.do(bundles_to_do(launched))
            known = list(read_records(job.records))
            outcome.states = fold_as_it_is(job, known, request, launched.items)
            outcome.done_now = sum(outcome.states[i].outcome == records.DONE for i in launched.todo)
            outcome.missing = gaps(launched.items, outcome.states)
            outcome.cancelled = pool.finish.is_set()
            if outcome.cancelled or not outcome.counts[records.DONE]:
                return
            if outcome.missing and not request.policy.allow_missing:
                return
            of = what_to_merge(job, request, launched.items, outcome.states)
            if merge_is_current(job, of, known):
                outcome.merged_before = True
                return
            listener.merging()
            pool.slots, pool.limits = merge_slots, Limits(request.resources.merge.walltime)
            outcome.merge = pool.merge(of)
            outcome.cancelled = pool.now.is_set()
        finally:
            pool.close()


@contextlib.contextmanager
def signals(pool: Pool, listener: Silent) -> Iterator[None]:
    """Ctrl-C once: finish the items in hand; twice, SIGTERM or a closed terminal: stop now."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may; a notebook's cell or a caller's thread uses the cancel file
        return

    def heed(number: int, frame: FrameType | None) -> None:
        now = pool.finish.is_set() or number != signal.SIGINT
        pool.stop(now=now)
        listener.stopping(now)

    heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, heed) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def describe_plan(plan: Plan, at_once: int, disk: int) -> str:
    """Return the text of ``plan.json``; ``at_once`` tasks run at a time where it was begun, ``disk`` is in bytes."""
    described = {
        "items": plan.items,
        "bundle_size": plan.bundle_size,
        "bundles": plan.bundles,
        "concurrency": plan.concurrency,
        "at_once_here": at_once,
        "disk_bytes": disk,
    }
    return json.dumps(described, indent=1) + "\n"
