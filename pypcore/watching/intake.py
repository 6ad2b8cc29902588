"""From what has arrived to items of the job: each file once, by its path, and by what it is where it was renamed."""

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pypcore.errors import UsageError
from pypcore.items import Item, choose_names
from pypcore.job import Job
from pypcore.operation import Operation, accumulates, get_operation
from pypcore.request import Request
from pypcore.watching.arrivals import Arrivals, Ready
from pypcore.watching.complete import Completeness

QUIET_S, QUIET_SERIES_S = 0.0, 300.0  # beyond two looks that agree; an mdoc grows by a tilt every minute or so
PATIENCE_S = 600.0


@dataclass(frozen=True)
class WatchOptions:
    """How a folder is watched; times in seconds.

    ``every``: between two looks. ``quiet``: how long a file must have been unchanged (None: two looks; of a tilt
    series, whose mdoc grows by a tilt a minute, five minutes, unless ``expected`` says how many views it has).
    ``patience``: then a file that is not whole is taken as it is. ``expected``: frames of a movie, or views of a tilt
    series. ``merge_every``: Merge takes in what is done so often. ``until_idle``: end when nothing changed for so long.
    ``batch``, ``batch_wait``: on SLURM, submit when so many items wait, or the first of them for so long.
    """

    every: float = 10.0
    quiet: float | None = None
    patience: float = PATIENCE_S
    expected: int | None = None
    merge_every: float = 300.0
    until_idle: float | None = None
    batch: int = 100
    batch_wait: float = 300.0


class Intake:
    """Looks, and makes items of what is ready. ``items`` are those of the job, in the order of its manifest."""

    def __init__(
        self, job: Job, request: Request, items: Sequence[Item], options: WatchOptions, tell: Callable[[str], None]
    ) -> None:
        self.operation: Operation = get_operation(request.operation)
        if accumulates(self.operation):
            raise UsageError(f"{request.operation} adds all its items up and can't be fed as they come; use run")
        self.params: Any = self.operation.Parameters(**request.parameters)
        self.job = job
        self.root = request.root
        self.items = list(items)
        self.tell = tell
        self._auxiliary = {os.path.abspath(file) for file in self.operation.auxiliary(self.params)}
        self.of_series = _is_of_series(self.operation)
        self.folders: list[Path] = []
        self.inputs = [self._watched(given) for given in request.inputs]
        frames = getattr(self.params, "frames", None) if self.of_series else None
        self.completeness = Completeness(options.expected, frames, self.of_series)
        quiet = options.quiet
        if quiet is None:
            quiet = QUIET_SERIES_S if self.of_series and options.expected is None else QUIET_S
        if options.until_idle is not None and options.until_idle <= quiet:
            raise UsageError(
                f"--until-idle of {options.until_idle:g} s is no longer than a file must be unchanged ({quiet:g} s, "
                "--quiet): nothing would be taken; give more, or --expect"
            )
        self.arrivals = Arrivals(
            self.discover,
            self.root,
            [item.file for item in items],
            self.completeness.wanting,
            quiet=quiet,
            patience=max(options.patience, quiet),
            is_own=self.is_own,
        )
        for item in self.items[-5:]:
            self.completeness.learn(item.path)
        self._by_file = {item.file: item.index for item in self.items}
        self._by_content = {(item.size, item.mtime_ns): item.index for item in self.items}
        self._away = ""

    def discover(self) -> list[Path]:
        """List what the inputs name now; nothing yet is no error."""
        found: dict[Path, None] = {}
        for given in self.inputs:
            try:
                found |= dict.fromkeys(self._of(given))
            except UsageError:
                continue  # there is nothing of it yet
        return list(found)

    def is_own(self, file: str) -> bool:
        """Say whether a file is the job's: a pattern may go into its folder, and its gain lie among the movies."""
        return file in self._auxiliary or file.startswith(f"{self.job.folder}{os.sep}")

    def _of(self, given: str) -> list[Path]:
        return [one for one in self.operation.discover(self.params, [given], self.root) if isinstance(one, Path)]

    def _watched(self, given: str) -> str:
        """Return what is looked for; UsageError for a folder that is not there. Of a folder of series, its mdocs."""
        if (self.root / given).is_dir():
            self.folders.append(self.root / given)
            # Before its first mdoc has come, a folder's movies would be taken for stacks.
            return f"{glob.escape(given.rstrip('/'))}/*.mdoc" if self.of_series else given
        folder = given
        while glob.has_magic(folder):
            folder = os.path.dirname(folder)
        if folder == given or not (self.root / folder).is_dir():
            raise UsageError(
                f"{given}: no such folder to watch; give a folder, or a quoted pattern such as 'raw/*.tif'"
            )
        self.folders.append(self.root / folder)
        return given

    def _check_there(self) -> None:
        """Raise FileNotFoundError while a folder that is watched is away: it must not look like an empty one."""
        for folder in self.folders:
            os.stat(folder)

    def look(self, is_done: Callable[[int], bool], is_open: Callable[[int], bool]) -> tuple[list[Item], list[Item]]:
        """Look once; return new items, and items of the job whose file is another now; ``take`` counts them.

        ``is_done`` and ``is_open`` (in hand, or waiting) tell how an item stands: a renamed file is no new one.
        """
        try:
            self._check_there()
            ready = self.arrivals.look()
        except OSError as error:  # a network's file system comes back
            if self._away != str(error):
                self.tell(f"can't look: {error.strerror or error} ({error.filename}); looking again and again")
            self._away = str(error)
            return [], []
        self._away = ""
        fresh, again = [], []
        for one in ready:
            if (index := self._by_file.get(os.path.abspath(self.root / one.path))) is not None:
                again.append(replace(self.items[index], size=one.size, mtime_ns=one.mtime_ns))
            elif (index := self._renamed(one)) is None:
                fresh.append(one)
            elif is_done(index):
                self.tell(f"{one.path}: is {self.items[index].given}, renamed; it is done already")
            elif is_open(index):
                self.forget(one.path)  # look again when that is over
            else:
                fresh.append(one)
        return self._make(fresh), again

    def _renamed(self, one: Ready) -> int | None:
        """Return the item that a file was before it was renamed; None for a new file.

        Size and time of change are the same to the nanosecond, and the old path is gone. Where a file system keeps
        whole seconds only, two movies may agree in them, and nothing is concluded.
        """
        index = self._by_content.get((one.size, one.mtime_ns))
        if index is None or one.mtime_ns % 1_000_000_000 == 0 or os.path.exists(self.items[index].file):
            return None
        return index

    def _make(self, ready: Sequence[Ready]) -> list[Item]:
        paths = [one.path for one in ready]
        names = choose_names(paths, taken=[item.name for item in self.items]) if paths else []
        made: list[Item] = []
        for name, one in zip(names, ready, strict=True):
            if one.lacking:
                self.tell(f"{one.path}: taken as it is ({one.lacking}): nothing came any more")
            else:
                self.completeness.learn(self.root / one.path)
            file = os.path.abspath(self.root / one.path)
            made.append(Item(len(self.items) + len(made), name, file, str(one.path), one.size, one.mtime_ns))
        return made

    def take(self, made: Sequence[Item], again: Sequence[Item] = ()) -> None:
        """Count items as the job's."""
        for item in (*made, *again):
            if item.index < len(self.items):
                self.items[item.index] = item
            else:
                self.items.append(item)
            self._by_file[item.file] = item.index
            self._by_content[item.size, item.mtime_ns] = item.index

    def forget(self, path: Path | str) -> None:
        """Look at a file again as if it were new."""
        self.arrivals.known.discard(os.path.abspath(self.root / path))

    def changed(self, item: Item) -> bool:
        """Say whether the file of an item is there, and another than it was."""
        try:
            stat = os.stat(item.file)
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) != (item.size, item.mtime_ns)


def _is_of_series(operation: Operation) -> bool:
    from pypcore.operations.tilt_parameters import TiltSeriesParameters

    return issubclass(operation.Parameters, TiltSeriesParameters)
