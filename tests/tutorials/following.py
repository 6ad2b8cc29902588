"""Following a tutorial from the first command to the last, as a reader would type it; what it shows has to come out.

A console block holds commands after ``$`` and what they print, with ``…`` for what differs from time to time, and
``[exit code 1]`` where it is not 0. A block whose first line is a comment with a file's name is that file.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

TUTORIALS = Path(__file__).parents[2] / "docs/tutorials"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXIT = re.compile(r"\[exit code (\d+)\]")
FILE = re.compile(r"# ([\w/.-]+\.\w+)\n")


@dataclass
class Command:
    """A command and what the page says it prints."""

    text: str
    shown: list[str] = field(default_factory=list)
    exit_code: int = 0


def steps(page: Path) -> list[Command | tuple[str, str]]:
    """Return the commands of a page and its files (name, text), in order."""
    found: list[Command | tuple[str, str]] = []
    for kind, text in FENCE.findall(page.read_text()):
        if kind != "console":
            name = FILE.match(text)
            assert name, f"{page.name}: a block of {kind} says no file's name"
            found.append((name[1], text))
            continue
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:]))
                continue
            last = found[-1]
            assert isinstance(last, Command)
            if code := EXIT.fullmatch(line):
                last.exit_code = int(code[1])
            else:
                last.shown.append(line)
    return found


def pattern(shown: list[str]) -> str:
    """Return what matches a command's output, blanks being alike."""
    parts = " ".join(shown).split("…")
    return ".*".join(r"\s+".join(map(re.escape, part.split())) for part in parts)


def follow(page: str, folder: Path, **environment: str) -> None:
    """Do what a page says in ``folder``, and hold it to what it shows."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "200", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment}
    for step in steps(TUTORIALS / page):
        if not isinstance(step, Command):
            (folder / step[0]).parent.mkdir(exist_ok=True)
            (folder / step[0]).write_text(step[1])
            continue
        ran = subprocess.run(
            ["bash", "-c", step.text], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == step.exit_code, f"$ {step.text}\n{said}"
        assert re.search(pattern(step.shown), said, re.DOTALL), f"$ {step.text}\n{said}"
