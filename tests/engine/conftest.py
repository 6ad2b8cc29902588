"""Folders with items to rehearse on, and ways to run jobs on them in this process or in one of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypcore.job import Job
from pypcore.local import Consent, Outcome, run_here
from pypcore.options import prepare, refresh


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make_items(folder: Path) -> Callable[[int], list[Path]]:
    """Make N small files ``in/m_001.dat`` …"""

    def make(count: int) -> list[Path]:
        (folder / "in").mkdir(exist_ok=True)
        files = [folder / "in" / f"m_{n:03d}.dat" for n in range(1, count + 1)]
        for file in files:
            file.write_text(file.name)
        return files

    return make


@pytest.fixture
def rehearse(folder: Path) -> Callable[..., Outcome]:
    """Run ``rehearse`` over ``in`` into ``job``."""

    def run(inputs: str = "in", job: str = "job", consent: Consent | None = None, **options: Any) -> Outcome:
        prepared = prepare("rehearse", [inputs], job, options)
        return run_here(Job((folder / job).absolute()), prepared.request, consent=consent)

    return run


@pytest.fixture
def resume(folder: Path) -> Callable[..., Outcome]:
    """Resume ``job``."""

    def run(job: str = "job", consent: Consent | None = None, **options: Any) -> Outcome:
        opened = Job.open(folder / job)
        return run_here(opened, refresh(opened.request(), options), consent=consent, discover=False)

    return run


@pytest.fixture
def command(folder: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start the command line in a process, and a session, of its own."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start
