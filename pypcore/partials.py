"""Partials: what a bundle of an accumulating operation adds up to, in files that are whole, named and checked.

The form (docs/reconstruct.md has it in full), little-endian::

    magic, 16 bytes          b"pypcore partial\n"
    version, u32             1
    checksum, u32            CRC-32 of the header
    length, u64              of the header, bytes
    header                   JSON: of which job and bundle, which items are in it, which arrays
    arrays                   each from the next multiple of 64 bytes
    checksums                a CRC-32, u32, for each BLOCK of each array, in order; then one of these themselves

It carries no clock, host or attempt: the same items in the same order give the same bytes.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypcore.errors import PypcoreError
from pypcore.items import Item
from pypcore.products import whole

if TYPE_CHECKING:  # headers are read by who needs no arrays
    import numpy as np
    import numpy.typing as npt

MAGIC = b"pypcore partial\n"
VERSION = 1
BLOCK = 1 << 22  # bytes: what is checked, and in Merge added up, at a time
_FIXED = struct.Struct("<16sIIQ")
_ALIGN = 64
_LONGEST_HEADER = 1 << 30


class DamagedPartial(PypcoreError):
    """A partial that is missing, cut off, corrupt, or of something else; the message names it."""


@dataclass(frozen=True)
class Entry:
    """An item that is in a partial: by what it is known to be the same, and what its record says it made."""

    index: int
    name: str
    size: int
    mtime_ns: int
    figures: Mapping[str, Any] = field(default_factory=dict)
    products: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Item, figures: Mapping[str, Any], products: Mapping[str, Any]) -> "Entry":
        """Return the entry of an item."""
        return cls(item.index, item.name, item.size, item.mtime_ns, figures, products)

    def is_of(self, item: Item) -> bool:
        """Say whether this is ``item`` as its file is now."""
        return (self.index, self.size, self.mtime_ns) == (item.index, item.size, item.mtime_ns)


@dataclass(frozen=True)
class ArraySpec:
    """An array in a partial: its name, NumPy's type string (little-endian) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Return the bytes of the array."""
        size = int(self.dtype[2:])
        for side in self.shape:
            size *= side
        return size

    @property
    def blocks(self) -> int:
        """Return how many checksums it has."""
        return -(-self.nbytes // BLOCK)


@dataclass(frozen=True)
class Header:
    """What a partial says of itself.

    ``params`` is the request's digest. ``left_out`` numbers items that were tried and are not in it.
    """

    operation: str
    params: str
    bundle: int
    bundle_size: int
    items: tuple[Entry, ...]
    left_out: tuple[int, ...]
    arrays: tuple[ArraySpec, ...] = ()

    @cached_property
    def text(self) -> bytes:
        """The header as it stands in the file."""
        table = {
            "operation": self.operation,
            "params": self.params,
            "bundle": self.bundle,
            "bundle_size": self.bundle_size,
            "items": [list(vars(one).values()) for one in self.items],
            "left_out": list(self.left_out),
            "arrays": [[spec.name, spec.dtype, list(spec.shape)] for spec in self.arrays],
            "block": BLOCK,
        }
        return json.dumps(table, separators=(",", ":")).encode("ascii")

    @classmethod
    def parse(cls, text: bytes) -> "Header":
        """Read the header's text."""
        table = json.loads(text)
        if table.pop("block") != BLOCK:
            raise ValueError("another size of blocks")
        items = tuple(Entry(*row) for row in table.pop("items"))
        arrays = tuple(ArraySpec(name, dtype, tuple(shape)) for name, dtype, shape in table.pop("arrays"))
        return cls(items=items, arrays=arrays, left_out=tuple(table.pop("left_out")), **table)

    @property
    def last(self) -> int:
        """Return the number of the last item that was tried; -1 when none was."""
        return max([*(one.index for one in self.items), *self.left_out], default=-1)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each array begins in the file, and last where the checksums do."""
        at, starts = _aligned(_FIXED.size + len(self.text)), []
        for spec in self.arrays:
            starts.append(at)
            at = _aligned(at + spec.nbytes)
        return (*starts, at)

    @property
    def file_size(self) -> int:
        """Return the bytes of the whole file."""
        return self.starts[-1] + 4 * (sum(spec.blocks for spec in self.arrays) + 1)


def _aligned(at: int) -> int:
    return -(-at // _ALIGN) * _ALIGN


@dataclass(frozen=True)
class ArraySource:
    """An array that is written without being in memory as a whole: ``chunks()`` yields it piece by piece."""

    dtype: str
    shape: tuple[int, ...]
    chunks: "Callable[[], Iterable[npt.NDArray[Any]]]"


def write_partial(path: Path, header: Header, arrays: Mapping[str, ArraySource]) -> Header:
    """Write a partial whole and lasting; return its header, with ``arrays`` in it.

    On return it survives a power cut: its items may be recorded as done.
    """
    specs = tuple(ArraySpec(name, one.dtype, one.shape) for name, one in arrays.items())
    header = replace(header, arrays=specs)
    sums: list[int] = []
    with whole(path) as temporary, temporary.open("wb", buffering=0) as out:
        text = header.text
        _write(out.fileno(), _FIXED.pack(MAGIC, VERSION, zlib.crc32(text), len(text)) + text)
        for start, one in zip(header.starts, arrays.values(), strict=False):
            out.seek(start)
            for block in _blocks(one.chunks()):
                sums.append(zlib.crc32(block))
                _write(out.fileno(), block)
        out.seek(header.starts[-1])
        table = struct.pack(f"<{len(sums)}I", *sums)
        _write(out.fileno(), table + struct.pack("<I", zlib.crc32(table)))
    return header


def _blocks(chunks: "Iterable[npt.NDArray[Any]]") -> Iterator[bytes]:
    """Cut what comes in pieces into blocks."""
    held = bytearray()
    for chunk in chunks:
        held += memoryview(chunk.reshape(-1).view("u1"))  # type: ignore[arg-type]
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)


def _write(handle: int, data: "bytes | memoryview") -> None:
    view = memoryview(data)
    while view:  # a call may take a part
        view = view[os.write(handle, view) :]


def read_header(path: Path) -> Header:
    """Read what a partial says of itself; DamagedPartial where it is missing, cut off or no partial."""
    try:
        with path.open("rb") as file:
            fixed = file.read(_FIXED.size)
            if len(fixed) < _FIXED.size:
                raise DamagedPartial(f"{path}: cut off: {len(fixed)} bytes")
            magic, version, checksum, length = _FIXED.unpack(fixed)
            if magic != MAGIC:
                raise DamagedPartial(f"{path}: not a partial (it does not begin like one)")
            if version != VERSION:
                raise DamagedPartial(f"{path}: a partial of version {version}; this pypcore reads {VERSION}")
            text = file.read(length) if length < _LONGEST_HEADER else b""
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise DamagedPartial(f"{path}: missing") from None
    except OSError as error:
        raise DamagedPartial(f"{path}: {error.strerror}") from error
    if len(text) != length or zlib.crc32(text) != checksum:
        raise DamagedPartial(f"{path}: its header is damaged (checksum)")
    try:
        header = Header.parse(text)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedPartial(f"{path}: its header makes no sense ({error})") from error
    if size != header.file_size:
        raise DamagedPartial(f"{path}: cut off: {size} of {header.file_size} bytes")
    return header


class PartialReader:
    """An open partial whose arrays are read in blocks, each checked. Several threads may read at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_header(path)
        self._handle = os.open(path, os.O_RDONLY)
        try:
            self._sums = self._read_sums()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PartialReader":
        """Return this."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def blocks(self, array: int) -> range:
        """Return the numbers of the blocks of an array."""
        return range(self.header.arrays[array].blocks)

    def block(self, array: int, number: int) -> "npt.NDArray[Any]":
        """Read a block of an array, as a flat array; DamagedPartial where it is not what was written."""
        import numpy as np

        spec = self.header.arrays[array]
        at = number * BLOCK
        length = min(BLOCK, spec.nbytes - at)
        data = os.pread(self._handle, length, self.header.starts[array] + at)
        first = sum(one.blocks for one in self.header.arrays[:array])
        if len(data) != length or zlib.crc32(data) != self._sums[first + number]:
            raise DamagedPartial(f"{self.path}: damaged (checksum) in {spec.name}, block {number + 1} of {spec.blocks}")
        return np.frombuffer(data, spec.dtype)

    def read(self, array: int) -> "npt.NDArray[Any]":
        """Read a whole array."""
        import numpy as np

        spec = self.header.arrays[array]
        result = np.empty(spec.shape, spec.dtype)
        flat = result.reshape(-1)
        for number, part in self.each(array):
            begin = number * BLOCK // result.itemsize
            flat[begin : begin + len(part)] = part
        return result

    def each(self, array: int) -> "Iterator[tuple[int, npt.NDArray[np.generic]]]":
        """Yield number and content of every block of an array."""
        for number in self.blocks(array):
            yield number, self.block(array, number)

    def arrays(self) -> "LazyArrays":
        """Return the arrays by name, each read when it is asked for."""
        return LazyArrays(self)

    def _read_sums(self) -> Sequence[int]:
        count = sum(spec.blocks for spec in self.header.arrays)
        table = os.pread(self._handle, 4 * count + 4, self.header.starts[-1])
        if len(table) != 4 * count + 4 or zlib.crc32(table[:-4]) != struct.unpack("<I", table[-4:])[0]:
            raise DamagedPartial(f"{self.path}: its checksums are damaged")
        return struct.unpack(f"<{count}I", table[:-4])


class LazyArrays(Mapping[str, Any]):
    """The arrays of a partial by name; nothing is kept."""

    def __init__(self, partial: PartialReader) -> None:
        self.partial = partial
        self.numbers = {spec.name: number for number, spec in enumerate(partial.header.arrays)}

    def __getitem__(self, name: str) -> "npt.NDArray[Any]":
        """Read an array."""
        return self.partial.read(self.numbers[name])

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.numbers)

    def __len__(self) -> int:
        """Count the arrays."""
        return len(self.numbers)
