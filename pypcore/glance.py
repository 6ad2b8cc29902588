"""The status of a job from the index of its records: counts and what went wrong, of a million items in a second.

For showing only. What decides (Launch, Merge) and what reads every item (``table``, ``show``) reads the records.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any

from pypcore import records
from pypcore.items import Item
from pypcore.job import Job, Run, item_of
from pypcore.merge import GAPS
from pypcore.quality import without_aside
from pypcore.record_index import OUTCOMES, RecordIndex, Standing, mask
from pypcore.records import State
from pypcore.status import Status

if TYPE_CHECKING:
    from pypcore.slurm.watch import Sight


@dataclass(kw_only=True)
class Glance(Status):
    """A status whose items and states are read from their files one by one, as they are asked for."""

    index: RecordIndex
    now: Standing

    @cached_property
    def counts(self) -> dict[str, int]:
        """Count the items in each outcome."""
        known = {outcome: self.now.codes.count(code) for code, outcome in enumerate(OUTCOMES)}
        return {outcome: known[outcome] for outcome in (*records.OUTCOMES, records.RUNNING, records.WAITING)}

    @cached_property
    def missing(self) -> Sequence[Item]:
        """Items that another attempt may still finish."""
        return Items(self.job, self.index, list(self.only(GAPS)))

    @cached_property
    def merge_state(self) -> str:
        """``waiting``, ``done``, ``out of date``, or how Merge failed."""
        if self.merge is None or self.merge["outcome"] != records.DONE:
            return records.WAITING if self.merge is None else str(self.merge["outcome"])
        now = without_aside(self.index.name_what_is_done(self.job), self.aside)
        return "done" if self.merge["of"] == now else "out of date"

    def outcomes(self) -> Iterator[str]:
        """Yield each item's outcome."""
        return (OUTCOMES[code] for code in self.now.codes)

    def bad(self) -> Iterator[tuple[Item, State]]:
        """Yield the items that went wrong."""
        for item in self.only(records.BAD):
            yield self.items[item], self.states[item]

    def only(self, outcomes: Sequence[str]) -> Iterator[int]:
        """Yield the numbers of the items with one of these outcomes."""
        return compress(range(len(self.now.codes)), self.now.codes.translate(mask(*outcomes)))


class Items(Sequence[Item]):
    """Items of a job by their ``numbers``, each read from the manifest when it is asked for."""

    def __init__(self, job: Job, index: RecordIndex, numbers: Sequence[int]) -> None:
        self.job = job
        self.numbers = numbers
        self.offsets = index.manifest.offsets

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        """Return an item, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        number = self.numbers[index]
        with self.job.items_file.open("rb") as manifest:
            manifest.seek(self.offsets[number])
            row = json.loads(manifest.readline())
        return item_of(number, row)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; all of a job's in one pass over the manifest."""
        return self.job.items() if len(self.numbers) == len(self.offsets) else super().__iter__()


class States(Sequence[State]):
    """Where each item stands, its record read when it is asked for."""

    def __init__(self, job: Job, known: RecordIndex, now: Standing) -> None:
        self.job = job
        self.known = known
        self.now = now

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.known)

    def __getitem__(self, index: Any) -> Any:
        """Return an item's state, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return self.known.state(self.job, range(len(self))[index], self.now)


def read_glance(
    job: Job,
    run: Run | None,
    alive: Callable[[str], bool],
    sight: "Sight | None" = None,
    before: RecordIndex | None = None,
) -> Glance:
    """Read a job's folder as ``fold_status`` does, through the index; ``alive`` says whether an attempt goes on.

    ``before``: the index of an earlier look by this process, which is read on instead of the one on the disk.
    """
    request = job.request()
    index = RecordIndex.of(job, request.digest(), before)
    now = index.now(alive)
    items, states = Items(job, index, range(len(index))), States(job, index, now)
    return Glance(job, request, items, states, run, index.merge, sight, index=index, now=now)
