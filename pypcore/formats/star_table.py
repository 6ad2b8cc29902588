"""One table of a STAR file with many rows: columns as numbers or text, what is wrong named by file, column and row."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gemmi import cif

from pypcore.errors import InputError

Floats = npt.NDArray[np.float64]


class StarTable:
    """One loop of a STAR file: columns as numbers or text, with errors that name file, column and row."""

    def __init__(self, path: Path, block: cif.Block, loop: Any) -> None:
        self.path = path
        self.block = block
        self.tags = {tag.removeprefix("_") for tag in loop.tags}
        self.rows: int = loop.length()

    def has(self, name: str) -> bool:
        """Say whether there is such a column."""
        return name in self.tags

    def need(self, name: str, advice: str) -> None:
        """Raise InputError, ending in ``advice``, where there is no such column."""
        if name not in self.tags:
            raise InputError(f"{self.path}: data_{self.block.name} has no column {name}; {advice}")

    def text(self, name: str) -> list[str]:
        """Return a column as text, without quotes."""
        column = self.block.find_loop(f"_{name}")
        return [cif.as_string(value) for value in column]

    def numbers(self, name: str, default: float | None = None) -> Floats:
        """Return a column of numbers; all ``default`` where there is none."""
        if name not in self.tags:
            if default is None:
                raise InputError(f"{self.path}: data_{self.block.name} has no column {name}")
            return np.full(self.rows, default)
        column = list(self.block.find_loop(f"_{name}"))
        try:
            values = np.array(column, np.float64)
        except ValueError:
            values = np.array([_number(value) for value in column])
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            row = int(bad[0])
            raise InputError(
                f"{self.path}: {name} is '{column[row]}' in row {row + 1} of data_{self.block.name}; it must be a "
                f"finite number ({len(bad)} such rows)"
            )
        return values


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")
