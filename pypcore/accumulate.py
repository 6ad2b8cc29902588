"""Split of an operation that accumulates: a worker adds up a bundle's items and leaves one partial.

Items are added in the plan's order, each after all that may be wrong with it was found. The partial is written at the
end of the bundle, and as a checkpoint now and then; only then are the items in it recorded as done. Whoever comes
after goes on from the partial. As it holds the state and not a rounded form of it, neither checkpoints nor deaths
change a bit of the sum.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pypcore import records
from pypcore.errors import InputError, PypcoreError
from pypcore.items import Item
from pypcore.operation import Accumulating, Result, Sum
from pypcore.partials import DamagedPartial, Entry, Header, PartialReader, write_partial
from pypcore.records import Record, end_record

if TYPE_CHECKING:
    from pypcore.worker import Worker

log = logging.getLogger("pypcore.item")


class _Spoiled(Exception):
    """Adding was broken off half-way: the sum in memory is of no use."""


@dataclass
class _Progress:
    """How far a bundle is: entries of the items in the sum, numbers of those that were tried and are not.

    ``fresh`` are the records of items that are in the sum, but in no partial yet; ``saved``: the partial says all this.
    """

    entries: list[Entry] = field(default_factory=list)
    left_out: set[int] = field(default_factory=set)
    fresh: list[Record] = field(default_factory=list)
    saved: bool = False
    after: int = -1
    """The last item that the partial which it goes on from had tried."""


class Accumulator:
    """Adds up bundles of one job in one worker; the memory of the sum is kept from bundle to bundle."""

    def __init__(self, worker: "Worker", operation: Accumulating) -> None:
        self.worker = worker
        self.operation = operation
        self.bundle_size = worker.request.resources.split.bundle_size
        self.interval = worker.request.policy.checkpoint
        self.sum: Sum | None = None
        self.adding = False
        self.saving = False

    def do_bundle(self, items: Sequence[Item], stop: Callable[[], bool]) -> None:
        """Add up ``items``, all that belong in the sum of their bundle; what its partial has is not done again."""
        if not items:
            return
        self.worker.job.partials.mkdir(exist_ok=True)
        try:
            self._make_sum(items)
        except (MemoryError, PypcoreError) as error:  # none of them can be added
            outcome = records.FAILED if isinstance(error, InputError) else records.ERROR
            outcome = records.MEMORY if isinstance(error, MemoryError) else outcome
            for item in items:
                self.worker.record(end_record(item, self.worker.digest, outcome, str(error)))
            return
        left_out: set[int] = set()
        while True:
            progress = self._go_on_from(items, left_out)
            try:
                self._add_rest(items, progress, stop)
                return
            except _Spoiled:
                left_out = progress.left_out

    def _make_sum(self, items: Sequence[Item]) -> None:
        if self.sum is None:
            self.sum = self.operation.begin_sum(self.worker.params, items, self.worker.context(None, summing=True))

    def _add_rest(self, items: Sequence[Item], progress: _Progress, stop: Callable[[], bool]) -> None:
        saved = time.monotonic()
        try:
            for item in items:
                if item.index <= progress.after or item.index in progress.left_out:
                    continue
                if stop():
                    break
                self._add(item, progress)
                if self.interval and time.monotonic() - saved >= self.interval:
                    self._save(items, progress)
                    saved = time.monotonic()
        except Exception:
            raise
        except BaseException:  # this process is being ended: what is whole is kept
            if not self.adding and not self.saving:
                self._save(items, progress)
            raise
        self._save(items, progress)

    def _add(self, item: Item, progress: _Progress) -> None:
        worker = self.worker
        if item.index in worker.job.cancelled_items():
            worker.record(end_record(item, worker.digest, records.CANCELLED, "left out by the user"))
            self._leave_out(item, progress)
            return
        assert self.sum is not None
        total = self.sum

        def work() -> Result:
            result = self.operation.process(item, worker.params, worker.context(item))
            self.adding = True
            total.add(result.part)
            return result

        record = worker.attempt_item(item, work)
        if record["outcome"] != records.DONE:
            worker.record(record)
            worker.in_hand = None
            self._leave_out(item, progress)
            if self.adding:
                raise _Spoiled
            return
        worker.record(end_record(item, worker.digest, records.SUMMED))
        worker.in_hand = None
        progress.entries.append(Entry.of(item, record["figures"], record["products"]))
        progress.fresh.append(record)
        progress.saved = False
        self.adding = False  # only now does what is in the sum have its name beside it

    @staticmethod
    def _leave_out(item: Item, progress: _Progress) -> None:
        progress.left_out.add(item.index)
        progress.saved = False

    # -- on disk

    def _save(self, items: Sequence[Item], progress: _Progress) -> None:
        """Write the partial where it does not say all this yet, then record what is in it as done."""
        if progress.saved or not (progress.entries or progress.left_out):
            return
        worker, bundle = self.worker, self._number(items)
        assert self.sum is not None
        header = Header(
            operation=worker.request.operation,
            params=worker.digest,
            bundle=bundle,
            bundle_size=self.bundle_size,
            items=tuple(progress.entries),
            left_out=tuple(sorted(progress.left_out)),
        )
        self.saving = True
        write_partial(worker.job.partial(bundle), header, self.sum.state())
        for record in progress.fresh:
            self._record_done(record, bundle)
        progress.fresh.clear()
        progress.saved = True
        self.saving = False

    def _record_done(self, record: Record, bundle: int) -> None:
        """Record an item that a partial names; with ``of``, as its attempt was counted when it was added."""
        now = round(time.time(), 3)
        self.worker.record(record | {"time": now, "partial": bundle, "of": self.worker.attempt})

    def _go_on_from(self, items: Sequence[Item], left_out: set[int]) -> _Progress:
        """Return how far the bundle is, with that in ``self.sum``: as its partial has it, or at nothing."""
        assert self.sum is not None
        self.adding = False
        path = self.worker.job.partial(self._number(items))
        if path.exists():
            try:
                with PartialReader(path) as partial:
                    if self._fits(partial.header, items) and (progress := self._take_up(partial, items, left_out)):
                        return progress
                log.info("%s: can't be gone on from; the bundle is summed again from its beginning", path.name)
            except DamagedPartial as error:
                log.warning("%s; the bundle is summed again from its beginning", error)
        self.sum.clear()
        return _Progress(left_out=set(left_out))

    def _fits(self, header: Header, items: Sequence[Item]) -> bool:
        """Say whether a partial is the beginning of this sum, or all of it."""
        worker = self.worker
        if (header.operation, header.params) != (worker.request.operation, worker.digest):
            return False
        if (header.bundle, header.bundle_size) != (self._number(items), self.bundle_size):
            return False
        wanted = {item.index: item for item in items}
        if not all(entry.index in wanted and entry.is_of(wanted[entry.index]) for entry in header.items):
            return False
        tried = {entry.index for entry in header.items} | set(header.left_out)
        return tried >= {index for index in wanted if index <= header.last}

    def _take_up(self, partial: PartialReader, items: Sequence[Item], left_out: set[int]) -> _Progress | None:
        header = partial.header
        progress = _Progress(list(header.items), {*header.left_out, *left_out}, after=header.last)
        progress.saved = progress.left_out == set(header.left_out)
        rest = [item for item in items if item.index > header.last and item.index not in left_out]
        if rest:
            assert self.sum is not None
            try:
                self.sum.restore(partial.arrays())
            except (ValueError, KeyError):
                return None
        # Its writer may have died before it could record them.
        by_index = {item.index: item for item in items}
        for entry in header.items:
            self._say_again(by_index[entry.index], entry)
        return progress

    def _say_again(self, item: Item, entry: Entry) -> None:
        digest, products, figures = self.worker.digest, dict(entry.products), dict(entry.figures)
        record = end_record(item, digest, records.DONE, products=products, figures=figures)
        self.worker.recorder.append(record | {"partial": self._number([item]), "of": self.worker.attempt})

    def _number(self, items: Sequence[Item]) -> int:
        return items[0].index // self.bundle_size
