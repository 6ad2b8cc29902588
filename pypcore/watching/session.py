"""One session of a watch on this machine: what waits, what is in hand, when Merge is due.

A thread looks; what is ready joins the manifest and a queue that the pool's slots are fed from, so that workers go on
from movie to movie. In between, and when nothing comes for a while, Merge takes in what is done.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator

from pypcore import records
from pypcore.errors import SetupError
from pypcore.items import Item
from pypcore.job import SIGN_OF_LIFE_S, Job, Run
from pypcore.local import describe_plan, signals
from pypcore.machine import Slot
from pypcore.merge import gaps, merge_is_current, what_to_merge
from pypcore.plan import make_plan
from pypcore.pool import Limits, Pool
from pypcore.products import write_text
from pypcore.records import Record, fold, read_records
from pypcore.request import Request
from pypcore.watching.intake import Intake, WatchOptions
from pypcore.watching.pace import Pace
from pypcore.watching.report import Standing, WatchListener, WatchOutcome, write_standing

LINGER_S = 60.0  # workers are kept so long for what may come
REMIND_S = 600.0  # that it is behind is said again
TICK_S = 0.2
ONCE_MORE = (records.LOST, records.ERROR)  # tried again in this session, once


class Session(WatchListener):
    """One session: what waits, what is in hand, when Merge is due. Heard by the pool's threads, under one lock."""

    def __init__(
        self,
        job: Job,
        run: Run,
        request: Request,
        intake: Intake,
        options: WatchOptions,
        listener: WatchListener,
        split_slots: list[Slot],
        merge_slots: list[Slot],
        outcome: WatchOutcome,
    ) -> None:
        self.job, self.run, self.request, self.intake, self.options = job, run, request, intake, options
        self.listener, self.outcome = listener, outcome
        self.split_slots, self.merge_slots = split_slots, merge_slots
        split = request.resources.split
        self.split_limits = Limits(split.walltime, request.policy.item_timeout)
        self.pool = Pool(job, run, request.digest(), split_slots, self.split_limits, self)
        self.changed = threading.Condition()
        self.queue: deque[Item] = deque(outcome.launched.items[index] for index in outcome.launched.todo)
        self.in_hand: set[int] = set()
        self.stood = {item.index: state.outcome for item, state in zip(intake.items, outcome.states, strict=True)}
        self.stood |= dict.fromkeys(outcome.launched.todo, records.WAITING)
        self.retried: set[int] = set()
        self.pace = Pace()
        self.catching_up = True
        """Nothing was taken yet: what is there at first is a backlog, and tells nothing of how fast things arrive."""
        self.unmerged = bool(self.stood)
        self.merged_at = self.busy_at = time.monotonic()
        self.told_behind = 0.0
        self.looked_over = threading.Event()
        self.looking = True  # what is found just now is not in the queue yet
        self.error: Exception | None = None
        linger = [LINGER_S, options.merge_every]
        self.linger = min(linger if options.until_idle is None else [*linger, options.until_idle])

    # -- the session

    def go(self) -> None:
        """Go on until it is over; what was done is merged then."""
        looker = threading.Thread(target=self._keep_looking, name="looker", daemon=True)
        looker.start()
        said = time.monotonic()
        try:
            with signals(self.pool, self):
                while not self._over():
                    if self.queue:
                        self.pool.slots, self.pool.limits = self.split_slots, self.split_limits
                        self.pool.do(self._bundles())
                        self._put_back()
                    else:
                        self.pool.heed_files()
                        time.sleep(TICK_S)
                    if time.monotonic() - said > SIGN_OF_LIFE_S:
                        self.job.sign_of_life(self.run)
                        said = time.monotonic()
                    if self._merge_is_due():
                        self._merge()
                if not self.pool.now.is_set():
                    self._merge()
        finally:
            self.looked_over.set()
            looker.join()
            self.pool.close()
            self._fold()
        if self.error:
            raise self.error
        self.outcome.missing = gaps(self.intake.items, self.outcome.states)
        self.outcome.cancelled = self.pool.finish.is_set() and bool(self.outcome.missing)
        self.outcome.left = {} if self.pool.finish.is_set() else self.intake.arrivals.waiting()

    def _over(self) -> bool:
        if self.pool.finish.is_set() or self.error:
            return True
        idle = self.options.until_idle
        with self.changed:
            busy = self.looking or self.queue or self.in_hand
            return idle is not None and not busy and self.intake.arrivals.idle() >= idle

    def _bundles(self) -> Iterator[list[Item]]:
        """Yield bundles as items come; end when Merge is due, nothing comes any more, or somebody stops it."""
        size = self.request.resources.split.bundle_size
        while True:
            with self.changed:
                while not self.queue and not self._round_is_over():
                    self.changed.wait(TICK_S)
                if self._round_is_over():
                    return
                bundle = [self.queue.popleft() for _ in range(min(size, len(self.queue)))]
                self.in_hand |= {item.index for item in bundle}
            yield bundle

    def _round_is_over(self) -> bool:
        if self.pool.finish.is_set() or self.error or self._merge_is_due():
            return True
        still = time.monotonic() - self.busy_at >= self.linger
        return not self.queue and not self.in_hand and still

    def _put_back(self) -> None:
        """Let what a worker was handed and never began wait again: its bundle's time was over, or it was stopped."""
        with self.changed:
            self.queue.extendleft(self.intake.items[index] for index in sorted(self.in_hand, reverse=True))
            self.in_hand.clear()

    # -- looking

    def _keep_looking(self) -> None:
        while True:
            try:
                self._look()
            except OSError as error:  # of the job's own disk; that of the folder is waited for
                self.error = SetupError(f"{self.job.folder}: {error.strerror or error}; what is done is kept")
                return
            except Exception as error:  # whatever it is, nobody would look any more: the session ends with it
                self.error = error
                return
            if self.looked_over.wait(self.options.every):
                return

    def _look(self) -> None:
        with self.changed:
            self.looking = True
        for index, outcome in list(self.stood.items()):
            if outcome == records.FAILED and self.intake.changed(self.intake.items[index]):
                self.intake.forget(self.intake.items[index].file)
        first = not self.intake.items
        made, again = self.intake.look(
            lambda index: self.stood.get(index) == records.DONE,
            lambda index: index in self.in_hand or any(item.index == index for item in list(self.queue)),
        )
        if first and made:
            self.intake.operation.check(self.intake.params, made)
        with self.changed:
            self.intake.take(made, again)
            if again:
                self.job.write_items(self.intake.items)
            elif made:
                self.job.append_items(made)
            self.queue.extend([*made, *again])
            self.stood |= dict.fromkeys((item.index for item in (*made, *again)), records.WAITING)
            self.looking = False
            if made or again:
                self.busy_at = time.monotonic()
                self.pace.arrived(0 if self.catching_up else len(made) + len(again))
                self.catching_up = False
            self.changed.notify_all()
        self._tell()

    def _tell(self) -> None:
        with self.changed:
            outcomes = list(self.stood.values())
            waiting = len(self.queue)
            rates = self.pace.rates(waiting + len(self.in_hand))
            standing = Standing(
                taken=len(outcomes),
                done=outcomes.count(records.DONE),
                bad=sum(outcome in records.BAD for outcome in outcomes),
                in_hand=len(self.in_hand),
                waiting=waiting,
                not_whole=self.intake.arrivals.waiting(),
                rates=rates,
            )
        with contextlib.suppress(OSError):  # for showing only; a full disk is said by whoever needs it
            write_standing(self.job, standing)
        self.listener.standing(standing)
        now = time.monotonic()
        if rates and rates.behind:
            if not self.told_behind or now - self.told_behind > REMIND_S:
                self.told_behind = now
                self.listener.behind(rates, here=True)
        elif self.told_behind and not waiting:
            self.told_behind = 0.0
            self.listener.keeping_up()

    # -- what the pool says

    def began(self, record: Record) -> None:
        """An item was begun."""
        self.listener.began(record)

    def progressed(self, item: int, share: float) -> None:
        """A share of an item is done."""
        self.listener.progressed(item, share)

    def stopping(self, now: bool) -> None:
        """The user asked to stop."""
        self.listener.stopping(now)

    def ended(self, record: Record) -> None:
        """An item ended: it may be tried once more, or its file have changed meanwhile."""
        index, outcome = record["item"], record["outcome"]
        with self.changed:
            item = self.intake.items[index]
            self.in_hand.discard(index)
            self.stood[index] = outcome
            self.busy_at = time.monotonic()
            self.unmerged |= outcome == records.DONE
            self.pace.ended()
            if self.intake.changed(item):
                self.listener.note(f"{item.given}: changed after it was taken; it is done again when it is at rest")
                self.intake.forget(item.file)
            elif outcome in ONCE_MORE and index not in self.retried:
                self.retried.add(index)
                self.queue.append(item)
            self.changed.notify_all()
        self.listener.ended(record)

    # -- Merge

    def _merge_is_due(self) -> bool:
        if not self.unmerged:
            return False
        now = time.monotonic()
        quiet = not self.queue and not self.in_hand and now - self.busy_at >= self.linger
        return quiet or now - self.merged_at >= self.options.merge_every

    def _fold(self) -> list[Record]:
        known = list(read_records(self.job.records))
        self.outcome.states = fold(known, self.intake.items, self.request.digest())
        self.outcome.launched.items = self.intake.items
        return known

    def _merge(self) -> None:
        """Merge what is done by now, unless that is merged already."""
        with self.changed:  # the manifest that Merge reads is the one that is judged
            known = self._fold()
            items, states = list(self.intake.items), self.outcome.states
        self.unmerged, self.merged_at = False, time.monotonic()
        if not self.outcome.counts[records.DONE]:
            return
        of = what_to_merge(self.job, self.request, items, states)
        plan = make_plan(len(items), self.request.resources.split)
        write_text(self.job.plan_file, describe_plan(plan, len(self.split_slots), 0))
        if merge_is_current(self.job, of, known):
            self.outcome.merged_before = True
            return
        self.outcome.merged_before = False
        self.listener.merging()
        self.pool.slots = self.merge_slots
        self.pool.limits = Limits(self.request.resources.merge.walltime)
        self.outcome.merge = self.pool.merge(of)
