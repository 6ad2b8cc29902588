"""How a watch stands: told while it goes on, and left in ``watch.json`` for whoever shows it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pypcore.job import Job
from pypcore.local import Outcome, Silent
from pypcore.products import write_text
from pypcore.watching.pace import Rates

SCHEMA = 1
MOST_LISTED = 100


@dataclass(frozen=True)
class Standing:
    """Counts of items, and the files that are not taken yet with what they wait for."""

    taken: int
    done: int
    bad: int
    in_hand: int
    waiting: int
    not_whole: Mapping[str, str]
    rates: Rates | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        listed = dict(list(self.not_whole.items())[:MOST_LISTED])
        table = {key: value for key, value in vars(self).items() if key not in ("not_whole", "rates")}
        table |= {"not_whole": listed, "not_whole_count": len(self.not_whole)}
        return table | {"pace": None if self.rates is None else self.rates.to_dict()}


class WatchListener(Silent):
    """Hears what a watch does; says nothing."""

    def standing(self, standing: Standing) -> None:
        """Something was looked at."""

    def note(self, text: str) -> None:
        """Something that a user should know."""

    def behind(self, rates: Rates, here: bool) -> None:
        """More arrives than is done, for the first time or still."""

    def keeping_up(self) -> None:
        """It has caught up."""


@dataclass
class WatchOutcome(Outcome):
    """How a watch ended. ``left``: files that were not whole, and are not taken."""

    left: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when all that arrived is done, 1 when something failed or is left, 4 when it was stopped before."""
        if self.cancelled:
            return super().exit_code
        if not self.states:
            return 1 if self.left else 0
        return super().exit_code or (1 if self.left else 0)


def write_standing(job: Job, standing: Standing) -> None:
    """Leave the standing in ``watch.json``."""
    table = {"schema": SCHEMA, "time": round(time.time(), 3), **standing.to_dict()}
    write_text(job.watch_file, json.dumps(table, indent=1) + "\n")
