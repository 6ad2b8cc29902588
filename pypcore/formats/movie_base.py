"""What every movie can do, whatever file it comes from."""

import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError

Array = npt.NDArray[Any]


class Movie(ABC):
    """Frames of one movie, read one at a time: never more than a frame is in memory here.

    ``shape`` is (frames, height, width), ``dtype`` the type of the pixels as stored, ``pixel_size`` in Å as the
    file says it (None: it doesn't). Rows are in MRC order. Several threads may read at the same time.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: Any, pixel_size: float | None) -> None:
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.pixel_size = pixel_size

    def read(self, frame: int) -> Array:
        """Return frame ``frame`` (from 0) as [y, x]; raise InputError where the file is damaged."""
        if not 0 <= frame < self.shape[0]:
            raise IndexError(f"{self.path} has {self.shape[0]} frames; there is no frame {frame + 1}")
        return self._read(frame)

    @abstractmethod
    def _read(self, frame: int) -> Array: ...

    @abstractmethod
    def close(self) -> None:
        """Release the file. No thread may be reading."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_file(path: Path) -> int:
    """Return a descriptor for reading ``path``; raise InputError where it can't be opened or is empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: can't be opened ({error.strerror}); check the path and its permissions") from error
    if os.fstat(descriptor).st_size == 0:
        os.close(descriptor)
        raise InputError(f"{path}: the file is empty (0 bytes); copy it again from where it was recorded")
    return descriptor


def read_at(descriptor: int, count: int, offset: int, path: Path) -> bytearray:
    """Return ``count`` bytes from ``offset``; safe from several threads. Raise InputError where they end early."""
    buffer = bytearray(count)
    read_into(descriptor, memoryview(buffer), offset, path)
    return buffer


def read_into(descriptor: int, view: memoryview, offset: int, path: Path) -> None:
    """Fill the bytes of ``view`` from ``offset`` of the file; as ``read_at`` otherwise."""
    done, count = 0, view.nbytes
    while done < count:  # one call gives at most 2 GiB, or less on some file systems
        try:
            got = os.preadv(descriptor, [view[done:]], offset + done)
        except OSError as error:
            raise InputError(f"{path}: can't be read at byte {offset + done} ({error.strerror})") from error
        if got == 0:
            raise InputError(f"{path}: ends at byte {offset + done}, in the middle of its data; {COPY_AGAIN}")
        done += got


class Scratch(threading.local):
    """Bytes that a thread works in again and again: fresh memory costs as much time as decoding into it."""

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[np.uint8]] = {}

    def bytes(self, name: str, count: int) -> npt.NDArray[np.uint8]:
        """Return ``count`` bytes for the purpose ``name``, of any content, the thread's own until it asks again."""
        kept = self._kept.get(name)
        if kept is None or kept.size < count:
            kept = self._kept[name] = np.empty(count, np.uint8)
        return kept[:count]


COPY_AGAIN = "it was cut off or is still being written: copy it again"


def plausible_pixel_size(angstrom: float) -> float | None:
    """Return a pixel size that a file may mean, in Å; None where it can't be one.

    Exactly 1 Å is what many programs write for "not known", and is not believed either.
    """
    return angstrom if 0.05 < angstrom < 50 and angstrom != 1.0 else None
