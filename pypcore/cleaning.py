"""What each part of a job folder costs on the disk, and taking away what is asked for. Records are never touched."""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypcore import records
from pypcore.errors import SetupError
from pypcore.job import Job
from pypcore.operation import accumulates, get_operation
from pypcore.products import PART, write_text
from pypcore.status import Status, read_status

SCRATCH, UNFINISHED, PARTIALS, INTERMEDIATES = "scratch", "unfinished", "partials", "intermediates"
REMOVABLE = (SCRATCH, UNFINISHED, PARTIALS, INTERMEDIATES)
_RECORDS = ("records", "runs", "logs")


@dataclass
class Part:
    """A part of a job folder: what it is, how many files and bytes, and what taking it away means.

    ``removable`` parts go only when they are asked for by name; others never.
    """

    name: str
    about: str
    removable: bool = False
    files: list[Path] = field(default_factory=list)
    bytes: int = 0

    def add(self, path: Path) -> None:
        """Count a file."""
        try:
            self.bytes += path.lstat().st_size
        except OSError:
            return  # gone meanwhile
        self.files.append(path)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "part": self.name,
            "about": self.about,
            "files": len(self.files),
            "bytes": self.bytes,
            "removable": self.removable,
        }


def weigh(job: Job) -> list[Part]:
    """Return the parts of a job folder, each with its files; only looks."""
    status = read_status(job)
    kinds = _intermediate_kinds(status)
    made = dict(_products(status))
    parts = {
        "records": Part("records", "what was asked, what came of each item, and logs: never removed"),
        SCRATCH: Part(SCRATCH, "left by workers that died", True),
        UNFINISHED: Part(UNFINISHED, "products whose writer died: nobody reads them", True),
        PARTIALS: Part(PARTIALS, _about_partials(status), True),
        INTERMEDIATES: Part(INTERMEDIATES, _about_intermediates(kinds), True),
    }
    for path in _walk(job.folder):
        relative = path.relative_to(job.folder)
        top = relative.parts[0]
        if path.name.startswith(".") and PART in path.name:
            parts[UNFINISHED].add(path)
        elif top in _RECORDS or (len(relative.parts) == 1 and str(relative) not in made):
            parts["records"].add(path)
        elif top in (SCRATCH, PARTIALS):
            parts[top].add(path)
        elif (kind := made.get(str(relative))) is None:
            parts.setdefault("other", Part("other", "files that no record names: yours, or of earlier settings")).add(
                path
            )
        elif kind in kinds:
            parts[INTERMEDIATES].add(path)
        else:
            parts.setdefault(f"product {kind}", Part(f"product {kind}", "products")).add(path)
    return [part for part in parts.values() if part.files or part.name == "records"]


def clean(job: Job, names: Iterable[str]) -> list[Part]:
    """Remove the parts that are named; return what was removed. SetupError while somebody drives the job.

    Intermediates that are gone are listed in ``cleaned.txt``, so that a resume does not make them again.
    """
    wanted = set(names)
    refuse_driven(job)
    removed = []
    for part in weigh(job):
        if part.name not in wanted or not part.removable:
            continue
        if part.name == INTERMEDIATES:  # said before it is done: a product that is missing would be made again
            known = job.read_cleaned() | {str(path.relative_to(job.folder)) for path in part.files}
            write_text(job.cleaned_file, "".join(f"{name}\n" for name in sorted(known)))
        for path in part.files:
            path.unlink(missing_ok=True)
        removed.append(part)
    if SCRATCH in wanted:
        shutil.rmtree(job.folder / SCRATCH, ignore_errors=True)
    return removed


def refuse_driven(job: Job) -> None:
    """Raise SetupError while somebody drives the job, or watches for it."""
    status = read_status(job)
    if status.running and status.run is not None:
        who = "SLURM" if status.run.slurm is not None else f"process {status.run.pid} on {status.run.host}"
        raise SetupError(
            f"{job.folder}: is being run by {who}; nothing is removed meanwhile: wait, or pypcore cancel it"
        )


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield Path(parent, name)


def _products(status: Status) -> Iterator[tuple[str, str]]:
    """Yield the path of every product on record, relative to the job, and its kind."""
    done = [state.record for state in status.states if state.outcome == records.DONE and state.record]
    for record in [*done, *([status.merge] if status.merge else [])]:
        for kind, (path, _) in record.get("products", {}).items():
            yield str(path), str(kind)


def _intermediate_kinds(status: Status) -> dict[str, str]:
    """Return the kinds of product that only served to make others, where those are there: kind to what for."""
    found: dict[str, str] = getattr(get_operation(status.request.operation), "intermediates", {})
    return found if status.merge_state == "done" else {}


def _about_intermediates(kinds: dict[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for kind, why in kinds.items():
        by_reason.setdefault(why, []).append(kind)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items()) or "none"


def _about_partials(status: Status) -> str:
    if not accumulates(get_operation(status.request.operation)):
        return "sums of bundles"
    if status.merge_state == "done":
        return "sums of bundles; they are in the maps. Without them a resume, or more items, begins again at nothing"
    return "sums of bundles that Merge still needs: without them everything is done again"
