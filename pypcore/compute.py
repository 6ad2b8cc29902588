"""What a task computes on: the CPU, or CUDA devices through CuPy. What was asked for, and what that comes to here.

``cpu``; ``cuda``: all GPUs that the task was given; ``cuda:0,1``: these of them, numbered from 0 among those that the
task sees; ``auto``: GPUs where they can be used, else the CPU, and it is said which and why. What was asked for by name
and can't be used is an error with its reason: nothing falls back.

The device is no part of an item's identity: like threads and the model of the CPU it changes results in the last bits,
may be another one when a job is gone on with, and is recorded with each item.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pypcore.cuda import cuda_here
from pypcore.devices import visible_gpus
from pypcore.errors import SetupError

FORMS = "cpu, cuda, cuda:0,1 or auto"
_FORM = re.compile(r"cpu|auto|cuda(?::(\d+(?:,\d+)*))?", re.ASCII)


@dataclass(frozen=True)
class Compute:
    """What a task computes on. ``ordinals`` number CUDA devices from 0 among those that this process sees."""

    kind: Literal["cpu", "cuda"] = "cpu"
    ordinals: tuple[int, ...] = ()
    described: str = "cpu"
    """In words, for logs and records; with the reason, where it was chosen for the user."""

    @property
    def on_gpu(self) -> bool:
        """Say whether it is GPUs."""
        return self.kind == "cuda"


CPU = Compute()


@dataclass(frozen=True)
class Asked:
    """What a user asked to compute on; no ``ordinals``: all that a task is given."""

    kind: Literal["cpu", "cuda", "auto"]
    ordinals: tuple[int, ...] = ()

    @property
    def least(self) -> int:
        """Return how many GPUs a task must have."""
        return 0 if self.kind != "cuda" else 1 + max(self.ordinals, default=0)


def read_device(text: str) -> Asked:
    """Read one of ``FORMS``; ValueError for anything else."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"should be {FORMS}")
    kind = text.strip().partition(":")[0]
    ordinals = tuple(int(number) for number in (match[1] or "").split(",") if number)
    if len(set(ordinals)) < len(ordinals):
        raise ValueError("names a device twice")
    return Asked(kind, ordinals)  # type: ignore[arg-type]


def decide(device: str, given: Sequence[int]) -> Compute:
    """Return what a task that was given so many GPUs computes on; SetupError where it can't be what was asked for."""
    asked = read_device(device)
    if asked.kind == "cpu":
        return CPU
    try:
        found = _on_cuda(asked, given)
    except SetupError as error:
        if asked.kind == "auto":
            return Compute(described=f"cpu (auto: {error})")
        raise SetupError(f"device {device}: {error}") from None
    return found


def refuse_unusable(device: str) -> None:
    """Raise SetupError, with the reason, where ``device`` is CUDA and this process can't use it at all."""
    if read_device(device).kind == "cuda":
        here = cuda_here()
        if not here.devices:
            raise SetupError(f"device {device}: {here.reason}")


def _on_cuda(asked: Asked, given: Sequence[int]) -> Compute:
    if not given:
        raise SetupError("this task was given no GPU; ask for one (--gres gpu:1)")
    here = cuda_here()
    if not here.devices:
        raise SetupError(here.reason)
    if here.devices < len(given):
        if any(name.startswith("MIG-") for name in visible_gpus()):
            raise SetupError(
                f"this task was given {len(given)} MIG slices, and CUDA shows a process one of them; ask for one a task"
            )
        raise SetupError(f"this task was given {len(given)} GPUs, and CUDA shows {here.devices}")
    ordinals = asked.ordinals or tuple(range(len(given)))
    if max(ordinals) >= len(given):
        raise SetupError(f"this task was given {len(given)} GPUs, numbered from 0; ask for more with --gres")
    models = [here.models[number].name for number in ordinals]
    numbers = ",".join(map(str, ordinals))
    chosen = "; auto: it can be used" if asked.kind == "auto" else ""
    return Compute("cuda", ordinals, f"cuda:{numbers} ({', '.join(models)}{chosen})")
