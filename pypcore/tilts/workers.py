"""Who does the work of an alignment: threads with NumPy, or one GPU with CuPy; the code of both is one.

Coefficients, models and frames are the host's, whoever works: they are small. What stays on a GPU is what is large and
used again: the small copies of the views, and the inverse covariances of a likelihood.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.parallel import Threads

Item = TypeVar("Item")
Product = TypeVar("Product")


class Workers:
    """Threads; with ``on_gpu`` the device that is current where they are made, and where they are used."""

    def __init__(self, threads: Threads, *, on_gpu: bool = False) -> None:
        self.threads, self.on_gpu = threads, on_gpu
        self.xp: Any = np
        if on_gpu:
            import cupy

            self.xp = cupy
        self._last: tuple[NDArray[Any] | None, Any] = None, None

    def map(self, function: Callable[[Item], Product], items: Iterable[Item]) -> Iterator[Product]:
        """Yield ``function(item)`` in the items' order: by all threads, or by the one whose device is current."""
        return map(function, items) if self.on_gpu else self.threads.map(function, items)

    def run(self, function: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Call ``function`` for each item and wait for all."""
        for _ in self.map(function, items):
            pass

    def pieces(self, count: int, each: int) -> list[slice]:
        """Cut ``range(count)``: single ones for threads, for a GPU as many of ``each`` bytes as it has room for."""
        size = 1
        if self.on_gpu:
            from pypcore.kernels.gpu import memory

            memory.need(each, "a column of frequencies of an alignment")
            size = max(1, memory.room() // (2 * max(each, 1)))
        return [slice(low, min(low + size, count)) for low in range(0, count, size)]

    def there(self, array: NDArray[Any]) -> Any:
        """Return an array where the work is done; the last one is kept, for whoever asks for the same again."""
        if not self.on_gpu:
            return array
        if self._last[0] is not array:
            self._last = None, None  # its memory is free before more is asked for
            self._last = array, self.xp.asarray(array)
        return self._last[1]

    def home(self, array: Any) -> NDArray[Any]:
        """Return an array in the host's memory."""
        return np.asarray(array.get() if self.on_gpu else array)

    def rfft2(self, images: Any) -> Any:
        """Transform the last two axes of float32 arrays."""
        return self.xp.fft.rfft2(images) if self.on_gpu else fft.rfft2(images)

    def irfft2(self, spectra: Any, shape: tuple[int, int]) -> Any:
        """Transform back to ``shape`` (y, x)."""
        return self.xp.fft.irfft2(spectra, shape) if self.on_gpu else fft.irfft2(spectra, shape)
