"""Open a movie, whatever its format; the file's first bytes decide, not its name."""

import os
from pathlib import Path

from pypcore.errors import InputError
from pypcore.formats.movie_base import Movie, open_file, read_at

__all__ = ["SUFFIXES", "Movie", "open_movie"]

SUFFIXES = (".mrc", ".mrcs", ".mrc.gz", ".mrcs.gz", ".mrc.bz2", ".mrcs.bz2", ".tif", ".tiff", ".eer")
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_COMPRESSED_STARTS = {b"\x1f\x8b": "gzip", b"BZ": "bzip2"}


def open_movie(
    path: Path,
    *,
    eer_fractions: int | None = None,
    eer_group: int | None = None,
    eer_sampling: int = 1,
    least: int = 2,
) -> Movie:
    """Open a movie of ``least`` frames or more.

    MRC (modes 0, 1, 2, 6, 12 and packed 4-bit 101; plain, gzip, bzip2), TIFF and BigTIFF (none, LZW, deflate), EER.
    ``eer_fractions``, ``eer_group`` and ``eer_sampling`` matter for EER alone: see ``EerMovie``. Raises InputError,
    one line, for what can't be opened, is empty, cut off, of no known format, of unequal frames, or one image only.
    """
    descriptor = open_file(path)
    try:
        start = bytes(read_at(descriptor, min(os.fstat(descriptor).st_size, 4), 0, path))
    finally:
        os.close(descriptor)
    movie = _open(path, start, eer_fractions, eer_group, eer_sampling)
    if movie.shape[0] < least:
        movie.close()
        raise InputError(f"{path}: one frame only; a movie has at least 2: is it a sum, or its gain reference?")
    return movie


def _open(path: Path, start: bytes, fractions: int | None, group: int | None, sampling: int) -> Movie:
    if start in TIFF_STARTS:
        from pypcore.formats.eer_movie import EerMovie, is_eer
        from pypcore.formats.tiff_movie import TiffMovie, read_pages

        pages = read_pages(path)
        if is_eer(pages):
            return EerMovie(path, pages, fractions=fractions, group=group, sampling=sampling)
        return TiffMovie(path, pages)

    from pypcore.formats.mrc_movie import CompressedMrcMovie, MrcMovie

    compression = _COMPRESSED_STARTS.get(start[:2])
    return CompressedMrcMovie(path, compression) if compression else MrcMovie(path)
