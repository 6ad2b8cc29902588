"""One image from a file: a gain reference, a map of defects."""

import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.movie_base import open_file, read_at
from pypcore.formats.movies import TIFF_STARTS


def read_image(path: Path, *, file_order: bool = False) -> npt.NDArray[Any]:
    """Read an MRC or TIFF file of one image as [y, x].

    A TIFF's rows are reversed into MRC order, as those of a TIFF movie, unless ``file_order``. Of several pages of a
    TIFF the first is taken. Raises InputError for anything else.
    """
    descriptor = open_file(path)
    try:
        start = bytes(read_at(descriptor, min(os.fstat(descriptor).st_size, 4), 0, path))
        if start in TIFF_STARTS:
            from pypcore.formats.tiff_movie import COMPRESSIONS, check_pages, decode_page, read_pages

            page = read_pages(path)[0]
            check_pages([page], COMPRESSIONS, path)
            return decode_page(page, descriptor, path, reverse=not file_order)
    finally:
        os.close(descriptor)
    if path.suffix.lower() in (".dm3", ".dm4"):
        raise InputError(f"{path}: a Gatan file; convert it to MRC first (IMOD: dm2mrc {path.name} gain.mrc)")

    from pypcore.formats.mrc import read_mrc

    image, _ = read_mrc(path)
    if image.ndim != 2:
        raise InputError(f"{path}: a stack of {len(image)} images; one image is wanted here")
    return image
