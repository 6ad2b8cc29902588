"""A stack of images in an MRC file, written an image at a time."""

import struct
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError

_TYPES: dict[str, tuple[int, np.dtype[Any]]] = {
    "float32": (2, np.dtype("<f4")),
    "float16": (12, np.dtype("<f2")),
    "int8": (0, np.dtype("i1")),
}
_HEADER = 1024
_IMAGE_STACK, _VOLUME = 0, 1


class MrcStackWriter:
    """Writes sections [y, x] of one size one after another; the header, with their statistics, on closing.

    ``pixel_size`` in Å; ``kind`` is float32, float16 or int8. A ``volume`` is marked as one map, else as images. The
    same sections give the same bytes. Raises InputError where a value does not fit float16.
    """

    def __init__(self, path: Path, pixel_size: float, *, kind: str = "float32", volume: bool = False) -> None:
        self.path = path
        self.pixel_size = pixel_size
        self.volume = volume
        self.sections = 0
        self.shape: tuple[int, int] | None = None
        self._mode, self._dtype = _TYPES[kind]
        self._low, self._high, self._sum, self._squares = np.inf, -np.inf, 0.0, 0.0
        self._file: BinaryIO = path.open("wb")
        self._file.write(bytes(_HEADER))

    def append(self, section: npt.NDArray[Any]) -> None:
        """Write the next section."""
        if self.shape is None:
            self.shape = (section.shape[0], section.shape[1])
        elif section.shape != self.shape:
            raise InputError(f"{self.path}: section {self.sections + 1} is {section.shape}, those before {self.shape}")
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(section, dtype=self._dtype)
        if self._dtype.kind == "f" and self._dtype.itemsize == 2 and not np.isfinite(stored).all():
            raise InputError(
                f"{self.path}: values up to {np.nanmax(np.abs(section)):g} don't fit float16 (65504); write float32"
            )
        self._file.write(stored.tobytes())
        wide = stored.astype(np.float64)
        self._low, self._high = min(self._low, float(wide.min())), max(self._high, float(wide.max()))
        self._sum += float(wide.sum())
        self._squares += float((wide**2).sum())
        self.sections += 1

    def close(self) -> None:
        """Write the header and close the file."""
        if self._file.closed:
            return
        if self.shape is not None and self.sections:
            self._file.seek(0)
            self._file.write(self._header(*self.shape))
        self._file.close()

    def _header(self, rows: int, columns: int) -> bytes:
        header = bytearray(_HEADER)
        sections, pixels = self.sections, self.sections * rows * columns
        mean = self._sum / pixels
        rms = max(self._squares / pixels - mean**2, 0.0) ** 0.5
        struct.pack_into("<4i", header, 0, columns, rows, sections, self._mode)
        struct.pack_into("<3i", header, 28, columns, rows, sections if self.volume else 1)
        cell = (columns * self.pixel_size, rows * self.pixel_size, (sections if self.volume else 1) * self.pixel_size)
        struct.pack_into("<6f", header, 40, *cell, 90, 90, 90)
        struct.pack_into("<3i", header, 64, 1, 2, 3)
        struct.pack_into("<3f", header, 76, self._low, self._high, mean)
        struct.pack_into("<i", header, 88, _VOLUME if self.volume else _IMAGE_STACK)
        struct.pack_into("<i", header, 108, 20140)
        header[208:216] = b"MAP \x44\x44\0\0"
        struct.pack_into("<f", header, 216, rms)
        struct.pack_into("<i", header, 220, 1)
        header[224:231] = b"pypcore"
        return bytes(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
