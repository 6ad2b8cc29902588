"""MRC files that are written in parts: stacks an image at a time, volumes a slab at a time."""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError

KINDS: dict[str, tuple[int, np.dtype[Any]]] = {
    "float32": (2, np.dtype("<f4")),
    "float16": (12, np.dtype("<f2")),
    "int8": (0, np.dtype("i1")),
}
_HEADER = 1024
_PIECE = 1 << 20  # bytes of a write: on ext4, those of 128 MB took three times the CPU time a byte and more
_IMAGE_STACK, _VOLUME = 0, 1


class _Statistics:
    """Least, largest, mean and standard deviation of sections, each seen once and in order."""

    def __init__(self) -> None:
        self._low, self._high, self._sum, self._squares, self._pixels = np.inf, -np.inf, 0.0, 0.0, 0

    def add(self, section: npt.NDArray[Any]) -> None:
        rows = section.reshape(-1, section.shape[-1]).astype(np.float32, copy=False)
        self._low, self._high = min(self._low, float(rows.min())), max(self._high, float(rows.max()))
        # Each row in single precision, which is four times as quick, then rows in double: good to 1e-6.
        self._sum += float(rows.sum(1).sum(dtype=np.float64))
        self._squares += float(np.einsum("yx,yx->y", rows, rows).sum(dtype=np.float64))
        self._pixels += rows.size

    def figures(self) -> tuple[float, float, float, float]:
        mean = self._sum / self._pixels
        return self._low, self._high, mean, max(self._squares / self._pixels - mean**2, 0.0) ** 0.5


def _header(
    shape: tuple[int, ...], mode: int, pixel_size: float, statistics: _Statistics, *, volume: bool, label: str
) -> bytes:
    """Return the 1024 bytes before the data; no date is in them."""
    header = bytearray(_HEADER)
    sections, rows, columns = shape
    cells = sections if volume else 1
    low, high, mean, rms = statistics.figures()
    struct.pack_into("<4i", header, 0, columns, rows, sections, mode)
    struct.pack_into("<3i", header, 28, columns, rows, cells)
    struct.pack_into("<6f", header, 40, columns * pixel_size, rows * pixel_size, cells * pixel_size, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    struct.pack_into("<3f", header, 76, low, high, mean)
    struct.pack_into("<i", header, 88, _VOLUME if volume else _IMAGE_STACK)
    struct.pack_into("<i", header, 108, 20140)
    if mode == 0:
        struct.pack_into("<2i", header, 152, 1146047817, 1)  # IMOD: bytes are signed
    header[208:216] = b"MAP \x44\x44\0\0"
    struct.pack_into("<f", header, 216, rms)
    struct.pack_into("<i", header, 220, 1)
    text = f"pypcore {label}".strip().encode("ascii")[:80]
    header[224 : 224 + len(text)] = text
    return bytes(header)


class MrcStackWriter:
    """Writes images [y, x] of one size one after another; the header, with their statistics, on closing.

    ``pixel_size`` in Å; ``kind`` is float32 or float16. The same images give the same bytes. Raises InputError where
    a value does not fit float16.
    """

    def __init__(self, path: Path, pixel_size: float, *, kind: str = "float32") -> None:
        self.path = path
        self.pixel_size = pixel_size
        self.sections = 0
        self._shape: tuple[int, ...] = ()
        self._mode, self._dtype = KINDS[kind]
        self._statistics = _Statistics()
        self._file: BinaryIO = path.open("wb")
        self._file.write(bytes(_HEADER))

    def append(self, image: npt.NDArray[Any]) -> None:
        """Write the next image."""
        if self.sections and image.shape != self._shape:
            raise InputError(f"{self.path}: section {self.sections + 1} is {image.shape}, those before {self._shape}")
        stored = as_stored(image, self._dtype, self.path)
        _write(self._file, stored)
        self._statistics.add(stored)
        self._shape = image.shape
        self.sections += 1

    def close(self) -> None:
        """Write the header and close the file."""
        if self._file.closed:
            return
        if self.sections:
            shape = (self.sections, *self._shape)
            self._file.seek(0)
            self._file.write(_header(shape, self._mode, self.pixel_size, self._statistics, volume=False, label=""))
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MrcVolumeWriter:
    """A volume in a file, put there in parts in any order, each place once; ``finish`` writes header and statistics.

    ``shape`` is (sections, rows, columns) of the file, ``kind`` float32, float16 or int8. Nothing of it is kept in
    memory. Raises InputError where a value does not fit float16.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], pixel_size: float, kind: str) -> None:
        self.path, self.shape = path, shape
        self._pixel_size = pixel_size
        self._mode, self._dtype = KINDS[kind]
        self._statistics, self._seen = _Statistics(), 0  # of the first so many sections
        self._file = path.open("w+b")
        self._file.truncate(_HEADER + int(np.prod(shape)) * self._dtype.itemsize)

    def put(self, part: npt.NDArray[Any], section: int, row: int) -> None:
        """Write ``part`` [section, row, column], all columns of it, from ``section`` and ``row`` on."""
        _, rows, columns = self.shape
        for number, block in enumerate(part, section):
            stored = as_stored(block, self._dtype, self.path)
            self._file.seek(_HEADER + (number * rows + row) * columns * self._dtype.itemsize)
            _write(self._file, stored)
            if number == self._seen and len(block) == rows:
                self._statistics.add(stored)
                self._seen += 1

    def sections(self, first: int = 0) -> Iterator[npt.NDArray[Any]]:
        """Read the sections [row, column] back, one after another, from ``first`` on."""
        size = self.shape[1] * self.shape[2] * self._dtype.itemsize
        self._file.seek(_HEADER + first * size)
        for _ in range(first, self.shape[0]):
            yield np.frombuffer(self._file.read(size), self._dtype).reshape(self.shape[1:])

    def finish(self, label: str = "") -> None:
        """Write the header, with ``label`` in it, and close the file. Sections that came in order aren't read again."""
        for section in self.sections(self._seen):
            self._statistics.add(section)
        self._file.seek(0)
        self._file.write(_header(self.shape, self._mode, self._pixel_size, self._statistics, volume=True, label=label))
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _write(file: BinaryIO, stored: npt.NDArray[Any]) -> None:
    """Write an array in pieces."""
    data = np.ascontiguousarray(stored).data.cast("B")
    for begin in range(0, len(data), _PIECE):
        file.write(data[begin : begin + _PIECE])


def as_stored(values: npt.NDArray[Any], dtype: np.dtype[Any], path: Path) -> npt.NDArray[Any]:
    """Return values as a file has them; InputError where one does not fit float16."""
    with np.errstate(over="ignore"):
        stored = values.astype(dtype, copy=False)
    if dtype == np.float16 and not np.isfinite(stored).all():
        raise InputError(
            f"{path.name}: values up to {np.nanmax(np.abs(values)):g} don't fit float16 (65504); write float32"
        )
    return stored
