"""Facts with their sources; whether those that say the same thing agree."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_SAME = 0.01  # share by which two sources may differ: resolution tags are rounded


@dataclass(frozen=True)
class Fact:
    """One value and where it was found."""

    value: Any
    source: str


@dataclass(frozen=True)
class Question:
    """What no file says: a parameter, what to answer, and why it matters."""

    key: str
    text: str
    example: str = ""


@dataclass
class Survey:
    """What was found in a folder: the ``operation`` and ``inputs`` it is for, facts by parameter, what is left to ask.

    ``found`` are parameters that all sources agree on, the first source first. ``conflicts`` are those they don't.
    """

    folder: str
    operation: str
    inputs: list[str]
    summary: str
    found: dict[str, list[Fact]] = field(default_factory=dict)
    conflicts: dict[str, list[Fact]] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def settle(self, facts: dict[str, list[Fact]]) -> None:
        """Sort facts into what is agreed and what is not."""
        for key, several in facts.items():
            distinct = distinct_facts(several)
            if len(distinct) == 1:
                self.found[key] = several
            elif distinct:
                self.conflicts[key] = distinct

    def ask(self, key: str, text: str, example: str = "") -> None:
        """Ask for a parameter, unless it was found; where sources disagree, ask which is right."""
        if key in self.found or any(question.key == key for question in self.questions):
            return
        self.questions.append(Question(key, text, example))

    def value(self, key: str) -> Any:
        """Return a parameter that was found; None else."""
        return self.found[key][0].value if key in self.found else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""

        def plain(facts: dict[str, list[Fact]]) -> dict[str, Any]:
            return {
                key: [{"value": one.value, "source": one.source} for one in several] for key, several in facts.items()
            }

        return {
            "folder": self.folder,
            "operation": self.operation,
            "inputs": self.inputs,
            "summary": self.summary,
            "found": plain(self.found),
            "conflicts": plain(self.conflicts),
            "questions": [vars(one) for one in self.questions],
            "notes": self.notes,
        }


def distinct_facts(facts: Iterable[Fact]) -> list[Fact]:
    """Return one fact for each value that differs from those before it."""
    kept: list[Fact] = []
    for fact in facts:
        if not any(_same(fact.value, other.value) for other in kept):
            kept.append(fact)
    return kept


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(abs(a - b) <= _SAME * max(abs(a), abs(b)))
    return bool(a == b)


def span(values: Iterable[float]) -> str:
    """Write the least and the most of some numbers, one where they are the same."""
    ordered = sorted(values)
    low, high = f"{ordered[0]:.5g}", f"{ordered[-1]:.5g}"
    return low if low == high else f"{low} to {high}"
