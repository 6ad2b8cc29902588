"""The progress of a run: a bar on a terminal, a line now and then in a file."""

import threading
import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pypcore import records
from pypcore.cli.common import duration
from pypcore.launch import Launched
from pypcore.local import Silent
from pypcore.records import Record

LINE_S = 30.0  # in a file, at least this long between two lines
MOST_FAILURES = 20  # further ones are counted, and listed by ``pypcore status``


class Shown(Silent):
    """Shows what happens on a console; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = console.is_terminal
        self.total = self.done = self.failed = 0
        self.shares: dict[int, float] = {}
        self.devices = {"cpu"}  # told of; the CPU, where nobody asked for anything else, needs no word
        self.began_at = self.said_at = time.monotonic()
        self._lock = threading.Lock()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            console=console,
            disable=not self.live,
            transient=True,
        )
        self.task = self.bar.add_task("Split", total=None, rate="", visible=False)

    def __enter__(self) -> "Shown":
        """Begin to show."""
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the console as it was."""
        self.bar.stop()

    def planned(self, launched: Launched, at_once: int) -> None:
        """Say what will be done."""
        self.total = len(launched.todo)
        self.began_at = self.said_at = time.monotonic()
        todo, plan = self.total, launched.plan
        if not todo:
            return
        left = f"{todo} of {plan.items} items" if todo < plan.items else f"{todo} items"
        self.console.print(f"Split: {left} in bundles of {plan.bundle_size}, {at_once} at a time")
        if launched.advice:
            self.console.print(f"[yellow]{escape(launched.advice)}[/yellow]")
        self.bar.update(self.task, total=todo, visible=True)

    def began(self, record: Record) -> None:
        """Count an item as begun."""
        with self._lock:
            self.shares[record["item"]] = 0.0

    def progressed(self, item: int, share: float) -> None:
        """Move the bar by a share of an item."""
        with self._lock:
            self.shares[item] = share
            self._show()

    def computing(self, device: str) -> None:
        """Say what is computed on, and why, where that was chosen."""
        with self._lock:
            if device not in self.devices:
                self.devices.add(device)
                self.console.print(f"computing on {escape(device)}")

    def ended(self, record: Record) -> None:
        """Count an item as done, or say how it failed."""
        with self._lock:
            self.shares.pop(record["item"], None)
            self.done += 1
            if record["outcome"] != records.DONE:
                self.failed += 1
                self._say_failure(record)
            self._show(in_file=True)

    def merging(self) -> None:
        """Say that Split is over."""
        self.bar.update(self.task, visible=False)
        self.console.print("Merge")

    def stopping(self, now: bool) -> None:
        """Say that the user's wish was heard."""
        self.console.print(
            "Stopping now" if now else "Stopping after the items in hand; Ctrl-C again to stop now", style="yellow"
        )

    def _say_failure(self, record: Record) -> None:
        if self.failed <= MOST_FAILURES:
            outcome, message = record["outcome"], escape(record["message"])
            self.console.print(f"[red]{outcome}[/red] {escape(record['name'])}: {message}")
        elif self.failed == MOST_FAILURES + 1:
            self.console.print("[red]further failures are not shown here; see pypcore status[/red]")

    def _show(self, in_file: bool = False) -> None:
        gone = time.monotonic() - self.began_at
        worth = self.done + sum(self.shares.values())
        rate = _rate(worth, gone)
        if rate and worth < self.total:
            rate += f", {duration((self.total - worth) * gone / worth)} left"
        if self.failed:
            rate += f", {self.failed} failed"
        if self.live:
            self.bar.update(self.task, completed=worth, rate=rate)
        elif in_file and (time.monotonic() - self.said_at > LINE_S or self.done == self.total):
            self.said_at = time.monotonic()
            self.console.print(f"{time.strftime('%H:%M:%S')} {self.done}/{self.total} items {rate}")


def _rate(worth: float, seconds: float) -> str:
    if worth <= 0 or seconds <= 0:
        return ""
    per_minute = 60 * worth / seconds
    return f"{per_minute / 60:.1f} items/s" if per_minute > 120 else f"{per_minute:.1f} items/min"
