"""Definition of ``shrink_frame``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def shrink_frame(
    frame: NDArray[Any],
    gain: NDArray[np.float32] | None,
    mean: float,
    taps: NDArray[np.float32],
    step: int,
    out: NDArray[np.float32],
) -> None:
    """Low-pass a frame, take every ``step``-th pixel of it along both axes, and add them to ``out`` [m, n].

    ``frame`` [h, w]: raw, bytes, 16-bit whole numbers or float32; ``gain`` [h, w] multiplies it, or None; ``mean`` is
    taken off, and beyond the edges there are zeros. ``taps`` [L], symmetric, L - step even: the filter along each
    axis. Pixel (i, j) of the result stands at ((i + 1/2) step - 1/2, (j + 1/2) step - 1/2) of the frame, the middle
    of its step x step pixels.
    """
    pixels = np.asarray(frame, np.float64) * (1.0 if gain is None else gain) - mean
    out += _thinned(_thinned(pixels, taps, step, out.shape[0]).T, taps, step, out.shape[1]).T.astype(np.float32)


def _thinned(image: NDArray[np.float64], taps: NDArray[np.float32], step: int, count: int) -> NDArray[np.float64]:
    """Filter down the columns, and keep ``count`` rows."""
    before = (taps.size - step) // 2
    after = max(0, (count - 1) * step - before + taps.size - len(image))
    padded = np.pad(image, ((before, after), (0, 0)))
    rows = np.arange(count)[:, None] * step + np.arange(taps.size)
    return np.einsum("k,mkn->mn", taps.astype(float), padded[rows])
