"""MRC files: the header of every kind that cameras and their programs write; images read and written.

The format: Cheng et al. 2015, J. Struct. Biol. 192, 146; modes 6 and 12 as MRC2014 has them, mode 101 (two 4-bit
pixels in a byte) and the meaning of signed bytes as IMOD has them (bio3d.colorado.edu/imod/doc/mrc_format.txt).
``mrcfile`` reads no mode 101 and no header without the MAP stamp, so the header is parsed here.
"""

import logging
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.movie_base import COPY_AGAIN, open_file, plausible_pixel_size, read_at

HEADER_BYTES = 1024
PACKED_4BIT = 101
_IMOD_STAMP = 1146047817
_SIGNED_BYTES, _PACKED_BYTES = 1, 16  # bits of IMOD's flags
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", PACKED_4BIT: "u1"}
_LONGEST_SIDE = 1 << 20  # px: beyond it, what was read is no header

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MrcHeader:
    """What the header of an MRC file says.

    ``shape`` is (sections, rows, columns), ``dtype`` the type of the stored pixels in the file's byte order,
    ``offset`` where they begin (bytes), ``pixel_size`` in Å or None, ``packed`` whether two pixels share a byte.
    """

    shape: tuple[int, int, int]
    mode: int
    dtype: np.dtype[Any]
    offset: int
    pixel_size: float | None

    @property
    def packed(self) -> bool:
        """Say whether two 4-bit pixels share a byte."""
        return self.mode == PACKED_4BIT

    @property
    def section_bytes(self) -> int:
        """Return the bytes of one section."""
        _, rows, columns = self.shape
        return rows * ((columns + 1) // 2) if self.packed else rows * columns * self.dtype.itemsize

    def unpack(self, data: bytearray) -> npt.NDArray[Any]:
        """Return the bytes of one section as [y, x] in native byte order."""
        _, rows, columns = self.shape
        if self.packed:
            from pypcore.kernels.cpu.nibbles import unpack_nibbles

            return unpack_nibbles(np.frombuffer(data, np.uint8).reshape(rows, -1), columns)
        image = np.frombuffer(data, self.dtype).reshape(rows, columns)
        return image if self.dtype.isnative else image.astype(self.dtype.newbyteorder("="))


def parse_header(raw: bytes, path: Path) -> MrcHeader:
    """Parse the first 1024 bytes of an MRC file; raise InputError where they aren't a header that we can read."""
    if len(raw) < HEADER_BYTES:
        raise InputError(f"{path}: not a movie or an image ({len(raw)} bytes; an MRC header alone takes 1024)")
    stamped = raw[208:211] == b"MAP"
    order = _byte_order(raw)
    if order is None or (not stamped and struct.unpack_from(f"{order}3i", raw, 64) != (1, 2, 3)):
        raise InputError(f"{path}: not MRC, TIFF or EER (no such header); look at it with the program that wrote it")
    if not stamped:
        log.warning("%s: an old MRC header without the MAP stamp; its sizes make sense, so it is read", path)
    columns, rows, sections, mode = struct.unpack_from(f"{order}4i", raw, 0)
    if mode not in _TYPES:
        known = ", ".join(str(known) for known in sorted(_TYPES))
        raise InputError(f"{path}: MRC mode {mode} is not supported; modes that are: {known}; convert the file")
    dtype = np.dtype(_TYPES[mode])
    stamp, flags = struct.unpack_from(f"{order}2i", raw, 152)
    if mode == 0 and stamp == _IMOD_STAMP:
        if flags & _PACKED_BYTES:
            raise InputError(f"{path}: 4-bit pixels marked as bytes (IMOD flag 16); convert it to mode 101 with IMOD")
        dtype = np.dtype("i1" if flags & _SIGNED_BYTES else "u1")
    (extended,) = struct.unpack_from(f"{order}i", raw, 92)
    return MrcHeader(
        shape=(sections, rows, columns),
        mode=mode,
        dtype=dtype.newbyteorder(order),
        offset=HEADER_BYTES + extended,
        pixel_size=_pixel_size(raw, order),
    )


def _byte_order(raw: bytes) -> Literal["<", ">"] | None:
    """Return "<" or ">", whichever makes sense of the sizes; None where neither does.

    The header's own machine stamp is not asked: programs have written it wrong, and the sizes can't lie.
    """
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        *sides, mode = struct.unpack_from(f"{order}4i", raw, 0)
        (extended,) = struct.unpack_from(f"{order}i", raw, 92)
        if all(0 < side <= _LONGEST_SIDE for side in sides) and 0 <= mode < 256 and 0 <= extended < 1 << 30:
            return order
    return None


def _pixel_size(raw: bytes, order: str) -> float | None:
    samples_x, samples_y, _, cell_x, cell_y = struct.unpack_from(f"{order}3i2f", raw, 28)
    if samples_x <= 0 or samples_y <= 0:
        return None
    x, y = cell_x / samples_x, cell_y / samples_y
    return plausible_pixel_size(x) if abs(x - y) <= 0.01 * abs(x) else None


def check_length(header: MrcHeader, size: int, path: Path) -> None:
    """Raise InputError where a file of ``size`` bytes holds less than its header says."""
    sections, rows, columns = header.shape
    needed = header.offset + sections * header.section_bytes
    if size < needed:
        whole = max(0, size - header.offset) // header.section_bytes
        raise InputError(
            f"{path}: cut off: {size} bytes hold {whole} of {sections} frames of {columns} x {rows}, "
            f"which take {needed}; {COPY_AGAIN}"
        )


def read_mrc(path: Path) -> tuple[npt.NDArray[Any], float | None]:
    """Read a whole MRC file: [y, x], or [z, y, x] when it has several sections; and its pixel size in Å or None."""
    descriptor = open_file(path)
    try:
        size = os.fstat(descriptor).st_size
        header = parse_header(bytes(read_at(descriptor, min(size, HEADER_BYTES), 0, path)), path)
        check_length(header, size, path)
        sections = [
            header.unpack(read_at(descriptor, header.section_bytes, header.offset + z * header.section_bytes, path))
            for z in range(header.shape[0])
        ]
    finally:
        os.close(descriptor)
    return (sections[0] if len(sections) == 1 else np.stack(sections)), header.pixel_size


def write_mrc(
    path: Path,
    data: npt.NDArray[Any],
    pixel_size: float,
    *,
    float16: bool = False,
    volume: bool = False,
    label: str = "pypcore",
) -> None:
    """Write an image [y, x], or a stack of images or (``volume``) a map [z, y, x].

    ``pixel_size`` in Å. Integers of the MRC's types (int8, int16, uint16) are kept, all else becomes float32
    (mode 2), or float16 (mode 12, for RELION 4 and newer). ``label``, ASCII of at most 80 characters, says what it is.
    The same data give the same bytes: no date is written.
    Raises InputError where a value does not fit float16.
    """
    import mrcfile

    if float16:
        data = _as_float16(data, path)
    elif data.dtype not in (np.int8, np.int16, np.uint16):
        data = data.astype(np.float32, copy=False)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        if volume:
            file.set_volume()
        elif data.ndim == 3:
            file.set_image_stack()
        file.voxel_size = pixel_size
        file.header.label[:] = b""
        file.header.label[0] = label.encode("ascii")[:80]
        file.header.nlabl = 1


def _as_float16(data: npt.NDArray[Any], path: Path) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        halved = data.astype(np.float16)
    if not np.array_equal(np.isfinite(halved), np.isfinite(data)):
        raise InputError(f"{path}: values up to {np.nanmax(np.abs(data)):g} don't fit float16 (65504); write float32")
    return halved
