"""Work for a few threads, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Product = TypeVar("Product")


class Threads:
    """A fixed number of threads that live for one movie."""

    def __init__(self, count: int) -> None:
        """Start up to ``count`` threads."""
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="motion")

    def map(self, function: Callable[[Item], Product], items: Iterable[Item]) -> Iterator[Product]:
        """Yield ``function(item)`` in the items' order; one product more than there are threads may wait."""
        waiting: deque[Future[Product]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(function, item))
                if len(waiting) > self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def run(self, function: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Call ``function`` for each item and wait for all."""
        for _ in self.map(function, items):
            pass

    def __enter__(self) -> "Threads":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads, dropping what has not begun."""
        self._pool.shutdown(cancel_futures=True)
