"""Where each item's line is in the manifest, and what identifies its file: for who can't hold a million items."""

import hashlib
import json
from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

from pypcore.job import Job
from pypcore.jsonlines import BLOCK


@dataclass
class Manifest:
    """A manifest of ``size`` bytes, written at ``mtime_ns``, with the checksum ``sha``; size -1 is none yet.

    ``offsets`` are of the items' lines; ``sizes`` and ``mtimes`` (ns) are those of the items' files.
    """

    size: int
    mtime_ns: int
    sha: str
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    mtimes: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def read(cls, job: Job) -> Self:
        """Read the manifest of a job."""
        manifest = cls(*_describe(job))
        if manifest.size < 0:
            return manifest
        with job.items_file.open("rb") as source:
            at = 0
            while block := list(islice(source, BLOCK)):
                for row, line in zip(json.loads(b"[" + b",".join(block) + b"]"), block, strict=True):
                    manifest.offsets.append(at)
                    manifest.sizes.append(row["size"])
                    manifest.mtimes.append(row["mtime_ns"])
                    at += len(line)
        return manifest

    def still(self, job: Job) -> "Manifest | None":
        """Return this where the job's manifest says the same now (each run writes it again), None where not."""
        if not job.items_file.is_file():
            return self if self.size < 0 else None
        stat = job.items_file.stat()
        if (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns):
            return self
        if stat.st_size != self.size or (now := _describe(job))[2] != self.sha:
            return None
        return Manifest(*now, self.offsets, self.sizes, self.mtimes)


def _describe(job: Job) -> tuple[int, int, str]:
    if not job.items_file.is_file():  # Launch has not made it yet
        return -1, 0, ""
    stat = job.items_file.stat()
    with job.items_file.open("rb") as source:
        return stat.st_size, stat.st_mtime_ns, hashlib.file_digest(source, "sha256").hexdigest()
