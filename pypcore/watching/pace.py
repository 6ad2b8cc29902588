"""Whether the work keeps up with what arrives."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WINDOW_S = 600.0
LEAST_S = 60.0  # nothing is said of the pace before
_SLACK = 1.05


@dataclass(frozen=True)
class Rates:
    """Items a minute that arrive and that are done, and what waits. ``behind``: more arrive than are done."""

    arriving: float
    done: float
    waiting: int
    behind: bool
    catch_up_s: float | None
    """Seconds until nothing waits, at these rates; None where that is never, or not known."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "arriving_per_min": round(self.arriving, 2),
            "done_per_min": round(self.done, 2),
            "waiting": self.waiting,
            "behind": self.behind,
            "catch_up_s": None if self.catch_up_s is None else round(self.catch_up_s),
        }


class Pace:
    """Counts arrivals and ends over the last ten minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.begun = clock()
        self._arrived: deque[float] = deque()
        self._ended: deque[float] = deque()

    def arrived(self, count: int = 1) -> None:
        """Count arrivals."""
        self._arrived.extend([self.clock()] * count)

    def ended(self) -> None:
        """Count an item that is over, well or badly."""
        self._ended.append(self.clock())

    def rates(self, waiting: int) -> Rates | None:
        """Return the rates; None before there is anything to go by. ``waiting`` items wait or are in hand."""
        now = self.clock()
        for times in (self._arrived, self._ended):
            while times and now - times[0] > WINDOW_S:
                times.popleft()
        span = min(now - self.begun, WINDOW_S)
        if span < LEAST_S:
            return None
        arriving, done = (60 * len(times) / span for times in (self._arrived, self._ended))
        behind = waiting > 1 and arriving > done * _SLACK
        gain = done - arriving
        catch_up = 60 * waiting / gain if waiting and gain > 0 else None
        return Rates(arriving, done, waiting, behind, catch_up)
