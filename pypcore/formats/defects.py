"""Lists and maps of bad pixels."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.images import read_image

_MAPS = (".mrc", ".tif", ".tiff")


def load_defects(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the bad pixels of a camera as [y, x]: True is bad.

    ``shape`` is (height, width) of the movie's frames. A text file has one rectangle a line, ``x y width height`` in
    pixels from 0, y counted from the first row in MRC order, as MotionCor2 and RELION read it; ``#`` begins a
    comment. An MRC or TIFF of the movie's size marks bad pixels by any value but 0. Raises InputError otherwise.
    """
    if path.suffix.lower() in _MAPS:
        image = read_image(path)
        if image.shape != shape:
            found = f"{image.shape[1]} x {image.shape[0]}"
            raise InputError(f"{path}: a map of {found} pixels; the movie has {shape[1]} x {shape[0]}: they must agree")
        return image != 0
    mask = np.zeros(shape, bool)
    for number, line in enumerate(_lines(path), 1):
        words = line.partition("#")[0].split()
        if words:
            x, y, width, height = _rectangle(words, shape, path, number)
            mask[y : y + height, x : x + width] = True
    return mask


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: neither text nor {', '.join(_MAPS)}; give a list 'x y width height' a line"
        ) from error
    if re.search(r"^\s*(CameraSize|RotationAndFlip|FullColumns|BadColumns|BadPixels)", text, re.MULTILINE):
        raise InputError(f"{path}: SerialEM's list of defects; make a map of it first (IMOD: clip defect -D LIST ...)")
    return text.splitlines()


def _rectangle(words: list[str], shape: tuple[int, int], path: Path, number: int) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(word) for word in words)
    except ValueError as error:
        raise InputError(f"{path}: line {number} is '{' '.join(words)}'; it should be 'x y width height'") from error
    if min(x, y) < 0 or min(width, height) < 1 or y + height > shape[0] or x + width > shape[1]:
        raise InputError(
            f"{path}: line {number}: {width} x {height} pixels at ({x}, {y}) reach out of a movie of "
            f"{shape[1]} x {shape[0]}; is the list of another camera or orientation?"
        )
    return x, y, width, height
