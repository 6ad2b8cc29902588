"""Arguments that a user passes through to a program, checked: the programs themselves ignore what they misread."""

import re
import shlex

from pypcore.programs.card import Card
from pypcore.spelling import did_you_mean

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FLAG = re.compile(r"--?[A-Za-z]")


def read_extra(card: Card, text: str) -> list[str]:
    """Split ``text`` as a shell would, and refuse (ValueError) what the card knows to be wrong.

    A flag that the card itself writes is refused, and one that the program doesn't have where the card lists them
    (``passes``: flag to "int 1-2", "float 2", "text", "none", or the number of words that follow).
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"extra {text!r}: {error}") from error
    flag, values = "", list[str]()
    for word in [*words, None]:
        if word is not None and not _FLAG.match(word):
            if not flag:
                raise ValueError(f"extra: '{word}' comes before any flag; write it as --extra '-Flag value'")
            values.append(word)
            continue
        if flag:
            _check(card, flag, values)
        flag, values = word or "", []
        if "=" in flag:
            head, _, value = flag.partition("=")
            if not head.startswith("--"):
                raise ValueError(f"extra: '{flag}' is not read by {card.program.name}; write '{head} {value}'")
            flag, values = head, [value]
    return words


def _check(card: Card, flag: str, values: list[str]) -> None:
    own = {one.lower(): one for one in card.own_flags}
    if flag.lower() in own:
        options = [option.name.replace("_", "-") for option in card.options if option.flag.lower() == flag.lower()]
        instead = f"; give --{options[0]}" if options else "; it is set for you"
        raise ValueError(f"extra: {flag} is written by pypcore itself{instead}")
    if not card.passes:
        return
    known = {one.lower(): one for one in card.passes}
    if flag.lower() not in known:
        raise ValueError(f"extra: {card.program.name} has no {flag}{did_you_mean(flag, card.passes)}")
    _count(card, flag, values, card.passes[known[flag.lower()]])


def _count(card: Card, flag: str, values: list[str], rule: int | str) -> None:
    kind, _, count = str(rule).partition(" ") if isinstance(rule, str) else ("text", " ", str(rule))
    if kind == "none":
        count = "0"
    least, _, most = (count or "1").partition("-")
    if not int(least) <= len(values) <= (int(most) if most else int(least)):
        raise ValueError(f"extra: {flag} takes {count or '1'} values, not {len(values)}: {' '.join(values) or 'none'}")
    for value in values:
        if kind in ("int", "float") and not _NUMBER.fullmatch(value):
            raise ValueError(
                f"extra: {flag} {value}: {card.program.name} wants numbers, apart by blanks, and reads no other"
            )
        if kind == "int" and not re.fullmatch(r"[+-]?\d+", value):
            raise ValueError(f"extra: {flag} {value}: a whole number is wanted")
