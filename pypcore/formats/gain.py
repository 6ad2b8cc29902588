"""Gain references."""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.images import read_image

Rotation = Literal[0, 90, 180, 270]
Flip = Literal["none", "ud", "lr"]


def load_gain(
    path: Path, shape: tuple[int, int], *, rotate: Rotation = 0, flip: Flip = "none", eer: bool = False
) -> npt.NDArray[np.float32]:
    """Return a gain reference [y, x] that raw counts are multiplied with; 0 marks a bad pixel.

    ``shape`` is (height, width) of the movie's frames. The reference is turned by ``rotate`` degrees, then flipped
    upside down (``ud``) or left to right (``lr``), which is what RotGain and FlipGain mean in MotionCor2 and RELION:
    counter-clockwise when the first row is drawn at the bottom, clockwise when at the top. MRC and TIFF multiply.

    For an EER movie (``eer``) RELION's rules hold: a ``.gain`` file (TIFF, as the camera's software writes it)
    multiplies and has its rows in the order of the EER; any other file is divided by, i.e. its reciprocal, scaled
    to a mean of 1, is returned. One of the sensor's size fits all samplings, one of twice the size is averaged.

    Raises InputError where the values are no gain, or where the size does not fit: it says which rotation would.
    """
    if path.suffix.lower() == ".gain" and not eer:
        raise InputError(f"{path}: a .gain file belongs to EER movies; give an MRC or TIFF gain for these")
    gain = read_turned(path, rotate, flip)
    if eer:
        gain = _resample(gain, shape)
    _check_shape(gain.shape, shape, rotate, path)
    if eer and path.suffix.lower() != ".gain":
        gain = reciprocal(gain)
    return np.ascontiguousarray(gain, dtype=np.float32)


def read_turned(path: Path, rotate: Rotation, flip: Flip) -> npt.NDArray[np.float32]:
    """Return the values of a gain file as they are, turned, then flipped; see ``load_gain``."""
    gain = read_image(path, file_order=path.suffix.lower() == ".gain").astype(np.float32)
    _check_values(gain, path)
    gain = np.rot90(gain, -(rotate // 90))
    return {"none": gain, "ud": gain[::-1], "lr": gain[:, ::-1]}[flip]


def _check_values(gain: npt.NDArray[np.float32], path: Path) -> None:
    if not np.isfinite(gain).all():
        raise InputError(f"{path}: {np.count_nonzero(~np.isfinite(gain))} pixels of the gain are NaN or infinite")
    if gain.min() < 0 or not gain.any():
        raise InputError(f"{path}: a gain from {gain.min():g} to {gain.max():g}; it should be positive, 0 = bad pixel")


def _check_shape(found: tuple[int, ...], wanted: tuple[int, int], rotate: int, path: Path) -> None:
    if found == wanted:
        return
    sizes = f"the gain is {found[1]} x {found[0]}, the movie {wanted[1]} x {wanted[0]}"
    if found[::-1] == wanted:
        fitting = " or ".join(str(angle) for angle in (0, 90, 180, 270) if (angle - rotate) % 180)
        raise InputError(f"{path}: {sizes}; it fits turned by {fitting} degrees: give the rotation of your camera")
    if found in ((wanted[0] * 2, wanted[1] * 2), (wanted[0] // 2, wanted[1] // 2)):
        raise InputError(f"{path}: {sizes}; one is super-resolution, the other not: use the gain of these movies")
    raise InputError(f"{path}: {sizes}; it belongs to other movies")


def _resample(gain: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Bring the gain of an EER to the sampling of the movie where a power of 2 between them does it."""
    for factor in (2, 4):
        if (gain.shape[0] * factor, gain.shape[1] * factor) == shape:
            return gain.repeat(factor, axis=0).repeat(factor, axis=1)
    if (shape[0] * 2, shape[1] * 2) == gain.shape:
        return gain.reshape(shape[0], 2, shape[1], 2).mean(axis=(1, 3), dtype=np.float32)
    return gain


def reciprocal(gain: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return 1 / ``gain``, scaled to a mean of 1 over the good pixels; bad pixels (0) stay bad."""
    good = gain > 0
    inverse = np.zeros_like(gain)
    inverse[good] = 1 / gain[good]
    return inverse / inverse[good].mean()
