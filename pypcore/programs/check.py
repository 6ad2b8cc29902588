"""Where each program stands on this machine: found or not, which version, how it is started, its GPU, its weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pypcore.devices import list_gpus
from pypcore.errors import SetupError
from pypcore.programs.adapter import sha256
from pypcore.programs.card import Card, Program
from pypcore.programs.registry import shipped
from pypcore.programs.start import IN_PROJECT, Start, find_start
from pypcore.programs.version import ask_version


@dataclass(frozen=True)
class WeightsFound:
    """A file of learnt numbers: where, its sum, and what that is known to be; ``problem`` where it can't be used."""

    option: str
    path: str = ""
    sha256: str = ""
    known_as: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Standing:
    """How it stands with one program; ``problem`` says what is wrong, ``do`` what to do about it."""

    program: str
    operations: tuple[str, ...]
    found: bool
    start: str = ""
    executable: str = ""
    version: str = ""
    version_known: bool | None = None
    gpu: str = ""
    weights: tuple[WeightsFound, ...] = field(default_factory=tuple)
    problem: str = ""
    do: str = ""


def programs() -> dict[str, list[Card]]:
    """Return the shipped operations by their program."""
    by_name: dict[str, list[Card]] = {}
    for card in shipped().values():
        by_name.setdefault(card.program.name, []).append(card)
    return by_name


def stand(cards: Sequence[Card], root: Path, *, fresh: bool = False, limit: int = 60) -> Standing:
    """Look at one program, whose operations ``cards`` are; ask its version anew when ``fresh``."""
    program = cards[0].program
    operations = tuple(card.name for card in cards)
    try:
        start = find_start(program.name, root)
        executable = start.executable(program)
    except SetupError as error:
        do = f"{program.install or 'install it'}, or say in {IN_PROJECT} how it is started"
        return Standing(program.name, operations, False, problem=str(error), do=do)
    gpu, gpu_problem = _gpu(cards)
    weights = tuple(_weights(card, start) for card in cards for _ in card.weights)
    version, known, problem, do = _version(program, start, fresh, limit)
    if not problem and gpu_problem:
        problem, do = gpu_problem, "run it where there is a GPU: pypcore submit, or another machine"
    return Standing(
        *(program.name, operations, True, start.words, executable, version, known, gpu, weights, problem, do)
    )


def _version(program: Program, start: Start, fresh: bool, limit: int) -> tuple[str, bool | None, str, str]:
    if not program.version and not program.distribution:
        return "", None, "", ""
    answer = ask_version(program, start, fresh=fresh, limit=limit)
    if answer.problem:
        return "", None, answer.problem, "start it by hand; mend its installation"
    known = answer.text in program.known if program.known else None
    return answer.text, known, "", ""


def _gpu(cards: Sequence[Card]) -> tuple[str, str]:
    """Say what the program needs, and what is missing of it here."""
    needs = {card.devices.need for card in cards}
    there = len(list_gpus())
    if "always" in needs:
        return f"needs one; {there} here", "" if there else "needs a GPU, and this machine has none"
    if "can" in needs:
        return f"can use one; {there} here{'' if there else ': give --device cpu'}", ""
    return "none needed", ""


def _weights(card: Card, start: Start) -> WeightsFound:
    """Look at the weights that the site names for everybody."""
    (weights,) = card.weights
    given = start.weights.get(weights.option)
    if not given:
        flag = weights.option.replace("_", "-")
        return WeightsFound(weights.option, problem=f"not named here; each job gives --{flag}. {weights.get}".rstrip())
    path = Path(given)
    if not path.is_file():
        return WeightsFound(weights.option, given, problem="no such file")
    digest = sha256(path)
    return WeightsFound(weights.option, given, digest, weights.known.get(digest, ""))
