"""Items and resources to bundles, how many run at once, and arrays. Arithmetic; holds for a million items.

Items are counted from 0 in the order of the manifest. Bundle k is items k*B to (k+1)*B - 1; the last one may
be shorter. On SLURM a bundle is an element of an array; a site's MaxArraySize bounds the largest index, so
that a long job is several arrays ("chunks") that each count from 0 and are told the bundle they start at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pypcore.errors import UsageError
from pypcore.resources import SplitResources, format_memory


@dataclass(frozen=True)
class Chunk:
    """One array of SLURM's: element i (from 0) does bundle ``first + i``, for i below ``count``."""

    first: int
    count: int


@dataclass(frozen=True)
class Plan:
    """How a job's items are bundled and how many bundles run at once. Iterating gives each bundle's items."""

    items: int
    bundle_size: int
    concurrency: int
    """Bundles that run at the same time; their number where nothing limits it."""
    chunk_size: int
    """Elements an array may have."""

    def __len__(self) -> int:
        """Return the number of bundles, ceil(items / bundle_size)."""
        return -(-self.items // self.bundle_size)

    @property
    def bundles(self) -> int:
        """The number of bundles, ceil(items / bundle_size)."""
        return len(self)

    def bundle(self, k: int) -> range:
        """Return the items of bundle ``k``, in order; IndexError where there is no such bundle."""
        if not 0 <= k < self.bundles:
            raise IndexError(f"bundle {k} of {self.bundles}")
        return range(k * self.bundle_size, min((k + 1) * self.bundle_size, self.items))

    def __iter__(self) -> Iterator[range]:
        """Yield each bundle's items, in order."""
        return map(self.bundle, range(self.bundles))

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The arrays that hold all bundles, in order."""
        starts = range(0, self.bundles, self.chunk_size)
        return tuple(Chunk(first, min(self.chunk_size, self.bundles - first)) for first in starts)


def array_spec(count: int, at_once: int) -> str:
    """Return ``sbatch --array`` for ``count`` elements: ``0-99%3``, the ``%`` only where it holds something back."""
    indices = f"0-{count - 1}" if count > 1 else "0"
    return f"{indices}%{at_once}" if at_once < count else indices


def make_plan(n_items: int, split: SplitResources, *, max_array_size: int | None = None) -> Plan:
    """Plan ``n_items`` items with the resources of Split.

    Bundles at once are the least of floor(total threads / threads), floor(total memory / memory of a task)
    and their number; a total of 0 is no limit. ``max_array_size`` is SLURM's MaxArraySize: an array's indices
    are 0 to ``max_array_size - 1``. UsageError where a total is less than one task needs, or for no items.
    """
    if n_items < 1:
        raise UsageError(f"{n_items} items: there is nothing to do; check what the input names")
    if max_array_size is not None and max_array_size < 1:
        raise UsageError(f"MaxArraySize {max_array_size} allows no array; at least 1")
    bundles = -(-n_items // split.bundle_size)
    return Plan(
        items=n_items,
        bundle_size=split.bundle_size,
        concurrency=min([bundles, *_limits(split)]),
        chunk_size=-(-bundles // -(-bundles // (max_array_size or bundles))),  # arrays of nearly one size
    )


def _limits(split: SplitResources) -> list[int]:
    """Tasks that fit at once into each total that is set; never 0, which SLURM would read as no limit."""
    limits = []
    if split.total_threads:
        if split.threads > split.total_threads:
            raise UsageError(
                f"total threads {split.total_threads} is less than one task's {split.threads} threads; "
                f"give total threads of at least {split.threads}, or 0 for no limit"
            )
        limits.append(split.total_threads // split.threads)
    if split.total_memory_limit:
        task = split.total_memory
        if task > split.total_memory_limit:
            raise UsageError(
                f"total memory {format_memory(split.total_memory_limit)} is less than one task's "
                f"{format_memory(task)} ({split.threads} threads x {format_memory(split.memory)}); "
                f"give total memory of at least {format_memory(task)}, or 0 for no limit"
            )
        limits.append(split.total_memory_limit // task)
    return limits
