"""Which operations of programs there are: of the cards here, and of a card that a user names by its path."""

import functools
from importlib import import_module
from pathlib import Path
from typing import Any

from pypcore.errors import UsageError
from pypcore.programs.card import Card, read_cards

CARDS = Path(__file__).parent / "cards"


@functools.cache
def shipped() -> dict[str, Card]:
    """Return every shipped operation's card, by the operation's name."""
    return {card.name: card for file in sorted(CARDS.glob("*.toml")) for card in read_cards(file)}


def find_program(name: str) -> Any:
    """Return the operation called ``name``, or that of the card at the path ``name``; None where there is none.

    A user's card is named by its path, ``my.toml``; ``my.toml#denoise`` names one of several operations in it.
    """
    path, _, wanted = name.partition("#")
    if not path.endswith(".toml"):
        return make(shipped()[name]) if name in shipped() else None
    cards = {card.name: card for card in read_cards(Path(path).absolute())}
    if not wanted and len(cards) > 1:
        raise UsageError(f"{path} has several operations: name one, as {path}#{next(iter(cards))}; {', '.join(cards)}")
    if wanted and wanted not in cards:
        raise UsageError(f"{path} has no operation '{wanted}'; it has {', '.join(cards)}")
    card = cards[wanted] if wanted else next(iter(cards.values()))
    operation = make(card)
    operation.name = f"{Path(path).absolute()}#{card.name}"  # how a worker finds it again
    return operation


def make(card: Card) -> Any:
    """Return the operation of a card, with the code that it names."""
    from pypcore.programs.adapter import Adapter

    if not card.code:
        return Adapter(card)
    module, _, kind = card.code.partition(":")
    return getattr(import_module(module), kind)(card)
