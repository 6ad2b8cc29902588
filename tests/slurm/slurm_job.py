"""A job of ``rehearse`` on a private cluster, driven through the command line as a user would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from private_cluster import PrivateCluster, wait_until

from pypcore import records
from pypcore.job import Job
from pypcore.records import Record, read_records
from pypcore.slurm.submission import Submission, read_elements
from pypcore.status import Status, read_status


@dataclass
class SlurmJob:
    """The job ``job`` in the current folder, over the files in ``in``."""

    folder: Path
    cluster: PrivateCluster

    @property
    def job(self) -> Job:
        """The job's folder."""
        return Job(self.folder / "job")

    # ---- doing

    def make_items(self, count: int) -> None:
        """Make N small files ``in/m_001.dat`` …"""
        (self.folder / "in").mkdir()
        for number in range(1, count + 1):
            (self.folder / "in" / f"m_{number:03d}.dat").touch()

    def pypcore(self, *arguments: str, code: int | None = 0) -> str:
        """Run a command; return all it said. ``code``: the exit status that it must have; None: any."""
        told = subprocess.run(
            [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert code is None or told.returncode == code, told.stdout
        return told.stdout

    def submit(self, *options: str, inputs: str = "in", code: int = 0) -> str:
        """Submit, with Launch done here and each item leaving a small file."""
        return self.pypcore(
            *("submit", "rehearse", inputs, "-o", "job", "--launch=here", "--memory=0.25", "--product=20", *options),
            code=code,
        )

    def resume(self, *options: str) -> str:
        """Submit what is missing."""
        return self.pypcore("resume", "job", *options)

    # ---- seeing

    @property
    def submission(self) -> Submission:
        """What was submitted last."""
        run = self.job.last_run()
        assert run is not None
        return Submission.of(run)

    @property
    def array(self) -> int:
        """The id of the first array."""
        array = self.submission.arrays[0].id
        assert array is not None
        return array

    def script(self, name: str) -> str:
        """Return a script that was submitted: ``0001-split-0``."""
        return (self.job.runs / f"{name}.sh").read_text()

    def elements(self, run: int = 1) -> list[list[int]]:
        """Return the items of each element."""
        return list(read_elements(self.job, run))

    def status(self) -> Status:
        """Ask how it stands."""
        return read_status(self.job)

    def outcomes(self) -> list[str]:
        """Return each item's outcome."""
        return [state.outcome for state in self.status().states]

    def records(self) -> list[Record]:
        """Return every record, the oldest first."""
        return sorted(read_records(self.job.records), key=lambda record: float(record["time"]))

    def wait(self, what: str, true: Callable[[], object], timeout: float = 60) -> None:
        """Wait for something; a failure shows status and queue."""
        try:
            wait_until(what, true, timeout, 0.25)
        except AssertionError as error:
            queue = "\n".join(self.cluster.squeue("-t", "all"))
            told = self.pypcore("status", "job", code=None)
            logs = "\n".join(path.read_text()[-500:] for path in sorted(self.job.logs.glob("slurm/*"))[-4:])
            raise AssertionError(f"{error}\n{told}\n{queue}\n{logs}") from None

    def wait_for_end(self, timeout: float = 90) -> Status:
        """Wait until nothing of it is in the queue and its end is written; return how it stands."""
        self.wait("the queue to be empty", lambda: not self.cluster.squeue("-t", "PD,R,CG"), timeout)
        self.wait("the end of the job", lambda: not self.status().running, timeout)
        return self.status()

    def wait_for_running(self, count: int = 1) -> None:
        """Wait until so many items are in hand."""
        self.wait(f"{count} items to begin", lambda: len(self._of("begin")) >= count)

    def running(self) -> list[str]:
        """List the elements that run."""
        return self.cluster.squeue("-t", "R", "-j", str(self.array), "-o", "%K")

    def processes(self, element: int) -> Iterator[int]:
        """List the processes of an element, by what SLURM put into their environment."""
        wanted = {f"SLURM_ARRAY_JOB_ID={self.array}", f"SLURM_ARRAY_TASK_ID={element}"}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "environ").read_text(errors="replace").split("\0")
            except OSError:
                continue
            if wanted <= set(words) and f"SLURM_CONF={self.cluster.configuration}" in words:
                yield int(folder.name)

    def at_once(self) -> int:
        """Return the largest number of elements that ran at the same time, by their own clocks."""
        times: dict[str, list[float]] = {}
        for record in self.records():
            if "-settled" not in record["attempt"] and "-merge" not in record["attempt"]:
                times.setdefault(record["attempt"], []).append(record["time"])
        steps = [(spent[0], 1) for spent in times.values()] + [(spent[-1], -1) for spent in times.values()]
        most = now = 0
        for _, step in sorted(steps):
            now += step
            most = max(most, now)
        return most

    def hosts(self) -> set[str]:
        """Return the nodes that finished items."""
        return {record["host"] for record in self._of("end") if record["outcome"] == records.DONE}

    def assert_whole(self) -> None:
        """Check that every item is done, that its product is there, and that Merge has them all."""
        status = self.status()
        assert status.phase == "done", json.dumps(status.to_dict(), indent=1)
        names = [item.name for item in status.items]
        assert sorted(os.listdir(self.job.folder / "rehearsed")) == sorted(names)
        assert (self.job.folder / "rehearsed.txt").read_text().splitlines() == names
        assert not self.cluster.squeue("-t", "PD,R,CG,S")

    def _of(self, event: str) -> list[Record]:
        return [record for record in read_records(self.job.records) if record["event"] == event]
