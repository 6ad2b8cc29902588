"""What a site wants of its users' jobs, in one TOML file: where each phase runs, and what its script does first.

``pypcore-site.toml`` in the project folder, else ``~/.config/pypcore/site.toml``:

    [default]                       # every phase
    account = "cryoem"
    setup = ["module load cuda/12"]
    [merge]                         # or launch, split
    partition = "short"
    [gres.gpu]                      # a phase that asks for any GPU
    partition = "gpu"
    [gres."gpu:H100"]               # for this type
    partition = "hopper"
    extra_lines = ["--switches=1"]

Later tables win over earlier ones in the order shown here, and the user's own options over all; ``extra_lines``
(sbatch options) and ``setup`` (shell lines) are added up instead. Everything is checked when the file is read.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pypcore.errors import UsageError
from pypcore.resources import Gres, PhaseResources, Placement, Resources
from pypcore.slurm.submission import PHASES, Site
from pypcore.spelling import refuse_unknown

IN_PROJECT = "pypcore-site.toml"
OF_USER = Path(".config/pypcore/site.toml")  # below the user's home folder


@dataclass(frozen=True)
class Choice:
    """What one table of a template says."""

    placement: Placement = field(default_factory=Placement)
    setup: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A site's choices: for every phase, for each, for each kind of gres (``gpu``, ``gpu:H100``)."""

    default: Choice = field(default_factory=Choice)
    phases: Mapping[str, Choice] = field(default_factory=dict)
    gres: Mapping[str, Choice] = field(default_factory=dict)

    def choices(self, phase: str, task: PhaseResources) -> Iterator[Choice]:
        """Yield what holds for a phase with these resources, the more special later."""
        yield self.default
        if phase in self.phases:
            yield self.phases[phase]
        untyped = [gres.name for gres in task.gres]
        typed = [f"{gres.name}:{gres.type}" for gres in task.gres if gres.type]
        yield from (self.gres[kind] for kind in dict.fromkeys(untyped + typed) if kind in self.gres)

    def place(self, resources: Resources) -> Site:
        """Return where each phase runs and what its script does first; ``resources.placement``, the user's, wins."""
        site = Site()
        for phase in PHASES:
            choices = [*self.choices(phase, getattr(resources, phase)), Choice(resources.placement)]
            chosen: dict[str, Any] = {}
            for choice in choices:
                chosen |= choice.placement.to_dict()
            chosen["extra_lines"] = [line for choice in choices for line in choice.placement.extra_lines]
            site.placements[phase] = Placement.from_dict(chosen)
            site.setup[phase] = [line for choice in choices for line in choice.setup]
        return site


def find_site(given: Path | None, project: Path) -> Path | None:
    """Return the file that holds: the one given, the project's, the user's; None where there is none of them."""
    if given is not None:
        return given
    return next((file for file in (project / IN_PROJECT, Path.home() / OF_USER) if file.is_file()), None)


def read_site(given: Path | None, project: Path) -> Template:
    """Read the site's template; where there is none nothing is chosen. UsageError as ``read_template``."""
    file = find_site(given, project)
    return read_template(file) if file else Template()


def read_template(file: Path) -> Template:
    """Read a template. UsageError for what is not TOML, unknown or of the wrong kind, with file, table and key."""
    try:
        return parse_template(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except (UsageError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from error


def parse_template(text: str) -> Template:
    """Read a template's text."""
    tables = tomllib.loads(text)
    refuse_unknown(tables, ("default", *PHASES, "gres"), "table")
    of_gres = _table("gres", tables.pop("gres", {}))
    for kind in of_gres:
        _check_kind(kind)
    return Template(
        default=_choice("default", tables.pop("default", {})),
        phases={phase: _choice(phase, table) for phase, table in tables.items()},
        gres={kind: _choice(f'gres."{kind}"', table) for kind, table in of_gres.items()},
    )


def _choice(name: str, given: object) -> Choice:
    table = dict(_table(name, given))
    try:
        refuse_unknown(table, [*(one.name for one in fields(Placement)), "setup"], "key")
        setup = table.pop("setup", [])
        if not isinstance(setup, list) or not all(isinstance(line, str) for line in setup):
            raise UsageError(f"setup {setup!r} is not a list of lines")
        for line in setup:
            if "\n" in line or line.lstrip().startswith("#SBATCH"):
                raise UsageError(f"setup {line!r}: one line of shell each; sbatch options belong in extra_lines")
        return Choice(Placement.from_dict(table), tuple(setup))
    except UsageError as error:
        raise UsageError(f"[{name}] {error}") from None


def _table(name: str, given: object) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{name} {given!r} is not a table; write [{name}] and its keys below")
    return given


def _check_kind(kind: str) -> None:
    """Refuse what no request can match: a count, a list."""
    name, _, type_ = kind.partition(":")
    if re.fullmatch(r"\d{1,2}", type_):  # longer numbers are types: 1080
        raise UsageError(f'[gres."{kind}"] names a count; write [gres.{name}], which holds for any')
    try:
        Gres(name, type_ if ":" in kind else None)
    except UsageError as error:
        raise UsageError(f'[gres."{kind}"] {error}') from None
