"""Definition of ``cut_windows``."""

import numpy as np
from numpy.typing import NDArray


def cut_windows(
    frames: NDArray[np.float32],
    corners: NDArray[np.int32],
    window_y: NDArray[np.float32],
    window_x: NDArray[np.float32],
    first: int,
    out: NDArray[np.float32],
) -> None:
    """Cut a patch out of frames, each time where it has moved to, and fade it out.

    ``frames`` [T, h, w]; ``corners`` [n, 2]: first row and column of the box in the frames from ``first`` on, which may
    lie beyond an edge: there are zeros. ``window_y`` [by], ``window_x`` [bx]: factors along the box's axes. Written:
    ``out`` [n, by, bx].
    """
    far = 2 * max(frames.shape[1:]) + 2 * max(out.shape[1:])
    window = np.outer(window_y.astype(float), window_x)
    for frame, corner, box in zip(frames[first:], corners, out, strict=False):
        around = np.pad(frame.astype(float), far)
        row, column = np.clip(corner, -far, frame.shape) + far
        box[...] = window * around[row : row + window_y.size, column : column + window_x.size]
