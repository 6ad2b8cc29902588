"""GPUs of this machine: which there are, and which a request may have."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from pypcore.errors import SetupError
from pypcore.resources import Gres, format_gres


@dataclass(frozen=True)
class Gpu:
    """One GPU: ``handle`` is what CUDA_VISIBLE_DEVICES takes, ``model`` what the driver calls it."""

    handle: str
    model: str


def list_gpus() -> tuple[Gpu, ...]:
    """List the GPUs that this process may use: those of the driver, or the part CUDA_VISIBLE_DEVICES leaves."""
    rows = _ask_driver()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(Gpu(index, model) for index, _, model in rows)
    by_name = {name: Gpu(name, model) for index, uuid, model in rows for name in (index, uuid)}
    return tuple(by_name[name.strip()] for name in visible.split(",") if name.strip() in by_name)


def gpu_numbers() -> dict[str, str]:
    """Return the number of each GPU that the driver shows, by its UUID."""
    return {uuid: index for index, uuid, _ in _ask_driver()}


def _ask_driver() -> list[list[str]]:
    """Return index, UUID and model of each GPU that the driver shows; none where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    answer = subprocess.run(
        [program, "--query-gpu=index,uuid,name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if answer.returncode:
        return []  # the program is there, a driver isn't
    return [[field.strip() for field in line.split(",", 2)] for line in answer.stdout.splitlines() if line.strip()]


def visible_gpus() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES names: numbers, UUIDs or MIG instances; within, they count from 0.

    SLURM sets it for a job with GPUs. Where it is not set, no GPU was given.
    """
    return [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]


def share_gpus(gpus: Sequence[Gpu], asked: tuple[Gres, ...]) -> list[list[Gpu]]:
    """Deal the machine's GPUs to tasks that each ask for ``asked``; one list a task, none when no GPU is asked for.

    SetupError where not even one task can have what it asks, with what there is.
    """
    free = list(gpus)
    hands: list[list[Gpu]] = []
    while asked:
        hand: list[Gpu] = []
        for gres in asked:
            if gres.name != "gpu":
                raise SetupError(f"gres {gres}: this machine offers only 'gpu' to the local pool; leave it out here")
            fits = [gpu for gpu in free if gres.type is None or gres.type in gpu.model]
            if len(fits) < gres.count:
                break
            hand += fits[: gres.count]
            free = [gpu for gpu in free if gpu not in hand]
        else:
            hands.append(hand)
            continue
        break
    if asked and not hands:
        there = ", ".join(gpu.model for gpu in gpus) or "none"
        raise SetupError(f"gres {format_gres(asked)}: a task can't have that here; GPUs of this machine: {there}")
    return hands
