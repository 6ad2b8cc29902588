"""Small copies of the frames, which are all that the estimation of motion looks at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.frames import Frame, Frames
from pypcore.motion.parallel import Threads

FINEST = 8.5  # Å: the small copy's Nyquist limit. Finer detail holds little information on motion
_ROWS = 256  # rows transformed at a time
_RIM = 24  # unbinned pixels over which a frame fades out at its edges


@dataclass(frozen=True)
class SmallMovie:
    """Frames [T, y, x], Fourier-cropped ``step``-fold, with mean 0 and white noise of variance 1.

    The image fills ``extent`` (y, x) of each frame, faded at its edges; the rest is zero padding.
    """

    frames: NDArray[np.float32]
    step: int
    extent: tuple[int, int]


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
    small = np.zeros((groups[-1] + 1, *shape), np.float32)
    for chunk in frames.chunks():
        copies = threads.map(lambda item: _fourier_crop(item[1], frames, shape, step), chunk)
        for (t, _), copy in zip(chunk, copies, strict=True):
            small[groups[t]] += copy

    def finish(g: int) -> None:
        inside = small[g, : extent[0], : extent[1]]
        inside -= inside.mean()
        small[g, extent[0] :] = 0
        small[g, :, extent[1] :] = 0
        noise = _noise(small[g], extent)
        if noise > 0:
            small[g] /= noise
        inside *= rim

    threads.run(finish, range(len(small)))
    return SmallMovie(small, step, extent)


def group_of(count: int, group: int) -> NDArray[np.intp]:
    """Return the group of each frame."""
    return np.minimum(np.arange(count) // group, max(count // group - 1, 0))


def _fourier_crop(frame: Frame, frames: Frames, shape: tuple[int, int], step: int) -> NDArray[np.float32]:
    """Transform, keep the low frequencies, transform back; the rows first, in blocks, cropped at once."""
    height, width = frames.height, frames.width
    columns = shape[1] // 2 + 1
    half = np.empty((height, columns), np.complex64)
    block = np.empty((_ROWS, width), np.float32)
    for low in range(0, height, _ROWS):
        high = min(low + _ROWS, height)
        rows = block[: high - low]
        frame.rows(low, high, rows)
        rows -= np.float32(frames.mean)  # so that the zero padding is no step
        half[low:high] = fft.rfft(rows, shape[1] * step)[:, :columns]
    full = fft.fft_columns(half, shape[0] * step)
    middle = shape[0] // 2
    small = np.concatenate([full[:middle], full[full.shape[0] - (shape[0] - middle) :]])
    if step > 1:
        small[middle] = 0
        small[:, -1] = 0
    return fft.irfft2(small, shape) / np.float32(step)


def _noise(image: NDArray[np.float32], extent: tuple[int, int]) -> float:
    """Return the noise per pixel, from the upper half of the band, where one frame has hardly any signal."""
    power = np.abs(fft.rfft2(image)) ** 2
    ky, kx = fft.frequencies((image.shape[0], image.shape[1]))
    band = np.hypot(ky, kx)
    mean = power[(band > 0.25) & (band < 0.475)].mean(dtype=np.float64)
    return float(np.sqrt(mean / (extent[0] * extent[1])))  # white noise of variance 1 has a power of their product


def fade(n: int, step: int) -> NDArray[np.float64]:
    """Return the factors [n] by which a small frame fades out at its edges along one axis."""
    width = min(max(4, _RIM // step), n // 2)
    i = np.arange(n) + 0.5
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(i, n - i) / width, 1))
