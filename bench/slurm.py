"""What a job costs on SLURM: a large one submitted and asked about, arrays in chunks, our calls beside submitit's.

On a private cluster of this machine, whose nodes claim more cores than there are: seconds of whole runs say how fast
Python starts here, the calls of SLURM's commands are what a controller would see.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.process import run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "slurm"))  # the cluster that the tests have

from private_cluster import PrivateCluster
from slurm_job import SlurmJob

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "srun")
AT_ONCE = 32  # elements; submitit's slurm_array_parallelism, our --total-threads

SUBMITIT = f"""
import submitit
def nothing(number): return number
executor = submitit.AutoExecutor(folder="submitit", cluster="slurm")
executor.update_parameters(timeout_min=10, mem_gb=0.25, cpus_per_task=1, slurm_array_parallelism={AT_ONCE})
import sys
jobs = executor.map_array(nothing, range(int(sys.argv[1])))
assert [job.result() for job in jobs] == list(range(int(sys.argv[1])))
"""


@dataclass(frozen=True)
class Large:
    """100,000 items that do nothing, submitted and held, and asked about."""

    items: int
    bundle: int
    elements: int
    submit_s: float
    submit_calls: dict[str, int]
    status_s: float
    status_calls: dict[str, int]


@dataclass(frozen=True)
class Chunks:
    """More elements than one array may have, with a limit over all of them."""

    items: int
    max_array_size: int
    arrays: int
    limit: int
    at_once: int  # the most that ran at the same time, by their own clocks
    done: int
    wall_s: float


@dataclass(frozen=True)
class Calls:
    """What a run of items that do nothing asked of SLURM."""

    program: str
    items: int
    wall_s: float
    calls: dict[str, int]
    failed: str | None = None

    @property
    def per_thousand(self) -> float:
        """Calls a 1,000 items."""
        return 1000 * sum(self.calls.values()) / self.items


@dataclass(frozen=True)
class SlurmCost:
    """All of it."""

    large: Large
    chunks: Chunks
    calls: list[Calls]


def installed() -> bool:
    """Say whether SLURM's daemons are on this machine."""
    return shutil.which("slurmctld", path=os.environ["PATH"] + ":/usr/sbin:/sbin") is not None


def measure(data: Path, progress: Console, *, quick: bool) -> SlurmCost:
    """Start a cluster for each part, run it, stop it."""
    progress.print("slurm: 100,000 items submitted", style="dim")
    with cluster(data) as job:
        large = _large(job, items=100_000, bundle=100)
    items, size = (250, 101) if quick else (2500, 1001)
    progress.print(f"slurm: {items} elements, arrays of {size}", style="dim")
    with cluster(data, MaxArraySize=size) as job:
        chunks = _chunks(job, items, size)
    items = 100 if quick else 500
    calls = []
    for bundle in (1, 25):
        progress.print(f"slurm: {items} items, {bundle} a bundle", style="dim")
        with cluster(data) as job:
            calls.append(_ours(job, items, bundle))
    progress.print(f"slurm: {items} items, submitit", style="dim")
    with cluster(data) as job:
        calls.append(_submitit(job, items))
    return SlurmCost(large, chunks, calls)


def report(cost: SlurmCost, out: Console) -> None:
    """Print it."""
    large, chunks = cost.large, cost.chunks
    out.print(
        f"slurm: {large.items} items in bundles of {large.bundle}, {large.elements} elements: planned and submitted in "
        f"{large.submit_s:.1f} s with {_listed(large.submit_calls)}; status {large.status_s:.2f} s with "
        f"{_listed(large.status_calls)}"
    )
    out.print(
        f"slurm: {chunks.items} elements, MaxArraySize {chunks.max_array_size}: {chunks.arrays} arrays, "
        f"{chunks.done} items done in {chunks.wall_s:.0f} s, {chunks.at_once} at once at most ({chunks.limit} allowed)"
    )
    table = Table(title="slurm: items that do nothing, one thread each", title_justify="left")
    for heading in ("program", "items", "wall s", "calls of SLURM's commands", "a 1,000 items"):
        table.add_column(heading, justify="right" if heading in ("items", "wall s", "a 1,000 items") else "left")
    for row in cost.calls:
        said = row.failed or _listed(row.calls)
        table.add_row(row.program, str(row.items), f"{row.wall_s:.0f}", said, f"{row.per_thousand:.0f}")
    out.print(table)


def _large(job: SlurmJob, items: int, bundle: int) -> Large:
    job.make_items(items)
    begin = time.perf_counter()
    job.submit(f"--bundle-size={bundle}", "--sbatch=--hold")
    submit_s, submit_calls = time.perf_counter() - begin, _taken(job)
    job.pypcore("status", "job")  # the first one builds the index
    _taken(job)
    begin = time.perf_counter()
    job.pypcore("status", "job")
    status_s, status_calls = time.perf_counter() - begin, _taken(job)
    elements = len(job.elements())
    job.pypcore("cancel", "job", "--now")
    return Large(items, bundle, elements, submit_s, submit_calls, status_s, status_calls)


def _chunks(job: SlurmJob, items: int, size: int) -> Chunks:
    job.make_items(items)
    begin = time.perf_counter()
    job.submit(f"--total-threads={AT_ONCE // 2}")
    status = job.wait_for_end(3600)
    wall = time.perf_counter() - begin
    arrays = len(job.submission.arrays)
    return Chunks(items, size, arrays, AT_ONCE // 2, job.at_once(), status.counts["done"], wall)


def _ours(job: SlurmJob, items: int, bundle: int) -> Calls:
    job.make_items(items)
    begin = time.perf_counter()
    job.submit(f"--bundle-size={bundle}", f"--total-threads={AT_ONCE}")
    while job.status().running:  # as somebody who watches would: each look is a squeue
        time.sleep(10)
    wall = time.perf_counter() - begin
    done = job.status().counts["done"]
    name = f"pypcore submit, {bundle} a bundle, watched"
    return Calls(name, items, wall, _taken(job), None if done == items else f"{done} of {items} done")


def _submitit(job: SlurmJob, items: int) -> Calls:
    if importlib.util.find_spec("submitit") is None:
        return Calls("submitit", items, 0.0, {}, "not installed: pip install submitit")
    script = job.folder / "map_array.py"
    script.write_text(SUBMITIT)
    took = run([sys.executable, script, str(items)], threads=len(os.sched_getaffinity(0)), folder=job.folder)
    return Calls("submitit map_array", items, took.wall, _taken(job), took.failed)


@contextmanager
def cluster(data: Path, **options: int) -> Iterator[SlurmJob]:
    """A cluster, and a job on it, with every call of SLURM's commands noted, those of its jobs too."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="slurm-", dir=data) as name:
        folder = Path(name)
        private = PrivateCluster(folder / "cluster", **options)
        (folder / "bin").mkdir()
        for command in COMMANDS:
            real = shutil.which(command)
            wrapper = folder / "bin" / command
            note = f'[ "$1" = --test-only ] && name="{command} --test-only" || name={command}'
            wrapper.write_text(f'#!/bin/bash\n{note}\necho "$name" >> {folder}/calls\nexec {real} "$@"\n')
            wrapper.chmod(0o755)
        try:
            private.start()
            os.environ |= {
                "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "SLURM_CONF": str(private.configuration),
                "PYPCORE_LATE": "1",
            }
            yield SlurmJob(folder, private)
        finally:
            os.environ.clear()
            os.environ.update(before)
            private.stop()


def _taken(job: SlurmJob) -> dict[str, int]:
    """Return the calls since the last time."""
    file = job.folder / "calls"
    calls = Counter(file.read_text().splitlines()) if file.exists() else Counter()
    file.unlink(missing_ok=True)
    return dict(calls)


def _listed(calls: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(calls.items())) or "no call"
