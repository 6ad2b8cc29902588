"""Movies in TIFF files: classic and BigTIFF, plain, LZW or deflate."""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile

from pypcore.errors import InputError
from pypcore.formats.movie_base import COPY_AGAIN, Array, Movie, Scratch, open_file, plausible_pixel_size, read_into

COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate"}
_ANGSTROM_PER_UNIT = {2: 2.54e8, 3: 1e8}  # TIFF's resolution units: inch, cm

_scratch = Scratch()


class TiffMovie(Movie):
    """A TIFF file of one page a frame.

    The first row of a TIFF is the top of the picture, that of an MRC the bottom: rows are reversed on reading, as
    IMOD, SerialEM, MotionCor2 and RELION do, so that a gain reference in MRC fits a movie in either format.
    """

    def __init__(self, path: Path, pages: list[tifffile.TiffPage]) -> None:
        check_pages(pages, COMPRESSIONS, path)
        first = pages[0]
        if len(first.shape) != 2 or first.dtype is None or first.dtype.kind not in "uif":
            kind = f"{first.dtype} of shape {first.shape}"
            raise InputError(f"{path}: pages of {kind}; a movie has one number a pixel: convert it to grey")
        self._pages = pages
        self._descriptor = open_file(path)
        super().__init__(path, (len(pages), *first.shape), first.dtype.newbyteorder("="), _pixel_size(first))

    def _read(self, frame: int) -> Array:
        return decode_page(self._pages[frame], self._descriptor, self.path, reverse=True)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_pages(path: Path) -> list[tifffile.TiffPage]:
    """Read where every page of a TIFF lies; raise InputError where the file ends before its pages do."""
    try:
        with tifffile.TiffFile(path) as file:
            _check_chain(file, path)
            pages = [page.aspage() for page in file.pages]
            if pages:
                _ = pages[0].eer_tags  # cached: it can't be read any more when the file is closed
            size = file.filehandle.size
    except (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{path}: a TIFF that can't be read ({error}); {COPY_AGAIN}") from error
    if not pages:
        raise InputError(f"{path}: a TIFF without a page; {COPY_AGAIN}")
    for number, page in enumerate(pages, 1):
        end = max((at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)
        if end > size:
            raise InputError(f"{path}: cut off: frame {number} ends at byte {end} of {size}; {COPY_AGAIN}")
    return pages


def _check_chain(file: tifffile.TiffFile, path: Path) -> None:
    """Follow the list of pages to its end. tifffile only logs a broken list, and gives the pages before it."""
    handle, form = file.filehandle, file.tiff
    handle.seek(8 if form.is_bigtiff else 4)
    seen: set[int] = set()
    (place,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    while place:
        if place in seen or place + form.tagnosize > handle.size:
            raise InputError(f"{path}: cut off: page {len(seen) + 1} should be at byte {place}; {COPY_AGAIN}")
        seen.add(place)
        handle.seek(place)
        (tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
        handle.seek(place + form.tagnosize + tags * form.tagsize)
        raw = handle.read(form.offsetsize)
        if len(raw) < form.offsetsize:
            raise InputError(f"{path}: cut off in the description of page {len(seen)}; {COPY_AGAIN}")
        (place,) = struct.unpack(form.offsetformat, raw)


def check_pages(pages: Sequence[tifffile.TiffPage], compressions: dict[int, str], path: Path) -> None:
    """Raise InputError unless all pages have one shape, one type and a compression that we know."""
    first = pages[0]
    for number, page in enumerate(pages, 1):
        if page.compression not in compressions:
            known = ", ".join(sorted(set(compressions.values())))
            raise InputError(
                f"{path}: frame {number} has TIFF compression {int(page.compression)}, which is not supported; "
                f"supported: {known}; convert the file"
            )
        if page.shape != first.shape or page.dtype != first.dtype:
            raise InputError(
                f"{path}: frame {number} is {page.shape} {page.dtype}, frame 1 is {first.shape} {first.dtype}; "
                "the frames of a movie are equal"
            )


def decode_page(page: tifffile.TiffPage, descriptor: int, path: Path, *, reverse: bool) -> Array:
    """Return the pixels of one page; ``reverse`` puts the last row first. Safe from several threads."""
    height, width = page.shape
    if page.dtype is None:
        raise InputError(f"{path}: frame {page.index + 1} has pixels of {page.bitspersample} bits; 8 and 16 are read")
    image = np.empty((height, width), page.dtype.newbyteorder("="))
    rows_of_file = image[::-1] if reverse else image
    own_lzw = _is_plain_lzw(page, image.itemsize)
    if not own_lzw:
        image[...] = 0  # strips may be left out
    for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        data = _scratch.bytes("read", count)
        read_into(descriptor, data.data, offset, path)
        try:
            if own_lzw and not _is_old_lzw(data):
                first = index * page.rowsperstrip
                _decode_lzw(data, rows_of_file[first : first + page.rowsperstrip], page.parent.byteorder)
                continue
            strip, (_, _, y, x, _), (_, rows, columns, _) = page.decode(data.tobytes(), index)
        except (RuntimeError, ValueError, IndexError) as error:  # imagecodecs' own errors are RuntimeErrors
            raise InputError(f"{path}: damaged data in frame {page.index + 1} ({error}); {COPY_AGAIN}") from error
        if strip is not None:
            rows_of_file[y : y + rows, x : x + columns] = strip[0, : height - y, : width - x, 0]
        elif own_lzw:
            rows_of_file[index * page.rowsperstrip : (index + 1) * page.rowsperstrip] = 0
    return image


def _is_plain_lzw(page: tifffile.TiffPage, pixel_bytes: int) -> bool:
    """Say whether a page is what cameras' programs write: LZW strips of whole bytes, no predictor."""
    strips = -(-page.shape[0] // page.rowsperstrip) if page.rowsperstrip else 0
    return bool(
        page.compression == 5
        and page.predictor == 1
        and page.fillorder == 1
        and not page.is_tiled
        and page.bitspersample == 8 * pixel_bytes
        and len(page.dataoffsets) == strips
    )


def _is_old_lzw(data: npt.NDArray[np.uint8]) -> bool:
    """Say whether LZW data have the bit order from before TIFF 6.0 (imagecodecs knows it)."""
    return bool(data.size > 1 and data[0] == 0 and data[1] & 1 == 1)


def _decode_lzw(data: npt.NDArray[np.uint8], rows: Array, order: Literal["<", ">"]) -> None:
    from pypcore.kernels.cpu.lzw import lzw_decode

    strip = _scratch.bytes("strip", rows.nbytes)
    found = lzw_decode(data, strip)
    if found < strip.size:
        raise ValueError(f"LZW data of {found} bytes where {strip.size} should be")
    rows[...] = strip.view(rows.dtype.newbyteorder(order)).reshape(rows.shape)


def _pixel_size(page: tifffile.TiffPage) -> float | None:
    """Return the pixel size that the resolution tags mean, in Å; None where they aren't of this world."""
    unit: Any = page.tags.valueof(296, 2)
    rational = page.tags.valueof(282)
    if unit not in _ANGSTROM_PER_UNIT or not rational or 0 in rational:
        return None
    return plausible_pixel_size(_ANGSTROM_PER_UNIT[unit] * rational[1] / rational[0])
