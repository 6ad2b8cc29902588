"""A reconstruction that is killed at random moments and gone on with, by ``run`` or by ``submit``: what it leaves."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console

import pypcore
from bench.process import OUTPUT

MAPS = ("half1.mrc", "half2.mrc", "map.mrc")
PRODUCTS = (*MAPS, "mask.mrc", "fsc.csv", "views.csv", "reconstruction.png")  # fsc.star names its job


@dataclass
class Ended:
    """What a job took and left."""

    job: str
    wall: float  # s
    cpu: float | None = None  # s; None where SLURM had it
    kills: int = 0
    starts: int = 1
    partials: int = 0
    written: int = 0  # bytes of partials
    contents: dict[str, str] = field(default_factory=dict)  # what stands for the bytes of each product and partial
    said: str = ""
    good: bool = True


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments]


def ask(folder: Path, *arguments: str) -> str:
    """Run a command that has to go well; return what it said."""
    done = subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pypcore {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


class Here:
    """A job by ``run`` and ``resume``; what is killed are its workers, and now and then their pool."""

    def __init__(self, folder: Path, job: str, arguments: Sequence[str]) -> None:
        self.folder, self.job, self.arguments = folder, job, arguments
        self.cpu: float | None = 0.0

    def begin(self) -> None:
        self._start("run", "reconstruct", *self.arguments, "-o", self.job)

    def again(self) -> None:
        begun = (self.folder / self.job / "job.toml").exists()  # it may have died before that
        self._start("resume", self.job) if begun else self.begin()

    def _start(self, *arguments: str) -> None:
        with (self.folder / OUTPUT).open("wb") as output:
            self.process = subprocess.Popen(
                command(*arguments), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def running(self) -> bool:
        if self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                assert self.cpu is not None
                self.cpu += usage.ru_utime + usage.ru_stime  # of workers too, where their pool saw their end
        return self.process.returncode is None or bool(self._workers())

    def _workers(self) -> list[int]:
        folder = str(self.folder / self.job)
        return [each.pid for each, line in _processes() if folder in line and "pypcore.worker" in line]

    def victims(self) -> list[int]:
        return [*self._workers(), *([self.process.pid] if self.process.returncode is None else [])]

    def done(self) -> bool:
        return self.process.returncode == 0


class OnSlurm:
    """The same by ``submit``; what is killed are elements of Split, and Merge."""

    def __init__(self, folder: Path, job: str, arguments: Sequence[str]) -> None:
        self.folder, self.job, self.arguments = folder, job, arguments
        self.cpu: float | None = None

    def begin(self) -> None:
        ask(self.folder, "submit", "reconstruct", *self.arguments, "-o", self.job, "--launch", "here")

    def again(self) -> None:
        ask(self.folder, "resume", self.job)

    def running(self) -> bool:
        return pypcore.open_job(self.folder / self.job).running

    def victims(self) -> list[int]:
        """Python's processes in jobs of the cluster that SLURM's commands find now."""
        found = []
        for each, line in _processes():
            with contextlib.suppress(psutil.Error):
                has = each.environ() if "pypcore" in line and "python" in line else {}
                if has.get("SLURM_CONF") == os.environ["SLURM_CONF"] and "SLURM_JOB_ID" in has:
                    found.append(each.pid)
        return found

    def done(self) -> bool:
        return pypcore.open_job(self.folder / self.job).phase == "done"


def _processes() -> list[tuple[psutil.Process, str]]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append((process, " ".join(process.cmdline())))
    return found


def carry_out(way: Here | OnSlurm, progress: Console, *, kills: int = 0, expected: float = 0, seed: int = 0) -> Ended:
    """Run a job to its end through ``kills`` deaths, at random moments of the ``expected`` seconds it would take."""
    rng, row, begin = random.Random(seed), Ended(way.job, 0), time.monotonic()
    way.begin()
    while True:
        while way.running():
            if row.kills < kills:
                time.sleep(rng.uniform(0.02, 0.3) * expected)
                found = way.victims()
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(rng.choice(found), signal.SIGKILL)
                    row.kills += 1
                    progress.print(f"{way.job}: killed {row.kills} of {kills}", style="dim")
            time.sleep(0.2)
        if way.done():
            break
        if row.starts > 2 * kills + 2:
            raise SystemExit(f"{way.job}: does not come to an end; see {way.folder / OUTPUT}")
        row.starts += 1
        way.again()
    row.wall, row.cpu = time.monotonic() - begin, way.cpu
    if row.kills < kills:
        row.said, row.good = f"ended before {kills} deaths; ", row.kills > 0
    job = way.folder / way.job
    partials = sorted((job / "partials").glob("*.partial"))
    row.partials, row.written = len(partials), sum(path.stat().st_size for path in partials)
    for path in [*(job / name for name in PRODUCTS if (job / name).exists()), *partials]:
        with path.open("rb") as file:
            row.contents[path.name] = hashlib.file_digest(file, "blake2b").hexdigest()
    return row
