"""One call of a program: for whom, with what, and where."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypcore.items import Item
from pypcore.operation import Context, Figure
from pypcore.programs.card import Card
from pypcore.programs.start import Start


@dataclass
class Task:
    """One call of a program for one item, or for a data set: where it works, with what.

    ``folder`` is private to it, has a short name and is gone afterwards; ``inputs`` are the items' names in it.
    """

    card: Card
    params: Any
    context: Context
    items: Sequence[Item]
    folder: Path
    start: Start
    devices: list[str]
    inputs: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)

    @property
    def item(self) -> Item:
        """Return the item, where there is one."""
        return self.items[0]

    def linked(self, path: Path, name: str) -> str:
        """Show a file in the task's folder under a short name; return the name."""
        shown = self.folder / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        if not shown.is_symlink():
            shown.symlink_to(path)
        return name

    def shown(self, path: Path | None, stem: str) -> str | None:
        """Show a file that an option names, under ``stem`` and its own suffix."""
        return None if path is None else self.linked(path, stem + path.suffix.lower())
