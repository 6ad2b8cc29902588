"""What was submitted for a run: kept in the run's file, beside the lists of items that its elements do.

``runs/NNNN.json`` holds this as ``slurm``; ``runs/NNNN.elements`` has one line an element, a list of item numbers.
A line, not an index, makes an element: a run after trouble has only what is missing, renumbered from 0.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

from pypcore.job import Job, Run
from pypcore.local import Consent
from pypcore.products import whole
from pypcore.resources import Placement, Resources, SplitResources

PHASES = ("launch", "split", "merge")


@dataclass
class Array:
    """One submitted array: its element i does line ``first + i`` of the list. ``id`` is None until it is submitted.

    ``resources`` are Split's, or more of them where a task needed more the last time; ``why`` says so.
    """

    first: int
    count: int
    spec: str
    resources: SplitResources
    why: str = ""
    exclude: str = ""
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
        return [id_ for id_ in (self.launch, *(array.id for array in self.arrays), self.merge) if id_ is not None]

    def element(self, array_id: int, index: int | None) -> int | None:
        """Return the element that index ``index`` of array ``array_id`` does; None for another job."""
        for array in self.arrays:
            if array.id == array_id and index is not None:
                return array.first + index
        return None

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
            "arrays": [vars(array) | {"resources": array.resources.to_dict()} for array in self.arrays],
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
            Array(**{**array, "resources": SplitResources.from_dict(array["resources"])})
            for array in table.pop("arrays")
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
    """Where the elements of run ``number`` are listed."""
    return job.runs / f"{number:04d}.elements"


def write_elements(job: Job, number: int, elements: Iterable[list[int]]) -> int:
    """Write the items of each element; return how many elements there are."""
    count = 0
    with whole(elements_file(job, number)) as temporary, temporary.open("w") as out:
        for items in elements:
            out.write(json.dumps(items) + "\n")
            count += 1
    return count


def read_element(job: Job, number: int, element: int) -> list[int]:
    """Return the items of one element."""
    with elements_file(job, number).open() as lines:
        items: list[int] = json.loads(next(islice(lines, element, None)))
    return items


def read_elements(job: Job, number: int) -> Iterator[list[int]]:
    """Yield the items of every element."""
    file = elements_file(job, number)
    if file.exists():
        with file.open() as lines:
            yield from map(json.loads, lines)
