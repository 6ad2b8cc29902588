"""Whole-frame alignment from nothing: robust against long drifts and steps, good to about half an ångström.

Frames are compared by cross-correlation of band-passed, further reduced copies, each against the sum of the
others. Two starts are tried, no motion and a chain that follows the movie frame by frame (which a drift of many
pixels needs), and the one whose aligned sum has more power is kept. A movie in which no frame correlates with
the others better than noise does is left where it is.
"""

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.parallel import Threads
from pypcore.motion.small import SmallMovie

Array = NDArray[np.float64]

REACH = 160.0  # unbinned pixels a frame may lie from where it is looked for
_FINEST = 16.0  # Å: Nyquist limit of the copies compared here
_LOW_PASSES = (36.0, 24.0, 16.0, 14.0, 14.0)  # Å, one a round: coarse detail finds, fine detail refines
_HIGH_PASS = 150.0  # Å
_MEMORY = 0.85  # share of the running reference that the next frame still sees
_LEAP = 40.0  # unbinned pixels: a step between frames as large as this needs good evidence
SIGNIFICANT = 7.5  # height of the median frame's peak over the noise of its correlation map; noise alone reaches 7


def align(small: SmallMovie, pixel_size: float, threads: Threads) -> tuple[Array, float]:
    """Return displacements [T, 2] (y, x) in unbinned pixels, mean 0, and the median height of the peaks.

    The height is in standard deviations of the correlation map; below 7.5 the displacements are all 0.
    """
    spectra, scale, k = _reduced(small, pixel_size, threads)
    best, best_power, height = np.zeros((len(spectra.data), 2)), -np.inf, 0.0
    for start in (best, spectra.chain(np.exp(-((k * _LOW_PASSES[0]) ** 2)), scale)):
        found, heights = start, np.zeros(len(start))
        for low_pass in _LOW_PASSES:
            found, heights = spectra.against_the_others(np.exp(-((k * low_pass) ** 2)), found, scale)
        power = spectra.power(found)
        if power > best_power:
            best, best_power, height = found, power, float(np.median(heights))
    if height < SIGNIFICANT:
        return np.zeros_like(best), height
    return (best - best.mean(0)) * scale, height


class _Spectra:
    """Transforms [T, y, x] of reduced frames, band-passed; displacements are in their pixels here."""

    def __init__(self, data: NDArray[np.complex64], shape: tuple[int, int], threads: Threads) -> None:
        self.data, self.shape, self.threads = data, shape, threads
        self.ky, self.kx = fft.frequencies(shape)

    def moved(self, t: int, d: Array) -> NDArray[np.complex64]:
        """Frame ``t`` with a displacement taken out."""
        phase = np.exp(2j * np.pi * self.ky * d[0]) * np.exp(2j * np.pi * self.kx * d[1])
        return (self.data[t] * phase).astype(np.complex64)

    def total(self, d: Array) -> NDArray[np.complex64]:
        total = np.zeros_like(self.data[0])
        for frame in self.threads.map(lambda t: self.moved(t, d[t]), range(len(self.data))):
            total += frame
        return total

    def power(self, d: Array) -> float:
        return float((np.abs(self.total(d)) ** 2).sum(dtype=np.float64))

    def against_the_others(self, low_pass: Array, d: Array, scale: Array) -> tuple[Array, Array]:
        """One round: each frame against the aligned sum of all others."""
        total = self.total(d)

        def one(t: int) -> tuple[Array, float]:
            frame = self.moved(t, d[t])
            return self.peak(frame * np.conj(total - frame) * low_pass.astype(np.float32), scale)

        found = list(self.threads.map(one, range(len(d))))
        return d + np.array([step for step, _ in found]), np.array([height for _, height in found])

    def chain(self, low_pass: Array, scale: Array) -> Array:
        """Follow the movie: each frame against a fading sum of those before it, from where the last one was."""
        d = np.zeros((len(self.data), 2))
        reference = self.data[0].copy()
        for t in range(1, len(d)):
            frame = self.moved(t, d[t - 1])
            step, _ = self.peak(frame * np.conj(reference) * low_pass.astype(np.float32), scale)
            d[t] = d[t - 1] + step
            reference = _MEMORY * reference + self.moved(t, d[t])
        return d

    def peak(self, product: NDArray[np.complex64], scale: Array) -> tuple[Array, float]:
        """Return the displacement (y, x) at a correlation's best peak and its height in deviations.

        Of two peaks nearly as high the nearer one wins: the log of the odds falls with the square of the step.
        """
        reach = [int(min(REACH / s, n // 3)) for s, n in zip(scale, self.shape, strict=True)]
        correlation = fft.irfft2(product, self.shape)
        deviation = float(correlation.std())
        if deviation == 0:
            return np.zeros(2), 0.0
        near = np.roll(correlation, reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1] / deviation
        y, x = (np.arange(-r, r + 1.0) * s / _LEAP for r, s in zip(reach, scale, strict=True))
        odds = near * np.abs(near) / 2 - (y[:, None] ** 2 + x[None, :] ** 2) / 2
        i, j = (n + 1 for n in divmod(int(odds[1:-1, 1:-1].argmax()), 2 * reach[1] - 1))
        step = [i - reach[0] + _vertex(near[i - 1 : i + 2, j]), j - reach[1] + _vertex(near[i, j - 1 : j + 2])]
        return np.array(step), float(near[i, j])


def _reduced(small: SmallMovie, pixel_size: float, threads: Threads) -> tuple[_Spectra, Array, Array]:
    """Transforms of the whole frames, cropped to 16 Å; unbinned pixels in their pixel (y, x); |k| in 1/Å."""
    n, height, width = small.frames.shape
    factor = max(1, min(round(_FINEST / (2 * pixel_size * small.step)), min(height, width) // 16))
    shape = (height // factor // 2 * 2, width // factor // 2 * 2)
    middle = shape[0] // 2
    kept = np.empty((n, shape[0], shape[1] // 2 + 1), np.complex64)
    ky, kx = fft.frequencies(shape)
    scale = np.array([height / shape[0], width / shape[1]]) * small.step
    k = np.hypot(ky / scale[0], kx / scale[1]) / pixel_size
    band = 1 - np.exp(-((k * _HIGH_PASS) ** 2))
    window = np.outer(*(np.sin(np.pi * (np.arange(m) + 0.5) / m) for m in small.extent)).astype(np.float32)

    def one(t: int) -> None:
        frame = np.zeros((height, width), np.float32)
        frame[: small.extent[0], : small.extent[1]] = window * small.frames[t, : small.extent[0], : small.extent[1]]
        spectrum = fft.rfft2(frame)
        kept[t, :middle] = spectrum[:middle, : shape[1] // 2 + 1]
        kept[t, middle:] = spectrum[height - (shape[0] - middle) :, : shape[1] // 2 + 1]
        kept[t] *= band

    threads.run(one, range(n))
    return _Spectra(kept, shape, threads), scale, k


def _vertex(three: NDArray[np.float32]) -> float:
    """Return where the parabola through three points has its top, from the middle one: -1/2 ... 1/2."""
    bend = float(three[0] - 2 * three[1] + three[2])
    if bend >= 0:
        return 0.0
    return float(np.clip((three[0] - three[2]) / (2 * bend), -0.5, 0.5))
