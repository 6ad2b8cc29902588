"""Watching with SLURM: what has arrived is submitted in batches, each a run of the job like any other.

A batch is submitted when enough wait or the first has waited long enough, and when the batch before is over: a job has
one driver at a time. The watch itself only looks and submits; when it dies, the batch goes on, and the same command
goes on where it was.
"""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import FrameType

from pypcore import records
from pypcore.errors import SetupError
from pypcore.items import Item
from pypcore.job import STALE_S, Job, process_birth
from pypcore.local import Consent
from pypcore.merge import gaps
from pypcore.request import Request
from pypcore.slurm.client import Client
from pypcore.slurm.submit import Order, submit
from pypcore.status import Status, read_status
from pypcore.watching.here import known_so_far, merging_as_it_goes
from pypcore.watching.intake import Intake, WatchOptions
from pypcore.watching.pace import Pace
from pypcore.watching.report import Standing, WatchListener, WatchOutcome, write_standing

ASK_S = 30.0  # SLURM is asked no more often


def watch_on_slurm(
    job: Job,
    request: Request,
    order: Order,
    options: WatchOptions,
    client: Client,
    *,
    listener: WatchListener | None = None,
    argv: Sequence[str] = (),
) -> WatchOutcome:
    """Submit what arrives, in batches, until it is idle or stopped. UsageError, SetupError: nothing was begun."""
    request = merging_as_it_goes(request)
    order = replace(order, launch_here=True, discover=False)
    job.create()
    with _alone(job), _stopping() as stop:
        return _Batches(job, request, order, options, client, listener or WatchListener(), argv, stop).go()


class _Batches:
    """What waits for the next batch, and the batch that goes on."""

    def __init__(
        self,
        job: Job,
        request: Request,
        order: Order,
        options: WatchOptions,
        client: Client,
        listener: WatchListener,
        argv: Sequence[str],
        stop: threading.Event,
    ) -> None:
        self.job, self.request, self.order, self.options, self.client = job, request, order, options, client
        self.listener, self.argv, self.stop = listener, argv, stop
        self.waiting: dict[int, Item] = {}
        self.first_waited = 0.0
        self.pace = Pace()
        self.catching_up = True
        self.done = 0

    def go(self) -> WatchOutcome:
        """Look, ask, submit."""
        status = self._settled()
        launched = known_so_far(self.job, self.request, self.order.consent)
        self.intake = Intake(self.job, self.request, launched.items, self.options, self.listener.note)
        if status is None:
            self.job.freeze(self.request)
            self.job.write_items([])
        unfinished = bool(launched.todo)
        asked = time.monotonic()
        while not self.stop.is_set():
            self._look(status)
            if status is not None and status.running:
                if time.monotonic() - asked > max(ASK_S, self.options.every):
                    status, asked = read_status(self.job), time.monotonic()
            elif self._is_due() or (unfinished and not self.waiting):
                status, unfinished, asked = self._submit(), False, time.monotonic()
            elif self._idle():
                break
            self.stop.wait(self.options.every)
        return self._outcome()

    def _settled(self) -> Status | None:
        """Return the status of the job, where there is one already."""
        return read_status(self.job) if self.job.exists() else None

    def _look(self, status: Status | None) -> None:
        stood = {} if status is None else {i.index: s.outcome for i, s in zip(status.items, status.states, strict=True)}
        before = len(self.intake.items)
        made, again = self.intake.look(
            lambda index: stood.get(index) == records.DONE,
            lambda index: index in self.waiting or stood.get(index) not in records.OUTCOMES,
        )
        if not before and made:
            self.intake.operation.check(self.intake.params, made)
        self.intake.take(made, again)
        if (made or again) and not self.waiting:
            self.first_waited = time.monotonic()
        self.waiting |= {item.index: item for item in (*made, *again)}
        if made or again:
            self.pace.arrived(0 if self.catching_up else len(made) + len(again))
            self.catching_up = False
        done = sum(outcome == records.DONE for outcome in stood.values())
        for _ in range(done - self.done):
            self.pace.ended()
        self.done = max(self.done, done)
        bad = sum(outcome in records.BAD for outcome in stood.values())
        open_ones = len(stood) - done - bad
        standing = Standing(
            taken=len(self.intake.items),
            done=done,
            bad=bad,
            in_hand=open_ones,
            waiting=len(self.waiting),
            not_whole=self.intake.arrivals.waiting(),
            rates=self.pace.rates(len(self.waiting) + open_ones),
        )
        write_standing(self.job, standing)
        self.listener.standing(standing)
        if standing.rates and standing.rates.behind:
            self.listener.behind(standing.rates, here=False)

    def _is_due(self) -> bool:
        if not self.waiting:
            return False
        waited = time.monotonic() - self.first_waited
        return len(self.waiting) >= self.options.batch or waited >= self.options.batch_wait

    def _idle(self) -> bool:
        idle = self.options.until_idle
        return idle is not None and not self.waiting and self.intake.arrivals.idle() >= idle

    def _submit(self) -> Status:
        """Make what waits items of the job, and submit all that is not done; the manifest is ours between batches."""
        last = self.job.last_run()
        if last is not None and last.alive():
            self.listener.note(f"run {last.number} of the job goes on; the next batch waits for it")
            return read_status(self.job)
        self.job.write_items(self.intake.items)
        run = submit(self.job, self.request, self.order, self.client, self.argv)
        self.listener.note(f"submitted run {run.number}: {len(self.waiting)} new items")
        self.waiting.clear()
        return read_status(self.job)

    def _outcome(self) -> WatchOutcome:
        status = read_status(self.job)
        launched = known_so_far(self.job, self.request, Consent(redo=True))
        outcome = WatchOutcome(launched, list(status.states))
        outcome.missing = gaps(status.items, status.states)
        outcome.merge, outcome.merged_before = status.merge, status.merge_state == "done"
        outcome.cancelled = self.stop.is_set() and bool(outcome.missing or self.waiting)
        outcome.left = {} if self.stop.is_set() else self.intake.arrivals.waiting()
        return outcome


@contextlib.contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Refuse a second watch of a job; what another host or a dead process left does not count for long."""
    file = job.folder / "watch.pid"
    mine = {"pid": os.getpid(), "born": process_birth(os.getpid()), "host": socket.gethostname()}
    try:
        other = json.loads(file.read_text())
        fresh = time.time() - file.stat().st_mtime < STALE_S
        here = other["host"] == socket.gethostname()
        if process_birth(other["pid"]) == other["born"] != 0.0 if here else fresh:
            raise SetupError(
                f"{job.folder}: already being watched by process {other['pid']} on {other['host']}; one at a time"
            )
    except (FileNotFoundError, ValueError, KeyError):
        pass
    file.unlink(missing_ok=True)
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError as error:
        raise SetupError(f"{job.folder}: another watch of it began just now; one at a time") from error
    with os.fdopen(handle, "w") as out:
        json.dump(mine, out)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Yield what Ctrl-C, SIGTERM or a closed terminal sets: the watch ends; what is on SLURM goes on."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heed(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
