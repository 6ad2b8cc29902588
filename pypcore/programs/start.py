"""How a program is started on this machine: found on PATH, or as the site or the user says in ``programs.toml``.

    [topaz]
    path = "/opt/envs/topaz/bin/topaz"          # the executable, or the folder it is in
    setup = ["module load topaz/0.3.20"]        # lines of bash that run before it
    container = ["apptainer", "exec", "--nv", "--bind", "{folders}", "/images/topaz.sif"]
    prefix = ["conda", "run", "--no-capture-output", "-p", "/opt/envs/topaz"]
    environment = { LD_LIBRARY_PATH = "/opt/cuda/lib64" }
    weights = { segmentation = "/opt/weights/MemBrain_seg_v10_alpha.ckpt" }

A command is a list of words from here to the program: no shell ever reads the words of a user.
"""

import os
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pypcore.errors import SetupError, UsageError
from pypcore.programs.card import Program
from pypcore.spelling import refuse_unknown

VARIABLE = "PYPCORE_PROGRAMS"  # names a file that is read before all others
IN_PROJECT = "pypcore-programs.toml"
OF_USER = Path(".config/pypcore/programs.toml")  # below the user's home folder
OF_SITE = Path("/etc/pypcore/programs.toml")
FROM_OTHERS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX")  # ours, not the program's


@dataclass(frozen=True)
class Start:
    """How one program is started; ``file`` says so, None when it was looked for on PATH."""

    path: str = ""
    prefix: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None

    def executable(self, program: Program, name: str = "") -> str:
        """Return the executable (``name``: another of the same program's), as a path where it can be found from here.

        SetupError where it can't: nothing is guessed.
        """
        wanted = name or program.executable
        if self.path:
            given = Path(self.path)
            file = given / wanted if given.is_dir() else given.with_name(name) if name else given
            if not self._elsewhere and not os.access(file, os.X_OK):
                raise SetupError(f"{self.file}: [{program.name}] path: {file} is not an executable file")
            return str(file)
        if self._elsewhere:
            return wanted
        found = shutil.which(wanted)
        if found is None:
            raise SetupError(
                f"{program.name}: no '{wanted}' on PATH; {program.install or 'install it'}, or say in {IN_PROJECT} or "
                f"~/{OF_USER} how it is started (docs/programs.md)"
            )
        return found

    def interpreter(self, program: Program) -> str | None:
        """Return the python of the program's environment: beside its executable; None where there is none."""
        if self._elsewhere and not self.path:
            return "python"
        executable = Path(self.executable(program))
        beside = executable if executable.name.startswith("python") else executable.with_name("python")
        return str(beside) if self._elsewhere or os.access(beside, os.X_OK) else None

    @property
    def _elsewhere(self) -> bool:
        """Say whether the program lives where this process can't look: a container, a module, an environment."""
        return bool(self.prefix or self.container or self.setup)

    def command(self, words: Sequence[str], folders: Sequence[Path] = ()) -> list[str]:
        """Return ``words`` as they are started here; ``folders`` are those that a container has to show."""
        shown = ",".join(sorted({str(folder) for folder in folders}))
        container = [word.replace("{folders}", shown) for word in self.container]
        words = [*container, *self.prefix, *words]
        if not self.setup:
            return words
        # The words are the shell's arguments, never its text.
        script = "\n".join(["set -e", *self.setup, 'exec "$@"'])
        return ["bash", "-lc", script, "bash", *words]

    def clean(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for the program: without what is ours, with what the site wants."""
        dropped = set(FROM_OTHERS) | (
            {"LD_LIBRARY_PATH"} if self._elsewhere or "LD_LIBRARY_PATH" in self.environment else set()
        )
        kept = {name: value for name, value in environment.items() if name not in dropped}
        return kept | dict(self.environment)

    @property
    def words(self) -> str:
        """Say in a few words how it is started."""
        ways = [("module or shell lines", self.setup), ("container", self.container), ("prefix", self.prefix)]
        return ", ".join([f"{name} {' '.join(value)}" for name, value in ways if value]) or self.path or "on PATH"


def find_start(program: str, root: Path) -> Start:
    """Return how ``program`` is started, from the first file that says so; the plain way when none does."""
    for file in _files(root):
        tables = _read(file)
        if program in tables:
            return tables[program]
    return Start()


def find_file(root: Path) -> Path | None:
    """Return the first file that says how programs are started, where there is one."""
    return next(iter(_files(root)), None)


def _files(root: Path) -> list[Path]:
    named = os.environ.get(VARIABLE)
    files = [Path(named)] if named else []
    if named and not files[0].is_file():
        raise SetupError(f"{VARIABLE}={named}: no such file")
    files += [root / IN_PROJECT, Path.home() / OF_USER, OF_SITE]
    return [file for file in files if file.is_file()]


def _read(file: Path) -> dict[str, Start]:
    known = [one.name for one in fields(Start) if one.name != "file"]
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        starts = {}
        for program, table in tables.items():
            if not isinstance(table, dict):
                raise UsageError(f"'{program}' is not a table; a program is [{program}]")
            refuse_unknown(table, known, f"word in [{program}]")
            for key in ("prefix", "container", "setup"):
                if not isinstance(table.get(key, []), list):
                    raise UsageError(f"[{program}] {key} is a list of words, one a string")
            given: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
            }
            starts[program] = Start(**given)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, UsageError) as error:
        raise SetupError(f"{file}: {error}") from error
    return {program: replace(start, file=file) for program, start in starts.items()}
