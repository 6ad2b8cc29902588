"""Telling a program its GPUs, each in its own syntax.

A child sees what CUDA_VISIBLE_DEVICES leaves and counts it from 0, whatever the entries are: numbers of the host,
UUIDs or MIG instances. So almost every program is told 0, 1, … A program that overwrites CUDA_VISIBLE_DEVICES with
what it is told is the exception ("inherited"): it needs the entries themselves, as numbers.
"""

from collections.abc import Mapping, Sequence

from pypcore.errors import SetupError, UsageError
from pypcore.programs.card import Devices


def refuse_gpus(name: str, devices: Devices, count: int) -> None:
    """Raise UsageError for more GPUs than a program can use: the others would idle, and nobody could have them."""
    if devices.need == "never" and count:
        raise UsageError(f"{name} runs on the CPU alone; a GPU would idle: leave --gres out")
    if devices.most and count > devices.most:
        raise UsageError(f"{name} uses {devices.most} GPU a task, and gres asks {count}: the others would idle")


def spell_devices(
    name: str, devices: Devices, visible: Sequence[str], numbers: Mapping[str, str] | None = None
) -> list[str]:
    """Return the words that tell a program to use the GPUs ``visible``: the entries of CUDA_VISIBLE_DEVICES.

    ``numbers`` gives the host's number of a UUID. Raises SetupError where the program can't be told.
    """
    refuse_gpus(name, devices, len(visible))
    if not visible:
        if devices.need == "always":
            raise SetupError(f"{name} needs a GPU and this task was given none; ask for one: --gres gpu:1")
        return list(devices.cpu)
    relative = [str(index) for index in range(len(visible))]
    match devices.spelling:
        case "spaces":
            return [devices.flag, *relative]
        case "commas":
            return [devices.flag, ",".join(relative)]
        case "inherited":
            return [devices.flag, ",".join(_host_number(name, one, numbers or {}) for one in visible)]
        case "first":
            return [devices.flag, devices.several if devices.several and len(visible) > 1 else "0"]
        case "switch":
            return [devices.flag] if len(visible) > 1 else []
        case "list" | "environment":
            return []


def _host_number(name: str, entry: str, numbers: Mapping[str, str]) -> str:
    """Return an entry of CUDA_VISIBLE_DEVICES as the number that a program can put back there."""
    if entry.isdigit():
        return entry
    if entry in numbers:
        return numbers[entry]
    what = "a MIG instance" if entry.startswith("MIG") else "a UUID that nvidia-smi doesn't know"
    raise SetupError(
        f"{name} overwrites CUDA_VISIBLE_DEVICES with numbers, and {entry} is {what}; "
        "give it whole GPUs (--gres gpu:TYPE:1 of a type without MIG)"
    )
