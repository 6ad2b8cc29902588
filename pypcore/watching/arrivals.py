"""What has arrived in the folders that are watched: files are taken when they are at rest and whole.

By looking again and again (polling): what another host writes on a network file system is not told by the kernel.
A file is at rest when its size and time of change are as they were at the look before, and have been for ``quiet``.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypcore.watching.complete import Wanting, is_partial_name

OLD_S = 86_400.0  # a file unchanged for a day is at rest, whatever the clocks of two hosts say


@dataclass
class _Seen:
    size: int
    mtime_ns: int
    since: float
    wanting: Wanting | None = None


@dataclass(frozen=True)
class Ready:
    """A file to be taken. ``lacking``: it is not whole, and nothing came for as long as one waits."""

    path: Path
    size: int
    mtime_ns: int
    lacking: str = ""


class Arrivals:
    """The files that are not taken yet. ``discover`` lists all that there are now; times in seconds.

    ``look_into`` says what a file at rest lacks, ``is_own`` whether a path is none of the microscope's. After
    ``patience`` without a change a file is taken as it is: it fails by itself, with its cause on record, and that is
    better than never to be heard of.
    """

    def __init__(
        self,
        discover: Callable[[], Sequence[Path]],
        root: Path,
        known: Iterable[str],
        look_into: Callable[[Path], Wanting | None],
        *,
        quiet: float,
        patience: float,
        is_own: Callable[[str], bool] = lambda file: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.discover = discover
        self.root = root
        self.known = set(known)
        self.look_into = look_into
        self.is_own = is_own
        self.quiet = quiet
        self.patience = patience
        self.clock = clock
        self.changed = clock()
        """When anything last changed."""
        self._seen: dict[str, _Seen] = {}

    def look(self) -> list[Ready]:
        """Look once; return what is to be taken now, in the order of the listing. OSError where the folder is away."""
        now, ready, there, changed = self.clock(), [], set(), False
        for path in self.discover():
            file = os.path.abspath(self.root / path)
            if file in self.known or is_partial_name(path.name) or self.is_own(file):
                continue
            try:
                stat = os.stat(file)
            except (FileNotFoundError, PermissionError):  # renamed or removed since it was listed; not ours to see
                continue
            there.add(file)
            seen = self._seen.get(file)
            if seen is None or (seen.size, seen.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
                self._seen[file] = _Seen(stat.st_size, stat.st_mtime_ns, now)
                changed = True
                continue
            if one := self._decide(path, file, seen, now):
                ready.append(one)
        for gone in self._seen.keys() - there:
            del self._seen[gone]
            changed = True
        for one in ready:
            file = os.path.abspath(self.root / one.path)
            self.known.add(file)
            del self._seen[file]
        if changed or ready:
            self.changed = self.clock()  # a look at many files takes a while
        return ready

    def _decide(self, path: Path, file: str, seen: _Seen, now: float) -> Ready | None:
        rest = now - seen.since
        if rest < self.quiet and time.time() - seen.mtime_ns / 1e9 < OLD_S:
            return None
        if seen.wanting is not None and seen.wanting.never:
            return None
        try:
            seen.wanting = self.look_into(Path(file))
        except FileNotFoundError:
            return None
        except OSError as error:  # this file's own matter: the others go on
            seen.wanting = Wanting(f"can't be read ({error.strerror})")
        if seen.wanting is None:
            return Ready(path, seen.size, seen.mtime_ns)
        if rest >= self.patience and not seen.wanting.never:
            return Ready(path, seen.size, seen.mtime_ns, seen.wanting.reason)
        return None

    def waiting(self) -> dict[str, str]:
        """Return the files that are not ready, and what they wait for; what will never be ready is left out."""
        return {
            file: seen.wanting.reason if seen.wanting else "still being written"
            for file, seen in self._seen.items()
            if not (seen.wanting and seen.wanting.never)
        }

    def idle(self) -> float:
        """Return the seconds since anything changed."""
        return self.clock() - self.changed
