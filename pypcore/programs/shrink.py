"""Shrinking images by cropping their transform: pixel i of the small image lies at i * factor of the large one."""

from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]


def shrink(image: npt.NDArray[Any], factor: float) -> Images:
    """Return [y, x] (or a stack of them) shrunk by ``factor``, to the nearest even sides; the mean stays."""
    height, width = image.shape[-2:]
    return _crop(image, *(max(2, round(side / factor / 2) * 2) for side in (height, width)))


def crop(stack: Images, side: int) -> Images:
    """Return square images shrunk to ``side``, even; the mean stays, and so does the centre, side // 2."""
    return _crop(stack, side, side)


def _crop(image: npt.NDArray[Any], small_y: int, small_x: int) -> Images:
    import scipy.fft

    height, width = image.shape[-2:]
    if (small_y, small_x) == (height, width):
        return image.astype(np.float32)
    spectrum = scipy.fft.rfft2(image.astype(np.float32))
    half, columns = small_y // 2, slice(small_x // 2 + 1)
    # At the new Nyquist frequency the positive one of each pair stays, as in RELION.
    kept = np.concatenate([spectrum[..., : half + 1, columns], spectrum[..., -(half - 1) :, columns]], axis=-2)
    small: Images = scipy.fft.irfft2(kept, s=(small_y, small_x)) * (small_y * small_x / (height * width))
    return small.astype(np.float32)
