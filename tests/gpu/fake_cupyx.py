"""What is used of ``cupyx``, beside ``fake_cupy``."""

from typing import Any

import fake_cupy
import numpy as np


def empty_pinned(shape: Any, dtype: Any = float) -> np.ndarray:
    """Host memory that copies may be made from while the device computes; it holds anything at first."""
    host = np.empty(shape, dtype).view(fake_cupy.Pinned)
    host.view(np.uint8).fill(0xFF)
    return host
