"""Run a command and say what it took."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OUTPUT = "output.log"


@dataclass(frozen=True)
class Took:
    """What a command took, its children included; ``peak_mb`` is that of its largest process."""

    wall: float  # s
    cpu: float  # s, user and system
    peak_mb: float
    failed: str | None  # what it said last, when it failed


def cores(count: int) -> set[int]:
    """``count`` of the cores this process may use."""
    mine = sorted(os.sched_getaffinity(0))
    if count > len(mine):
        raise SystemExit(f"bench: {count} threads asked for, {len(mine)} cores here")
    return set(mine[:count])


def run(command: Sequence[str | Path], *, threads: int, folder: Path, env: Mapping[str, str] | None = None) -> Took:
    """Run ``command`` in ``folder``, held to ``threads`` cores; what it says goes to ``OUTPUT`` there."""
    held_to = cores(threads)
    # What pip installs is compiled; so is a checkout after its first run, unless this says no.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    log = folder / OUTPUT
    with log.open("wb") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, held_to),
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 took it from Popen
    failed = None
    if process.returncode:
        lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no word")
        failed = f"exit code {process.returncode}: {last[:300]}"
    return Took(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, failed)
