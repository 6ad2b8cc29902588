"""A folder that a microscope writes to, and a watch of it in this process or in one of its own."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypcore.job import Job
from pypcore.options import prepare
from pypcore.records import read_records
from pypcore.watching.here import watch_here
from pypcore.watching.intake import WatchOptions
from pypcore.watching.pace import Rates
from pypcore.watching.report import WatchListener, WatchOutcome


class Heard(WatchListener):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.merges = 0
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def merging(self) -> None:
        self.merges += 1

    def behind(self, rates: Rates, here: bool) -> None:
        self.said.append(f"behind, {rates.waiting} wait")

    def keeping_up(self) -> None:
        self.said.append("caught up")


class Watching:
    """A watch of ``raw`` by ``job``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.raw, self.job = folder, folder / "raw", Job(folder / "job")
        self.heard = Heard()
        self.raw.mkdir()

    def run(self, operation: str = "rehearse", inputs: str = "raw", **options: Any) -> WatchOutcome:
        """Watch in this process until nothing comes for a while."""
        names = ("every", "quiet", "patience", "expected", "merge_every", "until_idle")
        given = {"every": 0.1, "until_idle": 1.0} | {n: options.pop(n) for n in names if n in options}
        request = prepare(operation, [inputs], "job", options).request
        return watch_here(self.job, request, WatchOptions(**given), listener=self.heard)

    def writing(self, write: Callable[[Path], None]) -> threading.Thread:
        """Let a writer write into ``raw`` meanwhile."""
        thread = threading.Thread(target=write, args=(self.raw,))
        thread.start()
        return thread

    def ends(self) -> Counter[str]:
        """Count how often each item was done."""
        found = (r for r in read_records(self.job.records) if r["event"] == "end" and r["outcome"] == "done")
        return Counter(record["name"] for record in found)

    def merged(self) -> list[str]:
        """Return the names that Merge took in."""
        file = self.folder / "job/rehearsed.txt"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watching:
    monkeypatch.chdir(tmp_path)
    return Watching(tmp_path)
