"""What runs inside SLURM: one element of Split, Launch, or Merge. The same worker as the local pool's.

An element is told to end by signals. SIGUSR1 comes before its walltime is over: it begins no further item. SIGTERM
comes with the end (walltime, ``scancel``, preemption, requeue): it records the item in hand as lost and goes.
Attempts are numbered by SLURM's restarts, so a requeued element writes records of its own and does only what its
earlier attempts left.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pypcore import records, relion_job
from pypcore.afterwards import tell
from pypcore.devices import visible_gpus
from pypcore.errors import PypcoreError, SetupError
from pypcore.items import Item
from pypcore.job import Job
from pypcore.lanes import Lane, count_lanes, run_lanes, this_lane
from pypcore.merge import gaps, read_done, what_to_merge
from pypcore.operation import accumulates, get_operation
from pypcore.operations.on_device import device_asked
from pypcore.records import count, end_record, read_record_file, read_records
from pypcore.resources import PhaseResources, SplitResources, describe_walltime
from pypcore.slurm.client import Client
from pypcore.slurm.submission import Submission, read_element
from pypcore.slurm.watch import look, record_lost
from pypcore.status import fold_status
from pypcore.sums import fold_as_it_is
from pypcore.worker import DISK_FULL, ItemCancelled, Worker, node_name

MARGIN = 1.2  # an item is begun when what is left of the walltime is so many times what items took so far
LATE_S = float(os.environ.get("PYPCORE_LATE", "30"))  # how long records of others may take to show on a shared disk
LOOK_S = 5.0


class Ended(BaseException):
    """SLURM ends this process; not an Exception, so that nobody takes it for the item's fault."""


def do_element(job: Job, number: int, first: int) -> None:
    """Do the items of the element that SLURM's array index names, of run ``number``."""
    run, index = job.read_run(number), int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    submission = Submission.of(run)
    array = next(array for array in submission.arrays if array.first == first)
    lane, gpus = this_lane(), visible_gpus() if array.resources.gres else []
    request = job.request()
    if lane is None and count_lanes(get_operation(request.operation), device_asked(request), len(gpus)) > 1:
        sys.exit(run_lanes((sys.executable, "-P", "-m", "pypcore.cli.main", *sys.argv[1:]), gpus))
    lane = lane or Lane(0, 1)
    # Lanes of one task write records of their own.
    attempt = f"{number:04d}-{first + index:06d}-{_restart()}{f'.{lane.number}' if lane.of > 1 else ''}"
    worker = _worker(job, attempt, array.resources, lane.of)
    worker.item_timeout = worker.request.policy.item_timeout
    # A sum is gone on with by its partial, not by the records.
    done = set() if accumulates(worker.operation) else _done_before(job, number, first + index, worker.digest)
    own = list(read_element(job, number, first + index))[lane.number :: lane.of]
    items = [item for item in own if item.index not in done]
    clock = _Walltime(array.resources)
    with _signals(worker, clock):
        worker.do_bundle(items, lambda: clock.over() or job.cancel_file.exists())
    worker.close()


def do_merge(job: Job, number: int) -> int:
    """Merge, and end the run; return the exit code."""
    run = job.read_run(number)
    request, submission = job.request(), Submission.of(run)
    worker = _worker(job, f"{number:04d}-merge-{_restart()}", submission.resources.merge)
    items = list(job.items())
    states = fold_as_it_is(job, read_records(job.records), request, items)
    until = time.monotonic() + LATE_S
    while gaps(items, states) and time.monotonic() < until:
        time.sleep(LOOK_S)
        states = fold_as_it_is(job, read_records(job.records), request, items)
    if gaps(items, states):
        status = fold_status(job, run, sight := look(job, run, Client(cluster=submission.cluster)))
        record_lost(job, run, sight, status, worker.recorder)
        states = fold_as_it_is(job, read_records(job.records), request, items)
    missing, done = gaps(items, states), count(states)[records.DONE]
    record = None
    if done and (request.policy.allow_missing or not missing):
        of = what_to_merge(job, request, items, states)
        record = worker.do_merge(read_done(job), of)
    merged = record is not None and record["outcome"] == records.DONE
    run.outcome = "done" if merged and done == len(items) else "failed"
    if missing and not merged:
        run.message = f"{len(missing)} items are missing, so there was no Merge; try them again: pypcore resume"
    code = 0 if run.outcome == "done" else 1
    worker.close()
    with relion_job.exit_file(job.folder, lambda: code):
        run.ended = time.time()
        job.write_run(run)
    tell(request, job, code, count(states))
    return code


@contextmanager
def as_part_of(job: Job, number: int) -> Iterator[None]:
    """Write into the run why Launch or Merge could not go on; the run has ended then."""
    try:
        yield
    except PypcoreError as error:
        run = job.read_run(number)
        run.outcome, run.message, run.ended = "error", str(error), time.time()
        job.write_run(run)
        raise


def _restart() -> str:
    """Return what tells the starts of one element apart: SLURM's job, and how often it was requeued."""
    return f"{os.environ.get('SLURM_JOB_ID', '0')}.{os.environ.get('SLURM_RESTART_COUNT', '0')}"


def _worker(job: Job, attempt: str, resources: PhaseResources, lanes: int = 1) -> Worker:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    devices = list(range(len(visible_gpus()))) if resources.gres else []
    return Worker(job, attempt, resources.threads // lanes, resources.total_memory * 2**20 // lanes, devices)


def _done_before(job: Job, number: int, element: int, digest: str) -> set[int]:
    """Return the items that earlier starts of this element finished."""
    done = set()
    for path in job.records.glob(f"{number:04d}-{element:06d}-*.jsonl"):
        for record in read_record_file(path):
            if record.get("outcome") == records.DONE and record.get("params") == digest and "item" in record:
                done.add(record["item"])
    return done


class _Walltime:
    """The time an element has left, and whether another item would fit in it."""

    def __init__(self, resources: SplitResources) -> None:
        self.walltime = resources.walltime
        self.begun = self.item_begun = time.monotonic()
        self.longest = 0.0
        self.items = 0
        self.told = False

    def over(self) -> bool:
        """Say whether no further item should begin; asked before each."""
        now = time.monotonic()
        if self.items:
            self.longest = max(self.longest, now - self.item_begun)
        self.items, self.item_begun = self.items + 1, now
        return self.told or self.left() < MARGIN * self.longest

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.walltime - (time.monotonic() - self.begun)


@contextmanager
def _signals(worker: Worker, clock: _Walltime) -> Iterator[None]:
    def warned(signum: int, frame: FrameType | None) -> None:
        clock.told = True

    def ended(signum: int, frame: FrameType | None) -> None:
        raise Ended

    def item_cancelled(signum: int, frame: FrameType | None) -> None:
        if worker.in_hand is not None and worker.in_hand.index in worker.job.cancelled_items():
            raise ItemCancelled

    signal.signal(signal.SIGUSR1, warned)
    signal.signal(signal.SIGUSR2, item_cancelled)
    signal.signal(signal.SIGTERM, ended)
    try:
        yield
    except Ended:
        item = worker.in_hand
        if item is not None:
            worker.recorder.append(_lost(worker, item, clock))
        worker.close()
        sys.exit(128 + signal.SIGTERM)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise SetupError(f"the disk is full ({error}); free some space, then resume") from error


def _lost(worker: Worker, item: Item, clock: _Walltime) -> records.Record:
    if clock.left() < 90:  # SLURM looks every 30 s, and a minute is its unit
        allowed = describe_walltime(clock.walltime)
        outcome, message = records.TIMEOUT, f"its element went over the walltime of {allowed}"
    else:
        outcome, message = records.LOST, "SLURM ended its element (cancelled, preempted or requeued)"
    wall = round(time.monotonic() - clock.item_begun, 3)
    return end_record(item, worker.digest, outcome, message, wall_s=wall, threads=worker.threads, host=node_name())
