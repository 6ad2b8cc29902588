"""Which version of a program is here: asked once, with a time limit; remembered by path, time of change and size."""

import functools
import json
import logging
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pypcore.errors import SetupError
from pypcore.products import write_text
from pypcore.programs.card import Program
from pypcore.programs.process import surroundings
from pypcore.programs.start import Start

LIMIT_S = 120  # some import all they have to say their version


@dataclass(frozen=True)
class Version:
    """What a program said of itself; ``problem`` says why there is no version."""

    text: str = ""
    problem: str = ""


def cache_file() -> Path:
    """Return where versions are remembered."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypcore" / "programs.json"


def ask_version(program: Program, start: Start, *, fresh: bool = False, limit: int = LIMIT_S) -> Version:
    """Return the version of a program, from memory where its file has not changed; never raises for what it says."""
    try:
        executable = start.executable(program)
    except SetupError as error:
        return Version(problem=str(error))
    key = _key(program, start, executable)
    known = _read()
    if not fresh and key in known:
        return Version(known[key])
    found = _ask(program, start, executable, limit)
    if found.text:
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        write_text(cache_file(), json.dumps(_read() | {key: found.text}, indent=1, sort_keys=True) + "\n")
    return found


@functools.lru_cache(maxsize=16)
def _once(program: str, start: str) -> list[str]:
    return []


def known_version(program: Program, start: Start, log: logging.Logger) -> str:
    """Return the version for a record; say once in the log where the card was not written for it."""
    version = ask_version(program, start)
    said = _once(program.name, start.words)
    if not said:
        said.append(version.text)
        if version.problem:
            log.warning("%s: its version is not known: %s", program.name, version.problem)
        elif program.known and version.text not in program.known:
            known = ", ".join(program.known)
            text = "%s %s: not a version that was tried (%s); its output is checked all the same"
            log.warning(text, program.name, version.text, known)
    return version.text


def _ask(program: Program, start: Start, executable: str, limit: int) -> Version:
    words = [executable, *program.version]
    if program.distribution:
        python = start.interpreter(program)
        if python is None:
            return Version(problem=f"no python beside {executable} to ask for its version")
        words = [python, "-c", f"from importlib.metadata import version; print(version({program.distribution!r}))"]
    elif not program.version:
        return Version(problem="it has no way to say its version")
    with tempfile.TemporaryDirectory() as folder:
        environment = start.clean(surroundings(os.environ, 1, [], Path(folder)))
        try:
            answer = subprocess.run(
                start.command(words, [Path(folder)]),
                cwd=folder,
                env=environment | dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            return Version(problem=f"it said nothing for {limit} s")
        except OSError as error:
            return Version(problem=f"could not be started: {error.strerror}")
    text = answer.stdout.decode(errors="replace")
    found = re.search(r"^(\d[\w.+]*)$" if program.distribution else program.version_pattern, text, re.MULTILINE)
    if found:
        return Version(found[1])
    last = text.strip().splitlines()
    return Version(problem=f"exit code {answer.returncode}: {last[-1][:200] if last else 'no word'}")


def _key(program: Program, start: Start, executable: str) -> str:
    try:
        stat = os.stat(executable)
        return f"{program.name} {executable} {stat.st_size} {stat.st_mtime_ns} {start.words}"
    except OSError:  # it lives in a container or a module: remembered by how it is started
        return f"{program.name} {executable} {start.words}"


def _read() -> dict[str, str]:
    try:
        known = json.loads(cache_file().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
