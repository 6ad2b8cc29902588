"""Tasks with several GPUs whose items use one each: such a task is cut into lanes, a process and a GPU each.

A lane has its share of the task's cores and memory, and does items of its own. In the local pool a lane is a slot; on
SLURM an element starts itself once more for each. A process that sees one device is also all that MIG allows.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import FrameType

from pypcore.compute import read_device
from pypcore.machine import Slot
from pypcore.operation import Operation

_VARIABLE = "PYPCORE_LANE"


@dataclass(frozen=True)
class Lane:
    """The ``number``-th, from 0, of ``of`` lanes."""

    number: int
    of: int


def count_lanes(operation: Operation, device: str, gpus: int) -> int:
    """Return how many lanes a task with so many GPUs has: 1, unless its items use one each and none was named."""
    asked = read_device(device)
    several = getattr(operation, "item_per_gpu", False) and asked.kind != "cpu" and not asked.ordinals
    return gpus if several and gpus > 1 else 1


def cut(slots: Sequence[Slot], lanes: int) -> list[Slot]:
    """Cut each slot into ``lanes``, with a GPU, and an even share of cores and memory, each."""
    found = []
    for slot in slots:
        for lane in range(lanes):
            low, high = (len(slot.cores) * edge // lanes for edge in (lane, lane + 1))
            gpus = slot.gpus if lanes == 1 else slot.gpus[lane : lane + 1]
            found.append(replace(slot, cores=slot.cores[low:high], memory=slot.memory // lanes, gpus=gpus))
    return [replace(slot, index=index) for index, slot in enumerate(found)]


def this_lane() -> Lane | None:
    """Return the lane that this process was started for; None where it is a whole task."""
    said = os.environ.get(_VARIABLE)
    if said is None:
        return None
    number, of = map(int, said.split("/"))
    return Lane(number, of)


def run_lanes(command: Sequence[str], gpus: Sequence[str]) -> int:
    """Run ``command`` in a lane for each of ``gpus`` (as CUDA_VISIBLE_DEVICES names them), all at once.

    Signals that tell a task to end are passed on. Returns the first exit code that is not 0.
    """
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in started:
            process.send_signal(number)

    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, pass_on)
    for lane, gpu in enumerate(gpus):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": gpu, _VARIABLE: f"{lane}/{len(gpus)}"}
        started.append(subprocess.Popen(command, env=environment))
    codes = [process.wait() for process in started]
    return next((128 - code if code < 0 else code for code in codes if code), 0)
