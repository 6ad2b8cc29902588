"""Small copies of the frames, which are all that the estimation of motion looks at.

A frame is low-passed and thinned ``step``-fold in real space, by the root of a raised cosine (the filter of
communications engineers: its square and the squares of its aliases add up to one), 16 ``step`` taps long. Up to 0.8
of the copy's Nyquist limit it passes everything (within 1 % in amplitude), at the limit half the power, and what
folds back from beyond is less than 2 % in amplitude. White noise stays white, within 3 % in power; so nothing has
to be corrected: the signal's measured spectrum holds the filter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.kernels import fft
from pypcore.motion.frames import Frames, Raw
from pypcore.motion.parallel import Threads

FINEST = 8.5  # Å: the small copy's Nyquist limit. Finer detail holds little information on motion
_ROLL_OFF = 0.15  # of the Nyquist limit: half the width of the filter's flank
_HALF = 8  # small pixels the filter reaches to either side
_TAPER = 0.5  # of its ends: beta of a Kaiser window
UNIT = 1 / 256  # of the noise's deviation: what is kept is rounded to it, which adds a millionth to the noise's power
_MOST = 32767  # in these units, 128 deviations: no specimen is so bright
_RIM = 24  # unbinned pixels over which a frame fades out at its edges


@dataclass(frozen=True)
class SmallMovie:
    """Frames [T, y, x], thinned ``step``-fold, with mean 0 and white noise of variance 1 when taken times ``unit``.

    The image fills ``extent`` (y, x) of each frame, faded at its edges; the rest is zero padding.
    """

    frames: NDArray[np.int16] | NDArray[np.float32]
    step: int
    extent: tuple[int, int]
    unit: float = 1.0


def decimation(pixel_size: float, shape: tuple[int, int]) -> int:
    """Return the whole factor by which frames shrink for the estimation; 32 pixels a side stay."""
    return max(1, min(round(FINEST / (2 * pixel_size)), min(shape) // 32))


def small_shape(height: int, width: int, step: int) -> tuple[int, int]:
    """Return the shape of a small frame, padding included."""
    return fft.good_size(-(-height // step)), fft.good_size(-(-width // step))


def shrink(frames: Frames, step: int, group: int, threads: Threads) -> SmallMovie:
    """Make the small copy; ``group`` frames in a row are summed, a short last group joins the one before."""
    shape = small_shape(frames.height, frames.width, step)
    extent = (frames.height // step, frames.width // step)
    rim = np.outer(fade(extent[0], step), fade(extent[1], step)).astype(np.float32)
    groups = group_of(frames.count, group)
    last = np.searchsorted(groups, np.arange(groups[-1] + 1), "right") - 1
    small = np.zeros((groups[-1] + 1, *shape), np.int16)
    taps = low_pass(step)
    kernel = kernels.get("shrink_frame", "cython")
    begun: dict[int, NDArray[np.float32]] = {}  # groups whose other frames come with the next chunk

    def add(members: list[tuple[int, Raw]]) -> None:
        g = int(groups[members[0][0]])
        image = begun.pop(g, None)
        image = np.zeros(extent, np.float32) if image is None else image
        for _, raw in members:
            kernel(raw, frames.gain, frames.mean, taps, step, image)
        if members[-1][0] < last[g]:
            begun[g] = image
            return
        image -= image.mean(dtype=np.float64).astype(np.float32)
        noise = _noise(image)
        image *= rim * np.float32(1 / (noise if noise > 0 else 1) / UNIT)
        np.rint(np.clip(image, -_MOST, _MOST, out=image), out=small[g, : extent[0], : extent[1]], casting="unsafe")

    for chunk in frames.chunks():
        # Frames of a group are added in order, by one thread.
        threads.run(
            add, [[item for item in chunk if groups[item[0]] == g] for g in np.unique(groups[[t for t, _ in chunk]])]
        )
    return SmallMovie(small, step, extent, UNIT)


def group_of(count: int, group: int) -> NDArray[np.intp]:
    """Return the group of each frame."""
    return np.minimum(np.arange(count) // group, max(count // group - 1, 0))


def low_pass(step: int) -> NDArray[np.float32]:
    """Return the filter's taps, symmetric, sum 1; of every ``step``-th pixel, itself, where that is 1."""
    if step == 1:
        return np.ones(1, np.float32)
    size = 2 * _HALF * step - step % 2
    t, b = np.abs(np.arange(size) - (size - 1) / 2) / step, _ROLL_OFF
    with np.errstate(divide="ignore", invalid="ignore"):
        taps = (np.sin(np.pi * t * (1 - b)) + 4 * b * t * np.cos(np.pi * t * (1 + b))) / (1 - (4 * b * t) ** 2)
        taps /= np.pi * t
    taps[t == 0] = 1 + b * (4 / np.pi - 1)
    pole = np.pi / (4 * b)
    at_pole = b / np.sqrt(2) * ((1 + 2 / np.pi) * np.sin(pole) + (1 - 2 / np.pi) * np.cos(pole))
    taps[np.isclose(4 * b * t, 1)] = at_pole
    taps *= np.kaiser(size + 2, _TAPER)[1:-1]
    return (taps / taps.sum()).astype(np.float32)


def _noise(image: NDArray[np.float32]) -> float:
    """Return the noise per pixel from differences across 2 x 2 pixels, where one frame has hardly any signal."""
    height, width = (n // 2 * 2 for n in image.shape)
    rows = image[0:height:2, :width] - image[1:height:2, :width]
    across = rows[:, ::2] - rows[:, 1::2]
    return float(np.sqrt(np.square(across, out=across).mean(dtype=np.float64))) / 2


def fade(n: int, step: int) -> NDArray[np.float64]:
    """Return the factors [n] by which a small frame fades out at its edges along one axis."""
    width = min(max(4, _RIM // step), n // 2)
    i = np.arange(n) + 0.5
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(i, n - i) / width, 1))
