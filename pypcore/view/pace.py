"""How fast a run goes and how long it still takes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pypcore import records
from pypcore.glance import Glance

RECENT_S, RECENT_ITEMS = 600.0, 30  # the longer of the two is what the pace is taken over
BARS = 60


@dataclass(frozen=True)
class Pace:
    """Items an hour over the last ``over_s`` seconds, seconds left at this pace, and since the last item ended."""

    per_hour: float
    left_s: float
    over_s: float
    last_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {key: round(value, 1) for key, value in asdict(self).items()}


def pace(known: Glance, now: float) -> Pace | None:
    """Return the pace of the run that goes on; None where none does, or no item of it has ended yet.

    A run that stands still slows down by itself: the time since its last item counts. What a queue took before the
    first item began doesn't.
    """
    if known.run is None or not known.running:
        return None
    ended = [(when, item) for item, when in ends(known) if when >= known.run.started]
    if not ended:
        return None
    ended.sort()
    first_s, first = ended[0]
    took = float((known.states[first].record or {}).get("wall_s") or 0.0)
    begin = max(known.run.started, first_s - took)
    start = now - RECENT_S
    if len(ended) > RECENT_ITEMS:
        start = min(start, ended[-RECENT_ITEMS - 1][0])
    start = max(start, begin)
    count = sum(when > start for when, _ in ended)
    over = max(now - start, 1e-3)
    last = now - ended[-1][0]
    if not count:
        return Pace(0.0, float("inf"), over, last)
    todo = known.counts[records.WAITING] + known.counts[records.RUNNING]
    return Pace(3600 * count / over, todo * over / count, over, last)


def ends(known: Glance) -> list[tuple[int, float]]:
    """Return each item that has ended, well or not, and when (seconds since 1970)."""
    ended = {records.DONE, *records.BAD, records.CANCELLED}
    return [
        (item, known.index.times[item])
        for item, outcome in enumerate(known.outcomes())
        if outcome in ended and known.index.times[item]
    ]


def throughput(times: Sequence[float], begin: float, end: float) -> list[int]:
    """Count what ended in each of ``BARS`` equal parts of the time from ``begin`` to ``end``."""
    bars = [0] * BARS
    wide = max(end - begin, 1e-3) / BARS
    for when in times:
        if begin <= when <= end:
            bars[min(BARS - 1, int((when - begin) / wide))] += 1
    return bars
