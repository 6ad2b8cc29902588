"""Definition of ``sum_frames``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sum_frames(frames: list[NDArray[Any]], out: NDArray[np.float32]) -> None:
    """Add raw frames, or rows of them, [h, w] of bytes, 16-bit whole numbers or float32 to ``out``, in order."""
    for frame in frames:
        out += frame.astype(np.float32)
