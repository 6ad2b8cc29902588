"""Simulated movies as files, written frame by frame, with no clock in them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tifffile
from mrcfile import dtypes
from numpy.typing import NDArray

# MRC mode: what a pixel is on disk, and the largest count that it holds exactly.
_MRC_TYPES: dict[int, tuple[str, int]] = {
    0: ("<i1", 127),
    1: ("<i2", 32767),
    2: ("<f4", 2**24),
    6: ("<u2", 65535),
    12: ("<f2", 2048),
    101: ("packed", 15),
}


def write_mrc_movie(
    path: Path,
    frames: Iterable[NDArray[np.generic]],
    shape: tuple[int, int, int],
    *,
    pixel_size: float,
    mode: int = 6,
) -> None:
    """Write ``frames`` of a movie of ``shape`` (frames, height, width) as an MRC image stack.

    Args:
        path: file to write.
        frames: counts [y, x] in MRC order.
        shape: of the movie.
        pixel_size: Å.
        mode: 0, 1, 2, 6, 12, or 101 (IMOD's packed 4-bit: first pixel in the low half, each row a whole
            number of bytes).

    Raises:
        ValueError: a count doesn't fit the mode.
    """
    header = np.zeros((), dtypes.HEADER_DTYPE.newbyteorder("<"))
    n_frames, height, width = shape
    header["nx"], header["ny"], header["nz"] = header["mx"], header["my"], _ = width, height, n_frames
    header["mz"] = 1  # an image stack, not a volume
    header["mode"] = mode
    header["cella"] = width * pixel_size, height * pixel_size, pixel_size
    header["cellb"] = 90, 90, 90
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = 0, -1, -2, -1  # "not determined"
    header["nversion"] = 20141
    header["map"] = b"MAP "
    header["machst"] = [0x44, 0x44, 0, 0]
    written = 0
    with path.open("wb") as file:
        file.write(header.tobytes())
        for frame in frames:
            file.write(_mrc_bytes(frame, mode))
            written += 1
    if written != n_frames:
        raise ValueError(f"{path}: {written} frames came, {n_frames} were announced")


def _mrc_bytes(frame: NDArray[np.generic], mode: int) -> bytes:
    kind, largest = _MRC_TYPES[mode]
    if frame.max() > largest:
        raise ValueError(f"count {frame.max()} does not fit MRC mode {mode} (at most {largest})")
    if kind != "packed":
        return frame.astype(kind).tobytes()
    even = np.pad(frame.astype(np.uint8), ((0, 0), (0, frame.shape[1] % 2)))
    return (even[:, ::2] | even[:, 1::2] << 4).tobytes()


def write_tiff_movie(
    path: Path,
    frames: Iterable[NDArray[np.generic]],
    *,
    compression: str | None = "lzw",
    big: bool = False,
    strips: int = 1,
) -> None:
    """Write ``frames`` [y, x] in MRC order as TIFF pages of ``strips`` strips each.

    TIFF row 0 is the top of the picture and MRC row 0 its bottom (the rule of IMOD, SerialEM, MotionCor2 and
    RELION), so the rows are written last first; a gain in MRC order then fits both.
    """
    with tifffile.TiffWriter(path, bigtiff=big) as tiff:
        for frame in frames:
            rows = -(-frame.shape[0] // strips)
            tiff.write(
                np.ascontiguousarray(frame[::-1]),
                compression=compression,
                rowsperstrip=rows,
                photometric="minisblack",
                metadata=None,
                software=False,
            )
