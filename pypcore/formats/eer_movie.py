"""Movies in EER files (electron event representation, Falcon 4 cameras): Guo et al. 2020, IUCrJ 7, 860.

No recorded EER file was at hand when this was written. What it rests on: ``imagecodecs``' decoder, and files
written by an encoder of the tests, which RELION 3.1.3 renders to the same pixels as this module does.
"""

import os
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from pypcore.errors import InputError
from pypcore.formats.movie_base import COPY_AGAIN, Array, Movie, open_file, plausible_pixel_size, read_at
from pypcore.formats.tiff_movie import check_pages

PROTOTYPE, SEVEN_BIT, VARIABLE = 65000, 65001, 65002
COMPRESSIONS = {PROTOTYPE: "EER 8-bit", SEVEN_BIT: "EER 7-bit", VARIABLE: "EER"}
_SKIP_BITS, _HORIZONTAL_BITS, _VERTICAL_BITS = 65007, 65008, 65009  # tags of compression 65002


def is_eer(pages: list[tifffile.TiffPage]) -> bool:
    """Say whether a TIFF holds electron events; its first page may be a picture of their sum."""
    return any(page.compression in COMPRESSIONS for page in pages[:2])


class EerMovie(Movie):
    """An EER file whose raw frames are summed in groups to the frames ("fractions") of a movie.

    Give either ``fractions``, how many frames to make, or ``group``, how many raw frames make one. Raw frames that
    are left over at the end are dropped, as in RELION. ``sampling`` 1 counts on the sensor's pixels (4k), 2 on
    halves of them (8k), 3 on quarters (16k); ``pixel_size`` is that of the sampled pixel.

    Rows are in the file's order: RELION takes the first row of an EER, unlike that of a TIFF, as the first of an MRC.
    """

    def __init__(
        self,
        path: Path,
        pages: list[tifffile.TiffPage],
        *,
        fractions: int | None,
        group: int | None,
        sampling: int,
    ) -> None:
        metadata = pages[0].eer_tags or {}
        if pages[0].compression not in COMPRESSIONS:
            pages = pages[1:]
        check_pages(pages, COMPRESSIONS, path)
        self.raw_frames = len(pages)
        self.group = _group(path, self.raw_frames, fractions, group)
        self.sampling = sampling
        self._pages = pages
        self._descriptor = open_file(path)
        height, width = pages[0].shape
        scale = 1 << (sampling - 1)
        super().__init__(
            path,
            (self.raw_frames // self.group, height * scale, width * scale),
            np.uint8 if self.group < 256 else np.uint16,  # a pixel has at most one event in a raw frame
            _pixel_size(metadata, scale),
        )

    def _read(self, frame: int) -> Array:
        image = np.zeros(self.shape[1:], self.dtype)
        for page in self._pages[frame * self.group : (frame + 1) * self.group]:
            self._add_events(image, page)
        return image

    def _add_events(self, image: Array, page: tifffile.TiffPage) -> None:
        strips = zip(page.dataoffsets, page.databytecounts, strict=True)
        data = b"".join(read_at(self._descriptor, count, offset, self.path) for offset, count in strips)
        skip, horizontal, vertical = _bits(page)
        try:
            if page.compression == PROTOTYPE:
                _add_prototype_events(image, data, page.shape, self.sampling)
            else:
                data += bytes(len(data) % 2)  # the decoder wants whole pairs
                levels = self.sampling - 1
                imagecodecs.eer_decode(data, image.shape, skip, horizontal, vertical, superres=levels, out=image)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{self.path}: damaged raw frame {page.index + 1} ({error}); {COPY_AGAIN}") from error

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _group(path: Path, raw_frames: int, fractions: int | None, group: int | None) -> int:
    if (fractions is None) == (group is None):
        raise InputError(
            f"{path}: an EER movie of {raw_frames} raw frames; say how to sum them: "
            "either the number of fractions or the raw frames in each"
        )
    if group is None:
        group = raw_frames // fractions if fractions else 0
    if not 0 < group <= raw_frames:
        asked = f"{fractions} fractions" if fractions is not None else f"fractions of {group} raw frames"
        raise InputError(f"{path}: {asked} can't be made of {raw_frames} raw frames; ask for fewer")
    return group


def _bits(page: tifffile.TiffPage) -> tuple[int, int, int]:
    """Return the bits of a code: run of empty pixels, horizontal and vertical place in the pixel."""
    if page.compression == VARIABLE:
        tags = page.tags
        return (tags.valueof(_SKIP_BITS, 7), tags.valueof(_HORIZONTAL_BITS, 2), tags.valueof(_VERTICAL_BITS, 2))
    return (8 if page.compression == PROTOTYPE else 7), 2, 2


def _add_prototype_events(image: Array, data: bytes, shape: tuple[int, ...], sampling: int) -> None:
    """Add the events of a frame with compression 65000 to ``image``.

    Every code takes 12 bits there, also that of a full run (255), after which the others leave out the 4 bits of
    the place in the pixel; imagecodecs leaves them out for this compression too, and loses the thread.
    """
    raw = np.frombuffer(data[: len(data) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int64)
    words = raw[:, 0] | raw[:, 1] << 8 | raw[:, 2] << 16
    codes = np.stack([words & 0xFFF, words >> 12], axis=-1).ravel()
    run, place = codes & 0xFF, (codes >> 8) ^ 0x0A
    event = run < 255
    position = np.cumsum(run + event) - event  # where the run of each code ends
    height, width = shape
    stop = int(np.searchsorted(position, height * width))
    if stop == len(codes) or position[stop] != height * width:
        raise ValueError(f"its runs cover {position[-1]} of {height * width} pixels")
    position, place = position[:stop][event[:stop]], place[:stop][event[:stop]]
    y, x = _sampled(position // width, place >> 2, sampling), _sampled(position % width, place & 3, sampling)
    image[y, x] += 1  # no two events of a raw frame share a pixel


def _sampled(pixel: npt.NDArray[np.int64], quarter: npt.NDArray[np.int64], sampling: int) -> npt.NDArray[np.int64]:
    return (pixel << (sampling - 1)) | (quarter >> (3 - sampling))


def _pixel_size(metadata: dict[str, Any], scale: int) -> float | None:
    """Return the sampled pixel's size in Å from the acquisition's metadata; None where they don't say it."""
    metres = metadata.get("sensorPixelSize.width")
    if not isinstance(metres, float) or metadata.get("sensorPixelSize.width.unit") != "m":
        return None
    return plausible_pixel_size(metres * 1e10 / scale)
