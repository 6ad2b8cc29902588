"""Shrinking images by cropping their transform: pixel i of the small image lies at i * factor of the large one."""

from typing import Any

import numpy as np
import numpy.typing as npt


def shrink(image: npt.NDArray[Any], factor: float) -> npt.NDArray[np.float32]:
    """Return [y, x] (or a stack of them) shrunk by ``factor``, to the nearest even sides; the mean stays."""
    import scipy.fft

    height, width = image.shape[-2:]
    small_y, small_x = (max(2, round(side / factor / 2) * 2) for side in (height, width))
    if (small_y, small_x) == (height, width):
        return image.astype(np.float32)
    spectrum = scipy.fft.rfft2(image.astype(np.float32))
    half = small_y // 2
    kept = np.concatenate(
        [spectrum[..., :half, : small_x // 2 + 1], spectrum[..., -half:, : small_x // 2 + 1]], axis=-2
    )
    kept[..., half, :] = 0  # frequencies that would be their own mirror images
    kept[..., :, -1] = 0
    small: npt.NDArray[np.float32] = scipy.fft.irfft2(kept, s=(small_y, small_x)) * (
        small_y * small_x / (height * width)
    )
    return small.astype(np.float32)
