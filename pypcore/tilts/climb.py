"""The top of a likelihood along one number."""

from collections.abc import Callable
from typing import Protocol, TypeVar


class Likely(Protocol):
    """What has a likelihood, relative to that of views that have nothing to do with each other."""

    @property
    def log_ratio(self) -> float:
        """The higher the better."""
        ...


Found = TypeVar("Found", bound=Likely)


def climb(
    tried: Callable[[float, Found], Found], start: float, here: Found, step: float, *, limit: float, finest: float
) -> tuple[float, Found, float]:
    """Return where the likelihood is highest, what was found there, and its standard error (inf: no top found).

    ``tried(value, nearest)`` evaluates one value, from what was found at the nearest one so far. Steps of ``step``
    first, a third of it each time a top lies between two of them, until ``finest``; ``limit`` from ``start`` at most.
    """
    found = {start: here}

    def at(value: float) -> float:
        if value not in found:
            nearest = min(found, key=lambda known: abs(known - value))
            found[value] = tried(value, found[nearest])
        return found[value].log_ratio

    best, error = start, float("inf")
    while True:
        low, middle, high = at(best - step), at(best), at(best + step)
        if max(low, high) > middle:
            further = best - step if low > high else best + step
            if abs(further - start) > limit:
                break
            best = further
            continue
        bend = low - 2 * middle + high
        if bend < 0:
            error = (-bend / step**2) ** -0.5
            vertex = best + step * max(-0.5, min(0.5, (low - high) / (2 * bend)))
            if at(vertex) > at(best):
                best = vertex
        if step <= finest:
            break
        step /= 3
    return best, found[best], error
