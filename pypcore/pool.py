"""The local pool: slots of this machine, each with one worker process that does bundles one after another.

A thread drives each slot: it hands out bundles, hears what its worker reports, and keeps the limits. What goes over
its walltime or its memory is ended and recorded as such; the others go on. Imports and compilation are paid once a
slot; a crash costs one item, not the pool.

Workers are started afresh (never forked), in a session of their own, so that Ctrl-C reaches only the pool and a
worker can be ended with whatever it started.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pypcore import relion_job
from pypcore.errors import PypcoreError, SetupError
from pypcore.items import Item
from pypcore.job import SIGN_OF_LIFE_S, Job, Run
from pypcore.machine import Slot
from pypcore.records import Record, Recorder
from pypcore.seat import Seat
from pypcore.summing_seat import SummingSeat

HEED_S = 0.1  # how often it is looked whether somebody wants the job to stop


class Listener:
    """Hears what happens to the items, and does nothing about it. Called from several threads."""

    def began(self, record: Record) -> None:
        """An item was begun."""

    def ended(self, record: Record) -> None:
        """An item ended."""

    def progressed(self, item: int, share: float) -> None:
        """A share (0 to 1) of an item is done."""

    def computing(self, device: str) -> None:
        """A worker has decided what it computes on."""


@dataclass(frozen=True)
class Limits:
    """``walltime`` in seconds for a bundle (or for Merge); ``item_timeout`` in seconds for one item, 0 for none."""

    walltime: int
    item_timeout: int = 0


class Pool:
    """Runs bundles on slots. ``recorder`` is the pool's own, for what a worker can no longer record itself.

    ``summing``: the bundles' items are added up, and count when they are in a partial.
    """

    def __init__(
        self,
        job: Job,
        run: Run,
        digest: str,
        slots: list[Slot],
        limits: Limits,
        listener: Listener,
        summing: bool = False,
    ) -> None:
        self.job = job
        self.run = run
        self.digest = digest
        self.slots = slots
        self.limits = limits
        self.listener = listener
        self.summing = summing
        self.recorder = Recorder(job.records / f"{run.number:04d}-pool.jsonl")
        self.finish = threading.Event()  # begin no further item
        self.now = threading.Event()  # end those in hand too
        self.error: PypcoreError | None = None
        self._lock = threading.Lock()

    def stop(self, *, now: bool) -> None:
        """Begin no further item; with ``now`` end those in hand too."""
        if now:
            self.now.set()
        self.finish.set()

    def fail(self, error: PypcoreError) -> None:
        """Stop everything for a reason that is nobody item's: a full disk, workers that don't start."""
        with self._lock:
            self.error = self.error or error
        self.stop(now=False)

    def do(self, bundles: Iterable[list[Item]]) -> None:
        """Do all bundles, or what is begun before ``stop``; raise the error that stopped it, if one did."""
        source, one_at_a_time = iter(bundles), threading.Lock()  # a source may wait, and ``fail`` must not

        def next_bundle() -> list[Item] | None:
            with one_at_a_time:
                return None if self.finish.is_set() else next(source, None)

        kind = SummingSeat if self.summing else Seat
        self._drive(lambda slot: kind(self, slot).do_bundles(next_bundle))

    def merge(self, of: str) -> Record | None:
        """Run Merge on the first slot; return its record, or None when it was stopped. ``of`` names what is merged."""
        outcome: list[Record | None] = []
        self._drive(lambda slot: outcome.append(Seat(self, slot).do_merge(of)), self.slots[:1])
        return outcome[0] if outcome else None

    def close(self) -> None:
        """Make the pool's own records durable."""
        self.recorder.close()

    def _drive(self, work: Callable[[Slot], None], slots: list[Slot] | None = None) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(work, slot), name=f"slot-{slot.index}")
            for slot in slots or self.slots
        ]
        for thread in threads:
            thread.start()
        said = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(timeout=HEED_S)
            self.heed_files()
            if time.monotonic() - said > SIGN_OF_LIFE_S:
                self.job.sign_of_life(self.run)
                said = time.monotonic()
        if self.error:
            raise self.error

    def _guarded(self, work: Callable[[Slot], None], slot: Slot) -> None:
        try:
            work(slot)
        except PypcoreError as error:
            self.fail(error)
        except OSError as error:
            self.fail(SetupError(f"{self.job.folder}: {error.strerror or error}"))
        except BaseException:
            self.stop(now=True)
            raise

    def heed_files(self) -> None:
        """Stop where a file of the job's, or RELION's, says that somebody wants that."""
        if relion_job.abort_asked(self.job.folder):
            self.stop(now=False)
        try:
            how = self.job.cancel_file.read_text().strip()
        except OSError:
            return
        self.stop(now=how == "now")
