"""Did you mean ...?"""

from collections.abc import Iterable
from difflib import get_close_matches

from pypcore.errors import UsageError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, else ``"; known: a, b, c"``."""
    known = sorted(known)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"


def refuse_unknown(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise UsageError for the first name that is not known, with the nearest that is."""
    known = list(known)
    for name in given:
        if name not in known:
            raise UsageError(f"unknown {what} '{name}'{did_you_mean(name, known)}")
