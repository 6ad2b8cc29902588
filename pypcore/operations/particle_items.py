"""The items of operations on particles: those of one micrograph in a STAR file, and where their images are."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError, UsageError
from pypcore.formats.particles import Particles, read_particles, row_checksums
from pypcore.items import Found

MOST = 2000  # particles of an item: of more, as where nobody says from which micrograph they are, parts are made
SUFFIX = ".star"


@dataclass(frozen=True)
class Table:
    """A STAR file as it was read, its particles in parts; ``root`` is the folder that the job was started from."""

    particles: Particles
    root: Path

    @cached_property
    def parts(self) -> dict[str, npt.NDArray[np.int64]]:
        """The rows of each part, in the order in which its micrograph first comes."""
        order = np.argsort(self.particles.micrograph, kind="stable")
        bounds = np.searchsorted(self.particles.micrograph[order], np.arange(len(self.particles.micrographs) + 1))
        found = {}
        for name, begin, end in zip(self.particles.micrographs, bounds, bounds[1:], strict=False):
            rows = order[begin:end]
            for number, first in enumerate(range(0, len(rows), MOST), 1):
                found[f"{name}:{number}" if len(rows) > MOST else name] = rows[first : first + MOST]
        return found

    def stack(self, number: int) -> Path:
        """Return where a stack is: as RELION takes it, from the job's folder, else beside the STAR file."""
        name = self.particles.stacks[number]
        path = self.root / name
        beside = self.particles.path.parent / name
        return beside if not path.exists() and beside.exists() else path

    def look_at_stacks(self) -> tuple[tuple[int, int], ...]:
        """Return size and time of change of every stack as they are now; zeros for one that is not there."""
        facts = []
        for number, name in enumerate(self.particles.stacks):
            if not name:  # nobody asked for images
                facts.append((0, 0))
                continue
            try:
                stat = self.stack(number).stat()
                facts.append((stat.st_size, stat.st_mtime_ns))
            except OSError:
                facts.append((0, 0))
        return tuple(facts)

    @cached_property
    def side(self) -> int:
        """The side of the images, in pixels: what data_optics says, else that of the first stack that can be read."""
        from pypcore.formats.stacks import Stack

        for side in self.particles.image_sides:
            if side is not None:
                return side
        for number in range(len(self.particles.stacks)):
            try:
                with Stack.open(self.stack(number)) as stack:
                    return stack.shape[2]
            except InputError:
                continue
        raise InputError(f"{self.particles.path}: none of its stacks can be read, such as {self.stack(0)}")


def read_table(path: Path, root: Path, pixel_size: float | None, weight: str = "", *, images: bool = True) -> Table:
    """Read a STAR file of particles, once for as long as it does not change."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it was there when the job was made: put it back") from error
    return _read_table(path, root, pixel_size, weight, images, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _read_table(
    path: Path, root: Path, pixel_size: float | None, weight: str, images: bool, _size: int, _mtime_ns: int
) -> Table:
    return Table(read_particles(path, pixel_size=pixel_size, weight=weight, images=images), root)


def discover_parts(
    inputs: Sequence[str], root: Path, pixel_size: float | None, weight: str = "", *, images: bool = True
) -> list[Found]:
    """Return the parts of STAR files as items; UsageError where one is missing or wrong."""
    found = []
    for given in inputs:
        path = Path(os.path.abspath(root / given))
        if path.suffix.lower() != SUFFIX or not path.is_file():
            raise UsageError(f"{given}: no such STAR file; give the STAR file of the particles (…{SUFFIX})")
        try:
            table = read_table(path, root, pixel_size, weight, images=images)
        except InputError as error:
            raise UsageError(str(error)) from error
        found += _found(Path(given), table)
    return found


def _found(given: Path, table: Table) -> list[Found]:
    parts = list(table.parts.items())
    stacks_of = [np.unique(table.particles.stack[rows]) for _, rows in parts]
    facts = table.look_at_stacks()

    def extra(part: int) -> bytes:
        return repr([(table.particles.stacks[one], *facts[one]) for one in stacks_of[part]]).encode()

    sums = row_checksums(table.particles, [rows for _, rows in parts], extra)
    return [
        Found(given, name, Path(name.replace(":", "_part")), sum(facts[one][0] for one in stacks), checksum)
        for (name, _), stacks, checksum in zip(parts, stacks_of, sums, strict=True)
    ]


def read_images(table: Table, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Read the images of particles, [n, y, x], in the order of ``rows``.

    InputError where a stack is missing, cut off or of another size, has no such image, or a pixel is not finite.
    """
    from pypcore.formats.stacks import Stack

    particles, out = table.particles, None
    sides = particles.image_sides
    for number in np.unique(particles.stack[rows]):
        own = np.flatnonzero(particles.stack[rows] == number)
        with Stack.open(table.stack(int(number))) as stack:
            _, height, width = stack.shape
            expected = sides[particles.group[rows[own[0]]]] or table.side
            if height != expected or width != expected:
                raise InputError(
                    f"{stack.path}: images of {width} x {height} pixels; those of {particles.path} are {expected} x "
                    f"{expected}: make the stack again with that box"
                )
            if out is None:
                out = np.empty((len(rows), height, width), np.float32)
            if out.shape[1:] != (height, width):
                raise InputError(f"{stack.path}: images of another size than in the other stacks of this micrograph")
            images = out if len(own) == len(rows) else np.empty((len(own), height, width), np.float32)
            stack.read([int(one) for one in particles.image[rows[own]]], images)
            if images is not out:
                out[own] = images
    assert out is not None
    return out
