"""What an import or export made."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypcore.errors import UsageError


@dataclass
class Exchanged:
    """Files that were written, what was mapped (theirs to ours), what was not and why, what a user should know."""

    kind: str
    written: list[Path] = field(default_factory=list)
    mapped: dict[str, str] = field(default_factory=dict)
    not_mapped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    command: str = ""
    """What to run now, where there is such a thing."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**vars(self), "written": [str(path) for path in self.written]}

    def place(self, folder: Path, name: str, *, force: bool) -> Path:
        """Return where to write a file; UsageError where one is there already."""
        path = folder / name
        if path.exists() and not force:
            raise UsageError(f"{path}: is there already; give --force to write over it, or another folder with -o")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.written.append(path)
        return path
