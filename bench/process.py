"""Run a command and say what it took."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Took:
    """What a command took, its children included; ``peak_mb`` is that of its largest process."""

    wall: float  # s
    cpu: float  # s, user and system
    peak_mb: float
    failed: str | None  # what it said last, when it failed
    output: str = field(repr=False)


def cores(count: int) -> set[int]:
    """``count`` of the cores this process may use."""
    mine = sorted(os.sched_getaffinity(0))
    if count > len(mine):
        raise SystemExit(f"bench: {count} threads asked for, {len(mine)} cores here")
    return set(mine[:count])


def run(command: Sequence[str | Path], *, threads: int, folder: Path, env: Mapping[str, str] | None = None) -> Took:
    """Run ``command`` in ``folder``, held to ``threads`` cores."""
    held_to = cores(threads)
    log = folder / "output.log"
    with log.open("wb") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, held_to),
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 took it from Popen
    said = log.read_text(errors="replace")
    failed = None
    if process.returncode:
        lines = (line.strip() for line in reversed(said.replace("\r", "\n").split("\n")))
        failed = f"exit code {process.returncode}: {next((line for line in lines if line), 'no word')[:300]}"
    return Took(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, failed, said)
