"""Copies to the current device beside its computing: two pinned buffers, two device buffers, a stream for the copies.

While the device works on one array the next is on its way. Events keep the order: a device buffer is written again
only after what was queued to read it, a pinned one only after its copy.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import DTypeLike, NDArray

_BUFFERS = 2


class Copies:
    """Carries arrays of one shape and type to the device that is current when it is made."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        import cupy
        import cupyx

        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._pinned = [cupyx.empty_pinned(shape, dtype) for _ in range(_BUFFERS)]
        self._buffers = [cupy.empty(shape, dtype) for _ in range(_BUFFERS)]
        self._copied = [cupy.cuda.Event(disable_timing=True) for _ in range(_BUFFERS)]
        self._read = [cupy.cuda.Event(disable_timing=True) for _ in range(_BUFFERS)]
        self._next = 0
        for event in self._read:  # whoever had this memory before may still be at it
            event.record(cupy.cuda.get_current_stream())

    def each(self, arrays: Iterable[NDArray[Any]]) -> Iterator[Any]:
        """Yield each array on the device. It is valid until the next one but one is asked for.

        What reads it is queued, in the current stream, before the next is asked for.
        """
        import cupy

        computing = cupy.cuda.get_current_stream()
        for array in arrays:
            k, self._next = self._next, (self._next + 1) % _BUFFERS
            self._copied[k].synchronize()
            self._stream.wait_event(self._read[k])
            self._pinned[k][...] = array
            self._buffers[k].set(self._pinned[k], stream=self._stream)
            self._copied[k].record(self._stream)
            computing.wait_event(self._copied[k])
            try:
                yield self._buffers[k]
            finally:
                self._read[k].record(computing)
