"""What an operation is: three verbs (discover, process, finish) and what they are handed.

An operation knows nothing of pools or SLURM. ``discover`` belongs to Launch, ``process`` to Split, ``finish`` to
Merge. A third party adds one through the entry-point group ``pypcore.operations``.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from pypcore.errors import UsageError
from pypcore.items import Item
from pypcore.products import whole
from pypcore.spelling import did_you_mean

Figure = float | int | str | None | list[Any] | dict[str, Any]


class Parameters(BaseModel):
    """Base of every operation's parameters: frozen, unknown keys refused. Each field says its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass
class Context:
    """What a task may use, and where it writes.

    ``memory`` is in bytes, for the whole task. ``devices`` are indices among the GPUs that this process sees.
    ``scratch`` is private to the attempt and removed afterwards. ``progress`` takes a share from 0 to 1.
    ``root`` is the folder that the job was started from, ``job_as_given`` the job folder as the user wrote it, relative
    to ``root``: for paths inside STAR files.
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
    """What a task made: ``products`` by kind (absolute paths), ``figures`` that describe it."""

    products: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """A finished item, as Merge sees it."""

    item: Item
    products: dict[str, Path]
    figures: dict[str, Figure]


class Operation(Protocol):
    """One kind of job. ``version`` is raised when the same request would give other numbers."""

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

    def discover(self, params: Any, inputs: list[str], root: Path) -> list[Path]:
        """Return the items' files in order; raise UsageError when there are none."""
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
