"""Movies in MRC files, plain or compressed with gzip or bzip2."""

import bz2
import gzip
import os
import threading
from pathlib import Path

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.movie_base import COPY_AGAIN, Array, Movie, open_file, read_at, read_into
from pypcore.formats.mrc import HEADER_BYTES, MrcHeader, check_length, parse_header

_KEPT = 8  # frames that a compressed movie keeps when a later one is asked for first


class MrcMovie(Movie):
    """A plain MRC file: frames are read where they lie, by several threads at once."""

    def __init__(self, path: Path) -> None:
        self._descriptor = open_file(path)
        try:
            size = os.fstat(self._descriptor).st_size
            raw = read_at(self._descriptor, min(size, HEADER_BYTES), 0, path)
            self._header = parse_header(bytes(raw), path)
            check_length(self._header, size, path)
        except BaseException:
            os.close(self._descriptor)
            raise
        super().__init__(path, self._header.shape, self._header.dtype.newbyteorder("="), self._header.pixel_size)

    def _read(self, frame: int) -> Array:
        header = self._header
        place = header.offset + frame * header.section_bytes
        if header.packed:
            return header.unpack(read_at(self._descriptor, header.section_bytes, place, self.path))
        image = np.empty(header.shape[1:], header.dtype)
        read_into(self._descriptor, image.view(np.uint8).reshape(-1).data, place, self.path)
        return image if image.dtype.isnative else image.astype(image.dtype.newbyteorder("="))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class CompressedMrcMovie(Movie):
    """An MRC file in a gzip or bzip2 stream, which can only be decompressed from its beginning.

    Frames read in order cost one pass. One thread decompresses at a time; up to eight frames that were passed over
    are kept (raw) for the threads that want them. Going back further starts again at the beginning, so reading
    frames backwards costs a pass each. That the stream is whole is known when its last frame has been read.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self._compression = compression
        self._lock = threading.Lock()
        self._passed: dict[int, bytearray] = {}
        os.close(open_file(path))
        self._stream = self._open(path)
        try:
            self._header = self._read_header(path)
        except BaseException:
            self._stream.close()
            raise
        super().__init__(path, self._header.shape, self._header.dtype.newbyteorder("="), self._header.pixel_size)

    def _open(self, path: Path) -> gzip.GzipFile | bz2.BZ2File:
        self._next = 0
        return gzip.open(path, "rb") if self._compression == "gzip" else bz2.open(path, "rb")

    def _read_header(self, path: Path) -> MrcHeader:
        header = parse_header(bytes(self._take(HEADER_BYTES, path)), path)
        self._take(header.offset - HEADER_BYTES, path)
        return header

    def _take(self, count: int, path: Path) -> bytearray:
        """Decompress the next ``count`` bytes."""
        try:
            data = bytearray(self._stream.read(count))
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path}: damaged {self._compression} stream ({error}); {COPY_AGAIN}") from error
        if len(data) < count:
            raise InputError(f"{path}: its {self._compression} stream ends before the movie does; {COPY_AGAIN}")
        return data

    def _read(self, frame: int) -> Array:
        with self._lock:
            if frame not in self._passed and frame < self._next:
                self._stream.close()
                self._passed.clear()
                self._stream = self._open(self.path)
                self._read_header(self.path)
            while frame not in self._passed:
                self._passed[self._next] = self._take(self._header.section_bytes, self.path)
                self._next += 1
                if len(self._passed) > _KEPT:
                    del self._passed[min(self._passed)]
            data = self._passed.pop(frame)
        return self._header.unpack(data)

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
