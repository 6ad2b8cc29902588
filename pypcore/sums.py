"""What the partials of a job tell: which items are in them, what must be summed again and why, how much they take.

Of an accumulating operation an item is done when its record says so and a durable partial names it. A bundle is the
same items in the same order every time, so its sum has the same bits whatever died in between: it goes on from its
partial where what is missing comes after everything in that, and begins again where it does not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from pypcore import records
from pypcore.items import Item
from pypcore.job import Job
from pypcore.partials import DamagedPartial, Header, read_header
from pypcore.plan import Plan
from pypcore.records import Record, State, fold
from pypcore.request import Request

TOO_MUCH = 2_000_000_000  # bytes of partials from which on a larger bundle size is advised


class Sums:
    """The partials of a job, as ``request`` groups and makes them; headers are read once, when they are asked for."""

    def __init__(self, job: Job, request: Request, items: Sequence[Item]) -> None:
        self.job = job
        self.items = items
        self.operation = request.operation
        self.digest = request.digest()
        self.bundle_size = request.resources.split.bundle_size
        self.todo: list[int] = []
        self.again: set[int] = set()
        """Bundles that begin again at nothing, though they have a partial."""
        self._known: dict[int, Header | DamagedPartial] = {}
        self._named: dict[int, set[int]] = {}
        self._sent: list[list[Item]] = []

    def bundle(self, k: int) -> Sequence[Item]:
        """Return the items of a bundle."""
        return self.items[k * self.bundle_size : (k + 1) * self.bundle_size]

    def header(self, k: int) -> Header:
        """Return what the partial of a bundle says; DamagedPartial where it is missing or not what it should be."""
        if k not in self._known:
            self._known[k] = self._look(k)
        known = self._known[k]
        if isinstance(known, DamagedPartial):
            raise known
        return known

    def _look(self, k: int) -> Header | DamagedPartial:
        path = self.job.partial(k)
        try:
            header = read_header(path)
        except DamagedPartial as error:
            return error
        shown = path.relative_to(self.job.folder)
        if (header.operation, header.params) != (self.operation, self.digest):
            return DamagedPartial(f"{shown}: made with other parameters")
        if (header.bundle, header.bundle_size) != (k, self.bundle_size):
            made = f"bundle {header.bundle} of bundles of {header.bundle_size}"
            return DamagedPartial(f"{shown}: of another grouping ({made}, not {k} of {self.bundle_size})")
        of_bundle = {item.index: item for item in self.bundle(k)}
        numbers = [entry.index for entry in header.items]
        if numbers != sorted(set(numbers)) or not of_bundle.keys() >= set(numbers):
            return DamagedPartial(f"{shown}: names items that its bundle has not, or one twice")
        for entry in header.items:
            if not entry.is_of(of_bundle[entry.index]):
                return DamagedPartial(f"{shown}: the input of {entry.name} changed since it was added")
        return header

    def holds(self, item: Item) -> str:
        """Return "" where a durable partial names an item, else why not."""
        k = item.index // self.bundle_size
        if k not in self._named:
            try:
                self._named[k] = {entry.index for entry in self.header(k).items}
            except DamagedPartial as error:
                return str(error)
        return "" if item.index in self._named[k] else "its partial does not name it"

    # -- planning

    def plan(self, needed: Iterable[int], reasons: list[str], states: Sequence[State]) -> None:
        """Find what has to be done so that the items ``needed`` are: whole bundles where sums can't go on.

        Fills ``todo`` and ``again``; adds to ``reasons``.
        """
        wanted = set(needed)
        for k in sorted({index // self.bundle_size for index in wanted}):
            of_bundle = [item.index for item in self.bundle(k)]
            try:
                why = self._why_not_go_on(self.header(k), [index for index in of_bundle if index in wanted])
            except DamagedPartial as error:
                why = str(error) if self.job.partial(k).exists() else "it has no partial"
            if why:
                self.again.add(k)
                for index in of_bundle:
                    if states[index].outcome == records.DONE and index not in wanted:
                        wanted.add(index)
                        reasons[index] = f"its bundle is summed again: {why}"
            sent = [i for i in of_bundle if i in wanted or states[i].outcome == records.DONE]
            self._sent.append([self.items[index] for index in sent])
        self.todo = sorted(wanted)

    def _why_not_go_on(self, header: Header, wanted: Sequence[int]) -> str:
        """Say why a sum can't go on from its partial, so that its order stays that of the plan; "" where it can."""
        named = {entry.index for entry in header.items}
        missing = [index for index in wanted if index not in named]
        early = [self.items[index].name for index in missing if index <= header.last]
        return f"{early[0]} comes before what is in it" if early else ""

    def bundles(self) -> Iterator[list[Item]]:
        """Yield the bundles with something to do, each with all items that belong in its sum."""
        yield from self._sent

    def discard(self) -> None:
        """Remove the partials that nothing can go on from; called when a run begins."""
        for k in sorted(self.again):
            self.job.partial(k).unlink(missing_ok=True)


def fold_job(
    known: Iterable[Record],
    items: Sequence[Item],
    digest: str,
    sums: Sums | None,
    alive: Callable[[str], bool] = lambda attempt: False,
) -> list[State]:
    """Fold records as ``records.fold`` does; what no partial names waits, whatever its record says."""
    states = fold(known, items, digest, alive)
    if sums is not None:
        for item, state in zip(items, states, strict=True):
            if state.outcome == records.DONE and (why := sums.holds(item)):
                assert state.record is not None
                state.outcome, state.record = records.WAITING, {**state.record, "message": why}
    return states


def fold_as_it_is(
    job: Job,
    known: Iterable[Record],
    request: Request,
    items: Sequence[Item],
    alive: Callable[[str], bool] = lambda attempt: False,
) -> list[State]:
    """Fold the records of a job of whatever operation, installed or not: its partials' folder tells if it sums."""
    known = list(known)
    summed = any("partial" in record for record in known)
    return fold_job(known, items, request.digest(), Sums(job, request, items) if summed else None, alive)


def advise(operation: str, size: int, bundles: int, items: int, plan: Plan) -> str:
    """Say how much partials of ``size`` bytes take, and which bundle size would make it less; "" for a little."""
    written = size * bundles
    said = f"{operation} writes {_gigabytes(size)} for each bundle, {bundles} of them: {_gigabytes(written)}"
    if written <= TOO_MUCH:
        return ""
    fitting = max(1, TOO_MUCH // size)
    better = -(-items // min(fitting, bundles))
    if better <= plan.bundle_size:
        return f"{said}, which Merge reads again"
    left = -(-items // better)
    return f"{said}, which Merge reads again; --bundle-size {better} makes it {_gigabytes(left * size)}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"
