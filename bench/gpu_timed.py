"""Timing kernels by a GPU's own clock."""

from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 10


@dataclass(frozen=True)
class Timed:
    """A kernel: milliseconds a call, and the bytes that it has to move at least."""

    name: str
    milliseconds: float
    bytes: int


def timed(work: Callable[[], object]) -> float:
    """Milliseconds a call, by the device's clock, after one call that compiles."""
    import cupy

    work()
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    stream = cupy.cuda.get_current_stream()
    begin.record(stream)
    for _ in range(REPEATS):
        work()
    end.record(stream)
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(begin, end)) / REPEATS
