"""What a job may use: threads, memory, walltime and generic resources, for Launch, Split and Merge.

Pure: no files, no clocks, no look at the machine. The words and the defaults are nextPYP's
(docs/resources.md): resources are given for one task, memory per thread, and each phase has its own. The text
forms are SLURM's, so that what a user knows from ``sbatch`` means the same here:

* memory: a plain number is GB; K, M, G and T are powers of 1024 (SLURM's G is 1024 MiB). Kept in whole MiB.
* walltime: ``m``, ``m:s``, ``h:m:s``, ``d-h``, ``d-h:m``, ``d-h:m:s``. Kept in seconds.
* gres: ``name[:type][:count]``, lists by comma. Types are case-sensitive, as in SLURM.

Every refusal is a ``UsageError`` of one line: what was given, the rule, what works.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, Self

from pypcore.errors import UsageError
from pypcore.spelling import refuse_unknown

MIB_PER_GB = 1024
DAY = 86_400
LONGEST_WALLTIME = 2**31 - 1  # seconds, about 68 years: what SLURM's own parser can hold

# ---- memory ---------------------------------------------------------------------------------------------

_MEMORY = re.compile(r"(\d+\.?\d*|\.\d+)\s*(?:([KMGT])(?:i?B)?)?", re.ASCII | re.IGNORECASE)
_MIB = {"K": Fraction(1, 1024), "M": Fraction(1), "G": Fraction(1024), "T": Fraction(1024**2)}
_MEMORY_FORMS = "4 (GB), 1.5, 4G, 4000M"


def parse_memory(given: str | int | float) -> int:
    """Read an amount of memory, in MiB, rounded up to a whole MiB.

    A number without a unit is GB; 1 GB is 1024 MiB, as SLURM's ``G``. K, M, G, T may be followed by ``B`` or
    ``iB`` and may be written small; all are powers of 1024.
    """
    text = str(given).strip()
    match = None if isinstance(given, bool) else _MEMORY.fullmatch(text)
    if match is None:
        raise UsageError(f"memory {text!r} is not an amount; write it as {_MEMORY_FORMS}")
    number, unit = match.groups(default="G")
    mib = -(-Fraction(number) * _MIB[unit.upper()] // 1)
    if mib == 0:
        raise UsageError(f"memory {text!r} is nothing; a task needs some: write it as {_MEMORY_FORMS}")
    return int(mib)


def format_memory(mib: int) -> str:
    """Write MiB in the largest unit that keeps it whole, ``"4G"`` or ``"1536M"``, for ``parse_memory``."""
    for unit, size in (("T", 1024**2), ("G", 1024)):
        if mib and mib % size == 0:
            return f"{mib // size}{unit}"
    return f"{mib}M"


# ---- walltime -------------------------------------------------------------------------------------------

_WALLTIME = re.compile(
    r"(?P<m>\d+)(?::(?P<s>\d+))?"
    r"|(?P<h3>\d+):(?P<m3>\d+):(?P<s3>\d+)"
    r"|(?P<d>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?",
    re.ASCII,
)
_WALLTIME_FORMS = "90 (minutes), 5:30 (m:s), 12:00:00 (h:m:s), 2-12 (d-h), 1-00:00:00 (d-h:m:s)"


def parse_walltime(given: str | int) -> int:
    """Read a walltime, in seconds, in every form SLURM takes.

    A plain number is minutes and ``5:30`` is minutes and seconds. As in SLURM the fields have no upper limit:
    ``90:00`` is ninety minutes, ``36:00:00`` a day and a half, ``1-30`` two days and six hours. Unlike SLURM
    nothing means "no limit": a walltime is at least a second.
    """
    text = str(given).strip()
    if text.upper() in ("UNLIMITED", "INFINITE", "-1"):
        raise UsageError(f"walltime {text!r} has no end; a job needs a limit: write it as {_WALLTIME_FORMS}")
    match = None if isinstance(given, bool) else _WALLTIME.fullmatch(text)
    if match is None:
        raise UsageError(f"walltime {text!r} is not a time; write it as {_WALLTIME_FORMS}")
    part = {name: int(digits or 0) for name, digits in match.groupdict().items()}
    hours = part["h3"] + part["dh"]
    minutes = part["m"] + part["m3"] + part["dm"]
    seconds = part["d"] * DAY + hours * 3600 + minutes * 60 + part["s"] + part["s3"] + part["ds"]
    if seconds == 0:
        raise UsageError(f"walltime {text!r} is no time at all; write it as {_WALLTIME_FORMS}")
    if seconds > LONGEST_WALLTIME:
        longest = format_walltime(LONGEST_WALLTIME)
        raise UsageError(f"walltime {text!r} is longer than SLURM can hold; at most {longest}")
    return seconds


def format_walltime(seconds: int) -> str:
    """Write seconds as ``D-HH:MM:SS``, which ``parse_walltime`` reads back."""
    days, rest = divmod(seconds, DAY)
    return f"{days}-{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def describe_walltime(seconds: int) -> str:
    """Say seconds in words, ``"5 minutes 30 seconds"``: printed so that nobody takes 5:30 for hours."""
    parts = (
        (seconds // DAY, "day"),
        (seconds // 3600 % 24, "hour"),
        (seconds // 60 % 60, "minute"),
        (seconds % 60, "second"),
    )
    return " ".join(f"{n} {unit}{'s' if n > 1 else ''}" for n, unit in parts if n) or "0 seconds"


# ---- gres -----------------------------------------------------------------------------------------------

_GRES_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_GRES_TYPE = re.compile(r"\w[\w.+-]*", re.ASCII)
_GRES_COUNT = re.compile(r"(\d+)([KMGTP]?)", re.ASCII | re.IGNORECASE)
_GRES_FORMS = "gpu, gpu:2, gpu:H100:1, shard:4, lists by comma"
_GPU_NAMES = ("gpu", "shard", "mps")  # SLURM's whole GPUs and its two ways of sharing one


@dataclass(frozen=True)
class Gres:
    """A generic resource of one task: ``gpu:H100:2`` is ``Gres("gpu", "H100", 2)``; no type, any will do."""

    name: str
    type: str | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if not _GRES_NAME.fullmatch(self.name) or self.name == "gres":
            raise UsageError(f"gres {self.name!r} is not a name of letters and digits; write it as {_GRES_FORMS}")
        if self.name.lower() in _GPU_NAMES and self.name not in _GPU_NAMES:
            raise UsageError(f"gres {self.name!r}: names are case-sensitive in SLURM; write {self.name.lower()!r}")
        if self.type is not None and not _GRES_TYPE.fullmatch(self.type):
            raise UsageError(f"gres type {self.type!r} has characters no type has; write it as {_GRES_FORMS}")
        _check_whole(f"gres {self.name}: count", self.count, 1)

    def __str__(self) -> str:
        """Write it as SLURM takes it, always with its count: an all-digit type can't be taken for one."""
        return ":".join(part for part in (self.name, self.type, str(self.count)) if part)


def parse_gres(given: str) -> tuple[Gres, ...]:
    """Read SLURM's ``--gres``: ``name[:type][:count]``, several by comma; nothing or ``none`` is no gres.

    A second field that is a whole number (K, M, G, T, P: powers of 1024) is a count, as in SLURM, and else a
    type: ``gpu:1080`` asks for 1080 GPUs, ``gpu:1080:1`` for one of type 1080. A ``gres:`` or ``gres/`` in
    front, as ``squeue`` and ``sacct`` print it, is taken off.
    """
    if not isinstance(given, str):
        raise UsageError(f"gres {given!r} is not text; write it as {_GRES_FORMS}")
    if given.strip().lower() in ("", "none"):
        return ()
    found = tuple(_parse_one_gres(part.strip()) for part in given.split(","))
    _check_gres_list(found)
    return found


def _parse_one_gres(text: str) -> Gres:
    name, *rest = re.sub(r"^gres[:/]", "", text).split(":")
    count = _GRES_COUNT.fullmatch(rest[-1]) if rest else None
    if len(rest) > 2 or (len(rest) == 2 and count is None):
        raise UsageError(f"gres {text!r} is not name:type:count; write it as {_GRES_FORMS}")
    number = int(count[1]) * 1024 ** " KMGTP".index(count[2].upper() or " ") if count else 1
    types = rest[:-1] if count else rest
    return Gres(name, types[0] if types else None, number)


def _check_gres_list(asked: tuple[Gres, ...]) -> None:
    for name in {gres.name for gres in asked}:
        types = [gres.type for gres in asked if gres.name == name]
        if len(types) > len(set(types)) or (None in types and len(types) > 1):
            raise UsageError(
                f"gres {format_gres(asked)!r} asks for {name!r} twice; name each type once, or give one count"
            )


def format_gres(asked: tuple[Gres, ...]) -> str:
    """Write a list of gres as SLURM takes it; ``parse_gres`` reads it back."""
    return ",".join(map(str, asked))


def count_gpus(asked: tuple[Gres, ...]) -> int:
    """Count the whole GPUs asked for, of any type. Shares of one (``shard``, ``mps``) are not counted."""
    return sum(gres.count for gres in asked if gres.name == "gpu")


# ---- the phases -----------------------------------------------------------------------------------------


def _check_whole(what: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{what} {value!r} is not a whole number; at least {least}")
    if value < least:
        raise UsageError(f"{what} {value} is too small; at least {least}")


@dataclass(frozen=True)
class PhaseResources:
    """What one task of a phase may use (Launch and Merge are one task each)."""

    threads: int = 1
    """CPUs, as the operating system and SLURM count them."""
    memory: int = 4 * MIB_PER_GB
    """MiB per thread."""
    walltime: int = DAY
    """Seconds. In Split it limits a bundle, here as on SLURM."""
    gres: tuple[Gres, ...] = ()

    def __post_init__(self) -> None:
        _check_whole("threads", self.threads, 1)
        _check_whole("memory per thread in MiB", self.memory, 1)
        _check_whole("walltime in seconds", self.walltime, 1)
        _check_gres_list(self.gres)

    @property
    def total_memory(self) -> int:
        """Memory of one task, in MiB: threads times memory per thread."""
        return self.threads * self.memory

    @property
    def asks_gpu(self) -> bool:
        """Say whether a GPU, or a share of one, is asked for."""
        return any(gres.name in _GPU_NAMES for gres in self.gres)

    def with_gpu(self, count: int = 1) -> Self:
        """Return these resources with ``gpu:count`` added, unless a GPU or a share of one is asked for."""
        return self if self.asks_gpu else replace(self, gres=(*self.gres, Gres("gpu", count=count)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in the user's units: ``{"threads": 1, "memory": "4G", …}``."""
        return {name: key.write(getattr(self, key.field)) for name, key in self._keys().items()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` writes, or any part of it; what is not given has its default."""
        keys = cls._keys()
        refuse_unknown(given, keys, "resource")
        return cls(**{keys[name].field: keys[name].read(value) for name, value in given.items()})

    @classmethod
    def _keys(cls) -> "dict[str, _Key]":
        return {
            "threads": _Key("threads"),
            "memory": _Key("memory", parse_memory, format_memory),
            "walltime": _Key("walltime", parse_walltime, format_walltime),
            "gres": _Key("gres", parse_gres, format_gres),
        }


@dataclass(frozen=True)
class SplitResources(PhaseResources):
    """What one task of Split may use, what all that run at once may use, and how tasks are bundled."""

    total_threads: int = 0
    """Threads of all tasks at once; 0 is no limit."""
    total_memory_limit: int = 0
    """MiB of all tasks at once; 0 is no limit. ``total_memory`` in a dict or TOML file."""
    bundle_size: int = 1
    """Tasks that one worker does one after another."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_whole("total threads", self.total_threads, 0)
        _check_whole("total memory in MiB", self.total_memory_limit, 0)
        _check_whole("bundle size", self.bundle_size, 1)

    @classmethod
    def _keys(cls) -> "dict[str, _Key]":
        return {
            **super()._keys(),
            "total_threads": _Key("total_threads"),
            "total_memory": _Key("total_memory_limit", _parse_memory_limit, _format_memory_limit),
            "bundle_size": _Key("bundle_size"),
        }


@dataclass(frozen=True)
class _Key:
    """How a field is named, read and written in a dict of the user's."""

    field: str
    read: Callable[[Any], Any] = lambda value: value
    write: Callable[[Any], Any] = lambda value: value


def _parse_memory_limit(given: str | int | float) -> int:
    return 0 if given in (0, "0") and given is not False else parse_memory(given)


def _format_memory_limit(mib: int) -> str | int:
    return format_memory(mib) if mib else 0


# ---- where, and all together ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Placement:
    """Where SLURM should put the job: handed to ``sbatch`` as it is. The local pool uses none of it."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    reservation: str | None = None
    extra_lines: tuple[str, ...] = ()
    """Free ``sbatch`` options, one a line: ``--mail-type=END``."""

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if name != "extra_lines" and not (isinstance(value, str) and re.fullmatch("[!-~]+", value)):
                raise UsageError(f"{name} {value!r} is not a name; write it in ASCII without blanks, or leave it out")
        for line in self.extra_lines:
            if not (isinstance(line, str) and line.strip() and line.isprintable()):
                raise UsageError(f"extra line {line!r} is not one line of text; give each sbatch option by itself")

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as plain values."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        given["extra_lines"] = list(self.extra_lines) or None
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` writes."""
        refuse_unknown(given, [item.name for item in fields(cls)], "placement")
        lines = given.get("extra_lines", [])
        if not isinstance(lines, (list, tuple)):
            raise UsageError(f"extra_lines {lines!r} is not a list; give each sbatch option by itself")
        return cls(**{**given, "extra_lines": tuple(lines)})


@dataclass(frozen=True)
class Resources:
    """The resources of a job, phase by phase."""

    launch: PhaseResources = field(default_factory=PhaseResources)
    split: SplitResources = field(default_factory=SplitResources)
    merge: PhaseResources = field(default_factory=PhaseResources)
    placement: Placement = field(default_factory=Placement)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain values in the user's units, a table for each part."""
        return {item.name: getattr(self, item.name).to_dict() for item in fields(self)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` writes, or any part of it; an error says which phase it is in."""
        readers = {
            "launch": PhaseResources.from_dict,
            "split": SplitResources.from_dict,
            "merge": PhaseResources.from_dict,
            "placement": Placement.from_dict,
        }
        refuse_unknown(given, readers, "phase")
        parts: dict[str, Any] = {}
        for name, table in given.items():
            if not isinstance(table, Mapping):
                raise UsageError(f"{name} {table!r} is not a table; write {name} = {{ ... }}")
            try:
                parts[name] = readers[name](table)
            except UsageError as error:
                raise UsageError(f"{name}: {error}") from None
        return cls(**parts)
