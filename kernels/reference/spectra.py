"""Definition of ``add_filtered``."""

import numpy as np
from numpy.typing import NDArray


def add_filtered(
    spectrum: NDArray[np.complex64],
    bins: NDArray[np.uint16],
    curve: NDArray[np.float32],
    along_y: NDArray[np.float32],
    along_x: NDArray[np.float32],
    total: NDArray[np.complex64],
) -> None:
    """Add ``spectrum`` [y, x] times ``curve[bins]``, times a factor for its row and one for its column, to ``total``.

    ``bins`` [y, x] says which value of the curve, a function of |k|, holds at each coefficient.
    """
    total += spectrum * (curve[bins].astype(float) * along_y[:, None] * along_x)
