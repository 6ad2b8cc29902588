"""Stacks of images in MRC files, of any mode that ``formats.mrc`` reads, read by slices."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.movie_base import open_file, read_at
from pypcore.formats.mrc import HEADER_BYTES, MrcHeader, parse_header


@dataclass
class Stack:
    """An open stack; ``shape`` is (images, rows, columns)."""

    path: Path
    header: MrcHeader
    _handle: int
    _size: int

    @classmethod
    def open(cls, path: Path) -> "Stack":
        """Open a stack; InputError where it is missing or no MRC file."""
        handle = open_file(path)
        try:
            size = os.fstat(handle).st_size
            header = parse_header(bytes(read_at(handle, min(size, HEADER_BYTES), 0, path)), path)
        except BaseException:
            os.close(handle)
            raise
        return cls(path, header, handle, size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (images, rows, columns)."""
        return self.header.shape

    def __enter__(self) -> "Stack":
        """Return this."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        os.close(self._handle)

    def read(self, numbers: Sequence[int], out: npt.NDArray[np.float32]) -> None:
        """Read the images ``numbers``, from 0, into ``out`` (count, rows, columns), float32.

        InputError for a number past the end, a file that is cut off, and an image with a value that is not finite.
        """
        sections = self.header.shape[0]
        for number in numbers:
            if not 0 <= number < sections:
                raise InputError(f"{self.path}: image {number + 1} is asked for; it has {sections}")
        place = 0
        # Neighbours are read in one call.
        for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
            count = len(list(run))
            self._read_run(numbers[place], out[place : place + count])
            place += count

    def _read_run(self, first: int, out: npt.NDArray[np.float32]) -> None:
        header, bytes_each = self.header, self.header.section_bytes
        begin = header.offset + first * bytes_each
        if begin + len(out) * bytes_each > self._size:
            whole = max(0, self._size - header.offset) // bytes_each
            raise InputError(
                f"{self.path}: cut off: it holds {whole} of {header.shape[0]} images; copy or make it again"
            )
        data = read_at(self._handle, len(out) * bytes_each, begin, self.path)
        if header.packed:
            for place in range(len(out)):
                out[place] = header.unpack(data[place * bytes_each : (place + 1) * bytes_each])
        else:
            out[...] = np.frombuffer(data, header.dtype).reshape(out.shape)
        if header.dtype.kind == "f":
            self._refuse_not_finite(first, out)

    def _refuse_not_finite(self, first: int, images: npt.NDArray[Any]) -> None:
        # A sum is finite only where every pixel is: values near float32's largest are none either.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = images.reshape(len(images), -1).sum(axis=1)
        bad = np.flatnonzero(~np.isfinite(sums))
        if len(bad):
            raise InputError(
                f"{self.path}: image {first + bad[0] + 1} has pixels that are not finite (NaN or infinite); take it "
                "out of the STAR file or make it again"
            )
