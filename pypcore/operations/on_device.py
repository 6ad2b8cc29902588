"""The parameter of operations that can compute on GPUs."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pypcore import operation
from pypcore.compute import FORMS, read_device
from pypcore.request import Request


def _checked(text: str) -> str:
    read_device(text)
    return text.strip()


class OnDevice(operation.Parameters):
    """Parameters of an operation that computes on the CPU or on GPUs, as it is asked to.

    ``device`` decides nothing of what is computed: see ``pypcore.compute``.
    """

    device: Annotated[str, AfterValidator(_checked)] = Field(
        "cpu",
        description=f"What to compute on: {FORMS}; cuda is all GPUs that a task has (one, unless gres asks more), "
        "cuda:0,1 these of them, auto a GPU where one can be used",
    )


def device_asked(request: Request) -> str:
    """Return what pypcore itself is to compute on in a job; what programs of others use is their cards' business."""
    return device_of(operation.get_operation(request.operation).Parameters(**request.parameters))


def device_of(params: object) -> str:
    """Return what is to be computed on: ``cpu`` for an operation that knows nothing else."""
    return params.device if isinstance(params, OnDevice) else "cpu"
