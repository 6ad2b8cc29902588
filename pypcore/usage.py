"""What a process uses, and may use: wall time, CPU time, memory, threads of its libraries."""

import contextlib
import os
import resource
import time
from pathlib import Path

import psutil

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Each library asks its own variable for the number of its threads."""


def library_settings(threads: int) -> dict[str, str]:
    """Return the environment of a worker of ``threads`` threads, as its libraries read it.

    No huge pages for NumPy's arrays: the kernel clears 2 MiB at the first touch of any byte of it, and how many it
    has to give varies, and with it time and peak memory. A K2 movie took half a second to 1.5 CPU s more with them.
    """
    return {**dict.fromkeys(THREAD_SETTINGS, str(threads)), "NUMPY_MADVISE_HUGEPAGE": "0"}


class Clock:
    """Wall time, CPU time and peak memory since it was made."""

    def __init__(self) -> None:
        # Linux: 5 resets the peak of this process, so that each item has its own.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._wall = time.monotonic()
        self._children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        self._cpu = _cpu_seconds()

    def figures(self) -> dict[str, float]:
        """Return ``wall_s``, ``cpu_s`` and ``peak_mib``."""
        return {
            "wall_s": round(time.monotonic() - self._wall, 3),
            "cpu_s": round(_cpu_seconds() - self._cpu, 3),
            "peak_mib": round((peak_memory(os.getpid()) + self._peak_of_programs()) / 2**20, 1),
        }

    def _peak_of_programs(self) -> int:
        """Return the peak of the largest program that was run and has ended, in bytes; 0 where none was run since.

        The system keeps one peak for all of them, so a later item may show that of an earlier one.
        """
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_maxrss * 1024 if used.ru_utime > self._children else 0


def _cpu_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def peak_memory(pid: int) -> int:
    """Return the largest resident memory of process ``pid`` since its peak was last reset, in bytes; 0 if gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def peak_memory_of_children(pid: int) -> int:
    """Return the sum of the peaks of the processes below ``pid``, in bytes."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return 0
    return sum(peak_memory(child.pid) for child in children)
