"""Memory of the current device: how much there is for us, what does not fit, and batches that shrink when it runs out.

Everything here is about the device that is current in the calling thread (``devices.each`` makes one so). What a
step takes is estimated beforehand, in bytes; where the estimate was too small and memory runs out all the same, the
batch is halved and the step goes on, and ``tell`` hears of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SHARE = 0.9  # of the device's memory: the rest is the driver's, its kernels', and another process's display
PLANS = 4  # transforms of so many shapes are kept ready, in a thread
PLAN_BYTES = 1 << 30  # and no more than this for their work areas

Tell = Callable[[str], object]


class TooLarge(MemoryError):
    """Something needs more memory than the device has for us."""


def set_limits() -> None:
    """Bound the memory pool of the current device, and the cuFFT plans that this thread keeps there.

    A limit that the pool has already, by ``CUPY_GPU_MEMORY_LIMIT``, stays: on a shared GPU it is the user's share.
    """
    import cupy

    pool = cupy.get_default_memory_pool()
    if pool.get_limit() == 0:
        _, total = cupy.cuda.runtime.memGetInfo()
        pool.set_limit(size=int(SHARE * total))
    plans = cupy.fft.config.get_plan_cache()
    plans.set_size(PLANS)
    plans.set_memsize(PLAN_BYTES)


def room() -> int:
    """Return the bytes that can still be allocated on the current device: what is free, within the pool's limit."""
    import cupy

    pool = cupy.get_default_memory_pool()
    free, total = cupy.cuda.runtime.memGetInfo()
    used = pool.used_bytes()
    return int(max(0, min((pool.get_limit() or total) - used, free + pool.total_bytes() - used)))


def need(size: int, what: str) -> None:
    """Raise TooLarge where ``size`` bytes for ``what`` are more than there is room for."""
    if size > room():
        free()
    if size > room():
        raise _too_large(what, size)


def free() -> None:
    """Give back what the pools hold and nobody uses, and the work areas of kept transforms."""
    import cupy

    cupy.fft.config.clear_plan_cache()
    cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()


def batches(
    count: int,
    each: int,
    work: Callable[[int, int], None],
    *,
    what: str,
    fixed: int = 0,
    most: int | None = None,
    tell: Tell | None = None,
) -> None:
    """Do ``work(first, last)`` until 0 ... count - 1 are done, as many at a time as there is room for.

    One takes ``each`` bytes, besides ``fixed`` for any number; never more than ``most``. Where memory runs out all the
    same, half as many are tried: ``work`` may be called again for items that it had begun with, so it adds nothing to
    anything before all its own memory is had. TooLarge where not even one fits.
    """
    if count:
        need(fixed + each, f"one of {count} {what}")
    size = min(count, most or count, max(1, (room() - fixed) // max(each, 1)))
    first = 0
    while first < count:
        last = min(first + size, count)
        with _running_out() as ran_out:
            work(first, last)
        if not ran_out:
            first = last
            continue
        free()
        if last - first == 1:
            raise _too_large(f"one of {count} {what}", fixed + each, ran_out[0])
        size = (last - first + 1) // 2
        if tell is not None:
            tell(f"memory of the GPU ran out with {last - first} {what} at once: going on with {size}")


@contextmanager
def _running_out() -> Iterator[list[str]]:
    """Yield a list that is told when memory ran out in the body. The error is not kept: it would hold arrays alive."""
    import cupy

    told: list[str] = []
    try:
        yield told
    except cupy.cuda.memory.OutOfMemoryError as error:
        told.append(_line(error))
    except RuntimeError as error:  # cuFFT has an error of its own for it; naming its class would load the library
        if "ALLOC_FAILED" not in str(error):
            raise
        told.append(_line(error))


def _line(error: Any) -> str:
    return " ".join(str(error).split())


def _too_large(what: str, size: int, said: str = "") -> TooLarge:
    import cupy

    device = cupy.cuda.Device()
    _, total = cupy.cuda.runtime.memGetInfo()
    limit = cupy.get_default_memory_pool().get_limit() or total
    more = f" ({said})" if said else ""
    return TooLarge(
        f"{what} takes {size / 2**30:.2f} GB on device {device.id}; {room() / 2**30:.2f} GB are free there, of "
        f"{limit / 2**30:.2f} GB that may be used{more}; use a GPU with more memory, or the CPU"
    )
