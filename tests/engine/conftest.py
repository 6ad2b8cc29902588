"""Folders with items to rehearse on, and ways to run jobs on them in this process or in one of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypcore.job import Job
from pypcore.local import Consent, Outcome, run_here
from pypcore.options import prepare


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
