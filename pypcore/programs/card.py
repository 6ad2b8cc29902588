"""A card: all that is known of a program, as data. Cards are TOML files; ``docs/programs.md`` has their words.

A card describes one program (``[program]``: how it is found, its version, how success and failure are told) and the
operations it serves (``[operation.NAME]``: what it takes, its options, what it is called with, what it leaves).
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pypcore.errors import UsageError
from pypcore.spelling import refuse_unknown

Takes = Literal["movie", "micrograph", "tilt-series", "tomogram", "particles", "map", "file"]
Kind = Literal["int", "float", "bool", "text", "file"]
Spelling = Literal["spaces", "commas", "inherited", "first", "switch", "list", "environment"]
Check = Literal["image", "labels", "star", "text", "json", "file", "folder"]

SUFFIXES: dict[str, tuple[str, ...]] = {  # what a folder given as input is searched for
    "movie": (".tif", ".tiff", ".mrc", ".mrcs", ".eer"),
    "micrograph": (".mrc",),
    "tilt-series": (".mrc", ".st", ".mdoc"),
    "tomogram": (".mrc", ".rec"),
    "particles": (".star",),
    "map": (".mrc", ".map"),
    "file": ("",),
}
WORD = re.compile(r"\{([a-z0-9_]+)\}")
NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Option:
    """A parameter that a user sets. ``flag`` is the program's own; ``values`` numbers or words follow it.

    ``above``, ``least``, ``most`` bound a number. ``on`` and ``off`` are what a yes or no is written as; without them
    the flag alone is yes, and ``no`` a flag of its own. ``join`` puts several values into one word. Without a flag
    only templates and code use it.
    """

    name: str
    help: str
    type: Kind = "text"
    flag: str = ""
    default: Any = None
    unit: str = ""
    above: float | None = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    values: int = 1
    join: str = ""
    on: str = ""
    off: str = ""
    no: str = ""
    needed: bool = False


@dataclass(frozen=True)
class Output:
    """A file that must be there afterwards: a pattern in the scratch folder, and its place in the job.

    ``{name}`` is the item's name. ``when`` names options that must be given, or not be no, for it to be made; an
    output that is ``optional`` may be missing. ``column`` is RELION's name for it in the table of all items.
    """

    kind: str
    file: str
    to: str
    check: Check = "file"
    optional: bool = False
    when: tuple[str, ...] = ()
    column: str = ""


@dataclass(frozen=True)
class Devices:
    """How a program is told its GPUs, numbered from 0 among those that it sees.

    ``need``: it must have one, can use one (``--device cpu`` else), or never does. ``most``: how many it can use, 0 for
    any number. ``spelling``: ``-g 0 1`` spaces, ``--gpuID 0,1`` commas, ``inherited`` the same with the numbers of
    CUDA_VISIBLE_DEVICES, for a program that overwrites it, ``first`` one number (``several`` instead when there
    are more), ``switch`` the bare flag when there are several, ``list`` (0, 1) for files that a step writes,
    ``environment`` nothing at all. ``cpu``: the words that keep it on the CPU.
    """

    need: Literal["always", "can", "never"] = "never"
    most: int = 1
    spelling: Spelling = "environment"
    flag: str = ""
    several: str = ""
    cpu: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weights:
    """A file of learnt numbers that the option ``option`` names; ``known`` are SHA-256 sums and what they are."""

    option: str
    get: str = ""
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """The program itself. ``executable`` is searched on PATH unless the site says how to start it.

    ``version`` are the words that make it say its version, found by ``version_pattern``; with ``distribution``, the
    name of its Python package, it is read beside the interpreter instead. ``known`` are those that were tried.
    ``fatal`` are patterns in its output that mean failure whatever the exit code; ``fallback`` those of a silent
    retreat to the CPU; ``gpu_probe`` is Python for the interpreter beside it that ends well where it would find its
    GPU, for a program that says nothing. ``exits``: what exit codes mean. ``progress`` finds ``done`` and ``total``, or
    ``percent``. ``longest_path``: a word handed to it has at most so many bytes. ``tried``: how far this is proven.
    """

    name: str
    executable: str
    home: str = ""
    install: str = ""
    licence: str = ""
    version: tuple[str, ...] = ("--version",)
    version_pattern: str = r"(\d+(?:\.\d+)+)"
    distribution: str = ""
    known: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    exits: Mapping[str, str] = field(default_factory=dict)
    progress: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu_probe: str = ""
    longest_path: int = 0
    tried: str = ""


@dataclass(frozen=True)
class Card:
    """One operation of one program. ``words``: values that its code gives to steps; ``owns``: flags that it writes."""

    program: Program
    name: str
    summary: str
    takes: Takes
    file: Path
    revision: int = 1
    per: Literal["item", "data-set"] = "item"
    options: tuple[Option, ...] = ()
    devices: Devices = field(default_factory=Devices)
    weights: tuple[Weights, ...] = ()
    passes: Mapping[str, int | str] = field(default_factory=dict)
    steps: tuple[tuple[Any, ...], ...] = ()
    outputs: tuple[Output, ...] = ()
    code: str = ""
    words: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()

    def option(self, name: str) -> Option:
        """Return an option by its name."""
        return next(option for option in self.options if option.name == name)

    @property
    def own_flags(self) -> set[str]:
        """Return every flag that the card itself may write: none of them may be passed through."""
        words = {*self.owns} | {word for step in self.steps for word in _flat(step) if word.startswith("-")}
        return (
            words | {flag for option in self.options for flag in (option.flag, option.no)} | {self.devices.flag}
        ) - {""}


def read_cards(file: Path) -> list[Card]:
    """Read the operations of one program from its card; UsageError where a word is unknown or missing."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not TOML: {error}") from error
    try:
        refuse_unknown(table, ("program", "operation"), "table")
        program = _make(Program, {"name": file.stem, **table.get("program", {})}, "program")
        operations = table.get("operation", {})
        if not operations:
            raise UsageError("no [operation.NAME] in it: say what the program is called with and what it leaves")
        return [_card(program, name, dict(given), file) for name, given in operations.items()]
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def _card(program: Program, name: str, given: dict[str, Any], file: Path) -> Card:
    where = f"operation.{name}"
    if not NAME.fullmatch(name):
        raise UsageError(f"operation name '{name}': small letters, digits and hyphens only")
    options = given.pop("options", {})
    if not isinstance(options, dict):
        raise UsageError(f"{where}.options is not a table")
    made = {
        "options": tuple(
            _make(Option, {"name": key, **value}, f"{where}.options.{key}") for key, value in options.items()
        ),
        "outputs": tuple(
            _make(Output, {"kind": key, **value}, f"{where}.outputs.{key}")
            for key, value in given.pop("outputs", {}).items()
        ),
        "devices": _make(Devices, given.pop("devices", {}), f"{where}.devices"),
        "weights": tuple(_make(Weights, one, f"{where}.weights") for one in given.pop("weights", [])),
        "steps": tuple(tuple(step) for step in given.pop("steps", [])),
    }
    card: Card = _make(Card, {**given, **made, "program": program, "name": name, "file": file}, where)
    _check(card, where)
    return card


def _make(kind: type[Any], given: dict[str, Any], where: str) -> Any:
    """Build a dataclass from a table: names, choices and types checked."""
    known = {one.name: one for one in fields(kind)}
    refuse_unknown(given, known, f"word in [{where}]")
    for key, value in given.items():
        choices = get_args(known[key].type) if "Literal" in str(known[key].type) else ()
        if choices and value not in choices:
            raise UsageError(f"[{where}] {key} = {value!r}: one of {', '.join(map(str, choices))}")
        if str(known[key].type).startswith("tuple") and isinstance(value, list):
            given[key] = tuple(value)
        for wanted in (str, int, bool):
            if known[key].type is wanted and not isinstance(value, wanted):
                raise UsageError(f"[{where}] {key} = {value!r}: {wanted.__name__} is wanted")
    try:
        return kind(**given)
    except TypeError as error:
        missing = str(error).rpartition(": ")[2]
        raise UsageError(f"[{where}] lacks {missing}") from error


def _check(card: Card, where: str) -> None:
    """Refuse a card whose parts don't fit each other."""
    names = {option.name for option in card.options}
    for step in card.steps:
        for word in _flat(step):
            for used in WORD.findall(word):
                if used not in names | BUILT_IN | set(card.words):
                    raise UsageError(f"[{where}] steps: {{{used}}} is neither an option nor one of {sorted(BUILT_IN)}")
    for weights in card.weights:
        if weights.option not in names:
            raise UsageError(f"[{where}] weights: no option is called '{weights.option}'")
    for output in card.outputs:
        if output.to.startswith("/") or ".." in Path(output.to).parts:
            raise UsageError(f"[{where}] outputs.{output.kind}: '{output.to}' is not inside the job")
    for pattern in (*card.program.fatal, *card.program.fallback, card.program.progress, card.program.version_pattern):
        try:
            re.compile(f"(?:{pattern})")
        except re.error as error:
            raise UsageError(f"[program] {pattern!r} is no pattern: {error}") from error
    if (
        card.devices.need == "always"
        and card.devices.spelling in ("spaces", "commas", "first")
        and not card.devices.flag
    ):
        raise UsageError(f"[{where}.devices] flag is missing: how is the program told its GPUs?")
    if not card.code and not (card.steps and card.outputs):
        raise UsageError(f"[{where}] lacks steps or outputs: what is called, and what is there afterwards?")


BUILT_IN = {"program", "input", "inputs", "name", "options", "devices", "extra", "threads"}


def _flat(words: Any) -> list[str]:
    return [one for word in words for one in (_flat(word) if isinstance(word, list | tuple) else [str(word)])]
