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
        return _shipped_operation(name) if name in shipped() else None
    cards = {card.name: card for card in read_cards(Path(path).absolute())}
    if not wanted and len(cards) > 1:
        raise UsageError(f"{path} has several operations: name one, as {path}#{next(iter(cards))}; {', '.join(cards)}")
    if wanted and wanted not in cards:
        raise UsageError(f"{path} has no operation '{wanted}'; it has {', '.join(cards)}")
    card = cards[wanted] if wanted else next(iter(cards.values()))
    operation = Described(card)
    operation.name = f"{Path(path).absolute()}#{card.name}"  # how a worker finds it again
    return operation


@functools.cache
def _shipped_operation(name: str) -> "Described":
    return Described(shipped()[name])


class Described:
    """The operation of a card. What help texts need is here; all verbs are the adapter's, which is loaded for them."""

    def __init__(self, card: Card) -> None:
        from pypcore.programs.parameters import make_parameters

        self.card = card
        self.name = card.name
        self.version = card.revision
        self.summary = card.summary
        self.Parameters = make_parameters(card, lambda params: self.adapter.rules(params))

    @functools.cached_property
    def adapter(self) -> Any:
        """The adapter, with the code that the card names: it imports NumPy and more."""
        module, _, kind = (self.card.code or "pypcore.programs.adapter:Adapter").partition(":")
        return getattr(import_module(module), kind)(self.card)

    def __getattr__(self, verb: str) -> Any:
        if verb == "adapter":
            raise AttributeError(verb)
        return getattr(self.adapter, verb)
