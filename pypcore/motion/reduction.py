"""How whole frames are reduced for the coarse alignment: sizes, filter and window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.small import SmallMovie

Array = NDArray[np.float64]

_FINEST = 16.0  # Å: Nyquist limit of the copies compared
_HIGH_PASS = 150.0  # Å


@dataclass(frozen=True)
class Reduction:
    """From small frames to their band-passed spectra of ``shape`` (y, x) pixels."""

    shape: tuple[int, int]
    scale: Array  # (y, x): unbinned pixels in a reduced one
    k: Array  # [y, x // 2 + 1], 1/Å
    band: NDArray[np.float32]  # likewise: the high-pass
    window: NDArray[np.float32]  # over the extent of a small frame

    @classmethod
    def of(cls, small: SmallMovie, pixel_size: float) -> "Reduction":
        """Lay out for a small movie of a movie with pixels of ``pixel_size`` Å."""
        _, height, width = small.frames.shape
        factor = max(1, min(round(_FINEST / (2 * pixel_size * small.step)), min(height, width) // 16))
        shape = (height // factor // 2 * 2, width // factor // 2 * 2)
        ky, kx = fft.frequencies(shape)
        scale = np.array([height / shape[0], width / shape[1]]) * small.step
        k = np.hypot(ky / scale[0], kx / scale[1]) / pixel_size
        band = (1 - np.exp(-((k * _HIGH_PASS) ** 2))).astype(np.float32)
        window = np.outer(*(np.sin(np.pi * (np.arange(m) + 0.5) / m) for m in small.extent)).astype(np.float32)
        window *= np.float32(small.unit)
        return cls(shape, scale, k, band, window)
