"""What this machine gives this process: cores by affinity and cgroup, memory by cgroup, GPUs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pypcore.devices import Gpu, list_gpus, share_gpus
from pypcore.errors import SetupError
from pypcore.resources import PhaseResources, format_memory

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """Cores (their numbers), memory in MiB and GPUs that this process may use."""

    cores: tuple[int, ...]
    memory: int
    gpus: Sequence[Gpu] = field(default_factory=tuple)


@dataclass(frozen=True)
class Slot:
    """One task's share of the machine: its cores, its memory in bytes, its GPUs."""

    index: int
    cores: tuple[int, ...]
    memory: int
    gpus: tuple[Gpu, ...] = ()


def this_machine(with_gpus: bool = False) -> Machine:
    """Look at this machine; GPUs only when somebody needs them, for asking takes a second."""
    cores = sorted(os.sched_getaffinity(0))
    quota = min((q for q in _cpu_quotas()), default=len(cores))
    memory = min(_total_memory(), *_memory_limits(), _total_memory())
    return Machine(tuple(cores[: max(1, quota)]), memory, list_gpus() if with_gpus else ())


def slots(machine: Machine, task: PhaseResources, at_most: int, phase: str = "Split") -> list[Slot]:
    """Cut the machine into as many slots as hold a ``task`` each, ``at_most`` of them.

    SetupError for a task that this machine can never hold, with the largest that it can.
    """
    if task.threads > len(machine.cores):
        raise SetupError(
            f"{phase} asks {task.threads} threads a task; this machine gives {len(machine.cores)}: "
            f"the largest that fits is {len(machine.cores)} threads"
        )
    if task.total_memory > machine.memory:
        fits = machine.memory // task.threads
        raise SetupError(
            f"{phase} asks {format_memory(task.total_memory)} a task ({task.threads} threads x "
            f"{format_memory(task.memory)}); this machine has {format_memory(machine.memory)}: "
            f"the largest that fits is {fits}M a thread"
        )
    hands = share_gpus(machine.gpus, task.gres)
    count = min(at_most, len(machine.cores) // task.threads, machine.memory // task.total_memory)
    if task.gres:
        count = min(count, len(hands))
    return [
        Slot(
            index=k,
            cores=machine.cores[k * task.threads : (k + 1) * task.threads],
            memory=task.total_memory * 2**20,
            gpus=tuple(hands[k]) if task.gres else (),
        )
        for k in range(count)
    ]


def _total_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


def _cgroups() -> Iterator[Path]:
    """Yield the folder of this process's cgroup (version 2) and those above it: each can limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::"):
            folder = CGROUP / line[3:].lstrip("/")
            while folder != CGROUP.parent:
                yield folder
                folder = folder.parent


def _read(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _cpu_quotas() -> Iterator[int]:
    for folder in _cgroups():
        match _read(folder / "cpu.max"):
            case [quota, period] if quota != "max":
                yield max(1, int(quota) // int(period))


def _memory_limits() -> Iterator[int]:
    for folder in _cgroups():
        match _read(folder / "memory.max"):
            case [limit] if limit != "max":
                yield int(limit) // 2**20
