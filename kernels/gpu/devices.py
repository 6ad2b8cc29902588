"""One task's work on its devices: a thread a device, independent work shared out, sums added in the devices' order.

A thread makes its device the current one and works in a stream of its own. Arrays, kernels and plans made there are
used there only; what is to leave goes through the host. Devices are ordinals among those that the process sees.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

from numpy.typing import NDArray

from pypcore.kernels.gpu.memory import set_limits

Product = TypeVar("Product")
_here = threading.local()  # how deep this thread is in ``on``


@contextmanager
def on(ordinal: int) -> Iterator[None]:
    """Make a device and a stream on it the current ones of this thread; what was queued is done at the end.

    Within another one, what that has queued is done first: memory that it let go is handed out here.
    """
    import cupy

    with cupy.cuda.Device(ordinal):
        cupy.cuda.get_current_stream().synchronize()
        with cupy.cuda.Stream(non_blocking=True) as stream:
            set_limits()
            _here.depth = getattr(_here, "depth", 0) + 1
            try:
                yield
            finally:
                _here.depth -= 1
                stream.synchronize()


def each(ordinals: Sequence[int], work: Callable[[int], Product]) -> list[Product]:
    """Return ``work(n)`` for the n-th device of each, all at the same time, in the devices' order.

    When one fails its error is raised, named by its device; with several, the first device's.
    """
    import cupy

    results: list[Any] = [None] * len(ordinals)
    errors: dict[int, BaseException] = {}

    def one(n: int) -> None:
        try:
            with on(ordinals[n]):
                results[n] = work(n)
        except BaseException as error:
            errors[n] = error

    if len(ordinals) == 1:
        one(0)
    else:
        if getattr(_here, "depth", 0):
            cupy.cuda.get_current_stream().synchronize()  # as in ``on``: the threads have other streams
        threads = [threading.Thread(target=one, args=(n,), name=f"cuda:{d}") for n, d in enumerate(ordinals)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for n in sorted(errors):
        if isinstance(errors[n], RuntimeError):  # CuPy's own say nothing of where
            raise RuntimeError(f"device {ordinals[n]}: {errors[n]}") from errors[n]
        raise errors[n]
    return results


def shares(count: int, parts: int) -> list[range]:
    """Cut 0 ... count - 1 into so many pieces that follow each other, as even as they can be; the last may be empty."""
    edges = [count * part // parts for part in range(parts + 1)]
    return [range(low, high) for low, high in pairwise(edges)]


def take_turns(ordinals: Sequence[int], items: Sequence[Any], work: Callable[[int, Any], Product]) -> list[Product]:
    """Return ``work(n, item)`` for each item, in the items' order; a device takes the next when it is free."""
    waiting = deque(enumerate(items))
    lock, results = threading.Lock(), [None] * len(items)

    def one(n: int) -> None:
        while True:
            with lock:
                if not waiting:
                    return
                place, item = waiting.popleft()
            try:
                results[place] = work(n, item)  # type: ignore[call-overload]
            except BaseException:
                with lock:
                    waiting.clear()  # the others begin nothing more
                raise

    each(ordinals, one)
    return results  # type: ignore[return-value]


def added(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the sum of the devices' sums (on the host), one after another: the same bits for as many devices."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
