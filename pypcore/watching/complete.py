"""Whether a file that has come to rest is whole: movies open and have their frames, mdocs have all their movies."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pypcore.errors import InputError

PARTIAL = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".incomplete", ".lock", "~")
_LEARNT = 3  # movies that must agree before a shorter one is doubted


@dataclass(frozen=True)
class Wanting:
    """What a file lacks. ``never``: it is nothing to process, however long one waits."""

    reason: str
    never: bool = False


def is_partial_name(name: str) -> bool:
    """Say whether a name is one that a copy in progress has: hidden, or with one of the usual suffixes."""
    lower = name.lower()
    parts = lower.split(".")[1:]
    return name.startswith(".") or lower.endswith(PARTIAL) or any(f".{part}" in PARTIAL for part in parts)


@dataclass
class Completeness:
    """Looks into files. ``expected`` frames of a movie, or views of a tilt series; None: as most so far had.

    ``frames`` is the folder of the movies that mdocs name; None: beside the mdoc, as for the operation itself.
    """

    expected: int | None = None
    frames: Path | None = None
    series: bool = False
    """Items are tilt series: an mdoc of one movie is none."""
    counts: Counter[int] = field(default_factory=Counter)
    _whole: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def wanting(self, path: Path) -> Wanting | None:
        """Say what a file at rest lacks; None where it is whole."""
        from pypcore.formats.movies import SUFFIXES

        if path.stat().st_size == 0:
            return Wanting("it is empty")
        try:
            if path.name.lower().endswith(".mdoc"):
                return self._of_series(path)
            if path.name.lower().endswith(SUFFIXES):
                return self._of_movie(path)
        except InputError as error:
            return Wanting(str(error).removeprefix(f"{path}: "))
        return None

    def learn(self, path: Path) -> None:
        """Take note of how many frames a movie has that is taken."""
        from pypcore.formats.movies import SUFFIXES

        if self.expected is None and path.name.lower().endswith(SUFFIXES):
            try:
                self.counts[count_frames(path)] += 1
            except InputError:
                return  # it is taken all the same, and fails by itself

    def _of_movie(self, path: Path) -> Wanting | None:
        found = count_frames(path)
        wanted = self.expected
        if wanted is None and self.counts:
            usual, seen = self.counts.most_common(1)[0]
            wanted = usual if seen >= _LEARNT else None
        if wanted is not None and found < wanted:
            return Wanting(f"{found} of {wanted} frames")
        return None

    def _of_series(self, path: Path) -> Wanting | None:
        from pypcore.formats.mdoc import read_mdoc
        from pypcore.formats.tilt_series_mdoc import find_movie, folders_of

        mdoc = read_mdoc(path)
        sections = [section for section in mdoc.sections if section.kind in ("ZValue", "FrameSet")]
        if self.series and len(sections) == 1 and sections[0].kind == "FrameSet":
            return Wanting("the mdoc of one movie, not of a tilt series", never=True)
        if self.expected is not None and len(sections) < self.expected:
            return Wanting(f"{len(sections)} of {self.expected} views")
        named = [section.movie for section in sections if section.movie]
        if not named:
            stack = path.with_suffix("")
            return (
                None if stack.is_file() and self._is_whole(stack) else Wanting(f"its stack {stack.name} is not there")
            )
        folders = folders_of(path, self.frames)
        movies = {movie: find_movie(movie, folders) for movie in named}
        missing = [movie.name for movie, found in movies.items() if found is None]
        if missing:
            return Wanting(f"{len(missing)} of {len(named)} movies are not there yet (first: {missing[0]})")
        for found in movies.values():
            if found is not None and not self._is_whole(found):
                return Wanting(f"its movie {found.name} is not whole yet")
        return None

    def _is_whole(self, path: Path) -> bool:
        """Say whether an image file opens; each is opened once while it stays as it is."""
        stat = path.stat()
        now = (stat.st_size, stat.st_mtime_ns)
        if self._whole.get(path) == now:
            return True
        try:
            count_frames(path)
        except InputError:
            return False
        self._whole[path] = now
        return True


def count_frames(path: Path) -> int:
    """Return the frames of a movie (of an EER: raw frames); InputError where it is cut off or none."""
    from pypcore.formats.eer_movie import EerMovie
    from pypcore.formats.movies import open_movie

    with open_movie(path, eer_group=1, least=1) as movie:
        return movie.raw_frames if isinstance(movie, EerMovie) else movie.shape[0]
