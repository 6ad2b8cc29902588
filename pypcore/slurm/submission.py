"""What was submitted for a run: kept in the run's file, beside the lists of items that its elements do.

``runs/NNNN.json`` holds this as ``slurm``; ``runs/NNNN.elements`` has one line an element, its items.
A line, not an index, makes an element: a run after trouble has only what is missing, renumbered from 0.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any, Self

from pypcore.items import Item
from pypcore.job import Job, Run
from pypcore.local import Consent
from pypcore.products import whole
from pypcore.resources import Placement, Resources, SplitResources

PHASES = ("launch", "split", "merge")


@dataclass
class Array:
    """One submitted array: its element i does line ``first + i`` of the list; at most ``held`` of them run at once.

    ``resources`` are Split's, or more of them where a task needed more the last time; ``why`` says so. ``id`` is None
    until it is submitted.
    """

    first: int
    count: int
    spec: str
    resources: SplitResources
    why: str = ""
    exclude: str = ""
    held: int = 0
    id: int | None = None


@dataclass
class Site:
    """Where each phase runs and what its scripts do first, as template and options have it."""

    placements: dict[str, Placement] = field(default_factory=lambda: dict.fromkeys(PHASES, Placement()))
    setup: dict[str, list[str]] = field(default_factory=lambda: {phase: [] for phase in PHASES})


@dataclass
class Submission:
    """All of a run on SLURM."""

    name: str
    resources: Resources
    site: Site = field(default_factory=Site)
    consent: Consent = field(default_factory=Consent)
    discover: bool = True
    force: bool = False
    cluster: str | None = None
    launch: int | None = None
    arrays: list[Array] = field(default_factory=list)
    merge: int | None = None

    def ids(self) -> list[int]:
        """Return every job that was submitted."""
        return [id_ for id_ in (self.launch, *(one.id for one in self.arrays), self.merge) if id_ is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "resources": self.resources.to_dict(),
            "site": {
                "placements": {phase: place.to_dict() for phase, place in self.site.placements.items()},
                "setup": self.site.setup,
            },
            "consent": asdict(self.consent),
            "discover": self.discover,
            "force": self.force,
            "cluster": self.cluster,
            "launch": self.launch,
            "arrays": [vars(one) | {"resources": one.resources.to_dict()} for one in self.arrays],
            "merge": self.merge,
        }

    @classmethod
    def of(cls, run: Run) -> Self:
        """Read the submission of a run."""
        assert run.slurm is not None
        table = dict(run.slurm)
        site = table.pop("site")
        placements = {phase: Placement.from_dict(place) for phase, place in site["placements"].items()}
        arrays = [
            Array(**{**one, "resources": SplitResources.from_dict(one["resources"])}) for one in table.pop("arrays")
        ]
        return cls(
            resources=Resources.from_dict(table.pop("resources")),
            site=Site(placements, site["setup"]),
            consent=Consent(**table.pop("consent")),
            arrays=arrays,
            **table,
        )

    def save(self, job: Job, run: Run) -> None:
        """Write it into the run's file."""
        run.slurm = self.to_dict()
        job.write_run(run)


def elements_file(job: Job, number: int) -> Path:
    """Where the elements of run ``number`` are listed, a line each: its items, whole."""
    return job.runs / f"{number:04d}.elements"


def offsets_file(job: Job, number: int) -> Path:
    """Where each line of the elements begins, 8 bytes a number: an element reads its own line, not those before it."""
    return job.runs / f"{number:04d}.offsets"


def write_elements(job: Job, number: int, elements: Iterable[list[Item]]) -> None:
    """Write the items of each element."""
    offsets = array("q")
    with whole(elements_file(job, number)) as temporary, temporary.open("w", encoding="ascii") as out:
        for items in elements:
            offsets.append(out.tell())
            out.write(json.dumps([astuple(item) for item in items]) + "\n")
    with whole(offsets_file(job, number)) as temporary:
        temporary.write_bytes(offsets.tobytes())


def read_element(job: Job, number: int, element: int) -> list[Item]:
    """Return the items of one element."""
    offset = array("q")
    with offsets_file(job, number).open("rb") as offsets:
        offsets.seek(element * offset.itemsize)
        offset.frombytes(offsets.read(offset.itemsize))
    with elements_file(job, number).open(encoding="ascii") as lines:
        lines.seek(offset[0])
        return [Item(*row) for row in json.loads(lines.readline())]


def read_elements(job: Job, number: int) -> Iterator[list[int]]:
    """Yield the numbers of the items of every element."""
    file = elements_file(job, number)
    if file.exists():
        with file.open(encoding="ascii") as lines:
            for line in lines:
                yield [row[0] for row in json.loads(line)]
