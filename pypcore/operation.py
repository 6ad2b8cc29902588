"""What an operation is: three verbs (discover, process, finish) and what they are handed.

An operation knows nothing of pools or SLURM. ``discover`` belongs to Launch, ``process`` to Split, ``finish`` to
Merge. One that accumulates also says what it adds to (``begin_sum``) and how two sums become one (``combine``). A
third party adds one through the entry-point group ``pypcore.operations``.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeGuard, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from pypcore.compute import CPU, Compute
from pypcore.errors import UsageError
from pypcore.items import Found, Item
from pypcore.products import whole
from pypcore.spelling import did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from pypcore.partials import ArraySource

Figure = float | int | str | None | list[Any] | dict[str, Any]


class Parameters(BaseModel):
    """Base of every operation's parameters: frozen, unknown keys refused. Each field says its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_whole_numbers(cls, given: Any) -> Any:
        """Turn text into the whole number where one is to be chosen: a command line has text, and Literal wants 2."""
        read = dict(given)
        for name, value in read.items():
            if isinstance(value, str) and name in cls.model_fields:
                read[name] = _choices(cls.model_fields[name].annotation).get(value.strip(), value)
        return read


def _choices(annotation: Any) -> dict[str, int]:
    """Return the whole numbers that an annotation, such as ``Literal[1, -1] | None``, lets one choose from, by text."""
    if get_origin(annotation) is Literal:
        return {str(one): one for one in get_args(annotation) if isinstance(one, int)}
    return {text: one for part in get_args(annotation) for text, one in _choices(part).items()}


@dataclass
class Context:
    """What a task may use, and where it writes.

    ``memory`` is in bytes, for the whole task. ``devices`` are indices among the GPUs that this process sees.
    ``scratch`` is private to the attempt and removed afterwards. ``progress`` takes a share from 0 to 1.
    ``root`` is the folder that the job was started from, ``job_as_given`` the job folder as the user wrote it, relative
    to ``root``: for paths inside STAR files. ``total``, in ``finish`` of an operation that accumulates, is what all
    items add up to; ``finish`` may change it and take from it, so as not to hold what it has done with. ``compute`` is
    what to compute on: the CPU, but for operations whose parameters are ``OnDevice``.
    """

    job: Path
    job_as_given: str
    threads: int
    memory: int
    devices: Sequence[int]
    scratch: Path
    log: logging.Logger
    progress: Callable[[float], None] = lambda share: None
    root: Path = field(default_factory=Path.cwd)
    total: "dict[str, npt.NDArray[Any]]" = field(default_factory=dict)
    compute: Compute = CPU

    def as_given(self, path: Path) -> str:
        """Return ``path`` relative to ``root`` where it lies under it, as RELION wants paths in STAR files."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    @contextmanager
    def write(self, relative: str) -> Iterator[Path]:
        """Yield a temporary path for the product ``relative`` to the job folder; it appears whole on exit."""
        # Not lasting: whoever takes an item for done looks whether its products are there.
        with whole(self.job / relative, lasting=False) as temporary:
            yield temporary


@dataclass(frozen=True)
class Result:
    """What a task made: ``products`` by kind (absolute paths), ``figures`` that describe it.

    ``part`` is what it adds to its bundle's sum, where the operation accumulates.
    """

    products: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    part: Any = None


@dataclass(frozen=True)
class Done:
    """A finished item, as Merge sees it."""

    item: Item
    products: dict[str, Path]
    figures: dict[str, Figure]


class Operation(Protocol):
    """One kind of job. ``version`` is raised when the same request would give other numbers.

    An operation may say ``intermediates``: kinds of product that only served to make others, and why; ``clean`` offers
    to remove these.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    summary: ClassVar[str]
    Parameters: ClassVar[type[Parameters]]

    def needs_gpu(self, params: Any) -> bool:
        """Say whether a task needs a GPU with these parameters."""
        ...

    def auxiliary(self, params: Any) -> list[Path]:
        """List files besides the items' own that decide the result, such as a gain reference."""
        ...

    def discover(self, params: Any, inputs: list[str], root: Path) -> Sequence[Path | Found]:
        """Return the items' files, or parts of files, in order; raise UsageError when there are none."""
        ...

    def check(self, params: Any, items: Sequence[Item]) -> None:
        """Raise UsageError or InputError for what can be refused before the first task."""
        ...

    def disk(self, params: Any, item: Item) -> int:
        """Estimate the bytes that this item's products will take."""
        ...

    def process(self, item: Item, params: Any, context: Context) -> Result:
        """Do one item; raise InputError when the item's file is at fault."""
        ...

    def finish(self, done: Iterable[Done], params: Any, context: Context) -> Result:
        """Consolidate what is done, in the order of the items."""
        ...


class Sum(Protocol):
    """What the items of a bundle are added to, in a worker's memory."""

    def add(self, part: Any) -> None:
        """Add what ``process`` returned as ``Result.part``; what can be wrong with an item was found there."""
        ...

    def state(self) -> "Mapping[str, ArraySource]":
        """Return all there is to it as arrays, by name: from it the sum goes on as if nothing had been."""
        ...

    def restore(self, state: "Mapping[str, npt.NDArray[Any]]") -> None:
        """Take up an earlier state, whose arrays are read when they are asked for; ValueError for another form."""
        ...

    def clear(self) -> None:
        """Begin again at nothing."""
        ...


class Accumulating(Operation, Protocol):
    """An operation whose items are added up: those of a bundle in its worker, in order, the bundles' in Merge.

    An item is done when a partial on the disk names it. ``process`` checks an item and returns what it adds.
    """

    def begin_sum(self, params: Any, items: Sequence[Item], context: Context) -> Sum:
        """Return an empty sum; ``items`` are those of the first bundle it is for."""
        ...

    def partial_bytes(self, params: Any, items: Sequence[Item]) -> int:
        """Estimate the size of a partial, bytes; ``items`` are all of the job's."""
        ...

    def merge_bytes(self, params: Any, items: Sequence[Item]) -> int:
        """Estimate the memory that Merge takes, its total included, bytes; ``items`` are some of the job's."""
        ...

    def combine(self, total: "npt.NDArray[Any]", part: "npt.NDArray[Any]") -> None:
        """Add ``part`` to ``total`` in place, both a block from the same place of an array; float64 in ``total``."""
        ...


def accumulates(operation: Operation) -> TypeGuard[Accumulating]:
    """Say whether an operation accumulates."""
    return hasattr(operation, "begin_sum")


@cache
def operation_names() -> tuple[str, ...]:
    """List the operations that are installed, those of other people's programs among them."""
    from pypcore.programs.registry import shipped  # late: reading the cards takes a while, and not everybody asks

    return tuple(sorted({*(entry.name for entry in entry_points(group="pypcore.operations")), *shipped()}))


def get_operation(name: str) -> Operation:
    """Return the operation called ``name``, or that of a card (``my.toml``); UsageError with the nearest name else."""
    from pypcore.programs.registry import find_program  # late, as above

    found = _installed(name) or find_program(name)
    if found is None:
        raise UsageError(f"no operation is called '{name}'{did_you_mean(name, operation_names())}")
    operation: Operation = found
    return operation


@cache
def _installed(name: str) -> Operation | None:
    for entry in entry_points(group="pypcore.operations", name=name):
        operation: Operation = entry.load()()
        return operation
    return None
