"""The jobs that a panel shows: found below its folders, looked at while somebody watches, told when they change."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pypcore.errors import PypcoreError, UsageError
from pypcore.view.folders import find_jobs
from pypcore.view.job_view import JobView

LOOK_S = 1.0  # between two looks at a job that runs; longer where a look itself takes long
QUIET_S = 5.0  # the same for others
FIND_S = 3.0  # between two searches for new jobs; longer where a search itself takes long
READ_S = 0.2  # of a look go into figures, none of the first, so that a large job is shown before all of them are read
COST = 10.0  # so many times what a look took pass until the next
TELL_S = 10.0  # a job that runs is told so often, though nothing new was found: its pace changes


class Shown:
    """One job of the panel, by an ``id`` that says nothing of its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:12]
        self.view: JobView | None = None
        self.problem = ""
        self.version = 0
        self.next_look = 0.0
        self.told_at = 0.0

    def look(self) -> None:
        """Look at the folder, if it is time to."""
        began = time.monotonic()
        if began < self.next_look:
            return
        try:
            first = self.view is None
            self.view = self.view or JobView(self.folder)
            new, problem = self.view.look(0.0 if first else READ_S), ""
            running = self.view.known.running
        except (PypcoreError, OSError, ValueError, KeyError) as error:  # a folder that somebody is changing or broke
            new, problem, running = False, str(error), False
        now = time.monotonic()
        if new or problem != self.problem or (running and now - self.told_at > TELL_S):
            self.version, self.told_at = self.version + 1, now
        self.problem = problem
        # What is still to be read of a large job is read at once.
        wait = (LOOK_S if running else QUIET_S) if self.view is None or self.view.whole or problem else 0.0
        self.next_look = now + max(wait, COST * (now - began) if wait else 0.0)

    def card(self) -> dict[str, Any]:
        """Return what the list of jobs shows of it; a folder that can't be read says why."""
        if self.view is None or self.problem:
            folder = str(self.folder)
            told = {"folder": folder, "name": self.folder.name, "state": "unreadable", "message": self.problem}
        else:
            told = self.view.card()
        return {**told, "id": self.id, "version": self.version}


class Jobs:
    """All jobs below ``folders``.

    A thread looks while ``watched`` is not zero; ``changed`` wakes who waits for news.
    """

    def __init__(self, folders: Sequence[Path], depth: int) -> None:
        self.folders, self.depth = folders, depth
        self.changed = threading.Condition()
        self.watched = 0
        self._shown: dict[str, Shown] = {}
        self._looking = threading.Lock()
        self._next_find = 0.0
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        threading.Thread(target=self._go_on, daemon=True, name="looks at jobs").start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def look(self) -> None:
        """Find new jobs and look at all whose time has come."""
        with self._looking:
            if (began := time.monotonic()) >= self._next_find:
                found = {one.id: one for one in map(Shown, find_jobs(self.folders, self.depth))}
                self._shown = {key: self._shown.get(key, one) for key, one in found.items()}
                now = time.monotonic()
                self._next_find = now + max(FIND_S, COST * (now - began))
            before = self.versions()
            for one in list(self._shown.values()):
                one.look()
        if self.versions() != before:
            with self.changed:
                self.changed.notify_all()

    def versions(self) -> dict[str, int]:
        """Return the version of each job."""
        return {key: one.version for key, one in self._shown.items()}

    def cards(self) -> list[dict[str, Any]]:
        """Return a card of each job."""
        return [one.card() for one in self._shown.values()]

    def card(self, key: str) -> dict[str, Any] | None:
        """Return the card of a job, None where it is gone."""
        one = self._shown.get(key)
        return one.card() if one else None

    def view(self, key: str) -> JobView:
        """Return the view of a job; UsageError where there is none of this id or it can't be read."""
        one = self._shown.get(key)
        if one is None or one.view is None or one.problem:
            raise UsageError(one.problem if one and one.problem else "no such job here; it may have been moved")
        return one.view

    def look_soon(self, key: str) -> None:
        """Look at a job at the next opportunity: something was done to it."""
        with contextlib.suppress(KeyError):
            self._shown[key].next_look = 0.0

    def _go_on(self) -> None:
        self.look()  # who opens the page finds it read
        while not self._stop.wait(LOOK_S / 4):
            if self.watched:
                self.look()
