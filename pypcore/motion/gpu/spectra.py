"""The coarse alignment's spectra, all frames at once: array code over ``xp``, which is CuPy, or NumPy to check it.

Means what ``coarse.Spectra`` means; sums run in another order. What comes out is small and on the host.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.motion import coarse
from pypcore.motion.reduction import Reduction
from pypcore.motion.small import SmallMovie

Array = NDArray[np.float64]


def on_host(array: Any) -> NDArray[Any]:
    """Return an array as NumPy's."""
    found: NDArray[Any] = array.get() if hasattr(array, "get") else array
    return found


def reduced(xp: Any, small: SmallMovie, pixel_size: float) -> tuple["BatchSpectra", Array]:
    """Return the spectra of all frames and |k| in 1/Å; ``small.frames`` are ``xp``'s."""
    reduction = Reduction.of(small, pixel_size)
    count, height, width = small.frames.shape
    rows, columns = reduction.shape[0], reduction.shape[1] // 2 + 1
    middle = rows // 2
    window, band = xp.asarray(reduction.window), xp.asarray(reduction.band)
    kept = xp.empty((count, rows, columns), np.complex64)
    for t in range(count):  # one at a time: a launch is short beside the transform, and memory stays small
        frame = xp.zeros((height, width), np.float32)
        frame[: small.extent[0], : small.extent[1]] = window * small.frames[t, : small.extent[0], : small.extent[1]]
        spectrum = xp.fft.rfft2(frame)
        kept[t, :middle] = spectrum[:middle, :columns]
        kept[t, middle:] = spectrum[height - (rows - middle) :, :columns]
    kept *= band
    return BatchSpectra(xp, kept, reduction), reduction.k


class BatchSpectra(coarse.Spectra):
    """Transforms [T, y, x] of reduced frames, band-passed, on the current device."""

    def __init__(self, xp: Any, data: Any, reduction: Reduction) -> None:
        super().__init__(data, reduction.shape, reduction.scale, None)
        self.reduction, self.xp = reduction, xp
        self._kept = xp.asarray(self.kept.astype(np.float32))

    def grouped(self, size: int) -> "BatchSpectra":
        """Sums of ``size`` frames each; a short last one joins the one before."""
        if size == 1:
            return self
        count = len(self.data)
        edges = [*range(0, count // size * size, size), count]
        sums = [self.data[low:high].sum(0) for low, high in pairwise(edges)]
        return BatchSpectra(self.xp, self.xp.stack(sums), self.reduction)

    def moved_all(self, d: Array) -> Any:
        """All frames with their displacements taken out."""
        along_y, along_x = (
            self.xp.asarray(np.exp(2j * np.pi * k.ravel() * d[:, axis, None]).astype(np.complex64))
            for axis, k in enumerate((self.ky, self.kx))
        )
        moved = self.data * along_x[:, None, :]
        moved *= along_y[:, :, None]
        return moved

    def total(self, d: Array) -> Any:
        """Sum of the aligned frames."""
        return self.moved_all(d).sum(0)

    def powers(self, d: Array) -> tuple[NDArray[Any], ...]:
        """Power of each coefficient: summed over frames, of the frames' sum, of the aligned frames' sum."""
        own = (self.xp.abs(self.data) ** 2).sum(0)
        fixed, moving = (self.xp.abs(sums) ** 2 for sums in (self.data.sum(0), self.total(d)))
        return on_host(own), on_host(fixed), on_host(moving)

    def quality(self, low_pass: Array, d: Array, left: Array) -> Array:
        """Return [T]: signal shared with the aligned others, over ``left`` [T]; the middle frame has 1."""
        frames = self.moved_all(d)
        weight = self.xp.asarray(((low_pass**2) * self.kept).astype(np.float32))
        products = self.xp.real(frames * self.xp.conj(frames.sum(0) - frames)) * weight
        shared = on_host(products.sum((1, 2), dtype=np.float64)) / (left * (left.sum() - left))
        middle = float(np.median(shared))
        return shared / middle if middle > 0 else np.ones(len(d))

    def power(self, d: Array) -> float:
        """Power of the aligned sum."""
        return float(on_host((self.xp.abs(self.total(d) * self._kept) ** 2).sum(dtype=np.float64)))

    def against_the_others(self, low_pass: Array, d: Array) -> tuple[Array, Array]:
        """One round: each frame against the aligned sum of all others."""
        frames = self.moved_all(d)
        products = frames * self.xp.conj(frames.sum(0) - frames)
        products *= self.xp.asarray(low_pass.astype(np.float32))
        steps, heights = self._peaks(products)
        return d + steps, heights

    def chain(self, low_pass: Array) -> Array:
        """Follow the movie: each frame against a fading sum of those before it, from where the last one was."""
        d = np.zeros((len(self.data), 2))
        reference, weight = self.data[0].copy(), self.xp.asarray(low_pass.astype(np.float32))
        for t in range(1, len(d)):
            one = BatchSpectra(self.xp, self.data[t : t + 1], self.reduction)
            frame = one.moved_all(d[t - 1 : t])
            steps, _ = self._peaks(frame * self.xp.conj(reference) * weight)
            d[t] = d[t - 1] + steps[0]
            reference = coarse.MEMORY * reference + one.moved_all(d[t : t + 1])[0]
        return d

    def _peaks(self, products: Any) -> tuple[Array, Array]:
        """Return the displacements [T, 2] at the correlations' best peaks, and the heights [T] in deviations."""
        xp = self.xp
        products *= self._kept
        correlation = xp.fft.irfft2(products, s=self.shape)
        deviation = on_host(correlation.std((1, 2), dtype=np.float64))
        flat = deviation == 0
        ry, rx = self.reach
        near = xp.roll(correlation, (ry, rx), (1, 2))[:, : 2 * ry + 1, : 2 * rx + 1]
        near = near / xp.asarray(np.where(flat, 1, deviation).astype(np.float32))[:, None, None]
        odds = near * xp.abs(near) / 2 - xp.asarray(self.far.astype(np.float32))
        inner = odds[:, 1:-1, 1:-1].reshape(len(odds), -1)
        i, j = (n + 1 for n in np.divmod(on_host(inner.argmax(1)), 2 * rx - 1))
        t = np.arange(len(i))
        around = [(i - 1, j), (i, j), (i + 1, j), (i, j - 1), (i, j + 1)]
        index = (np.stack([part for part, _ in around]), np.stack([part for _, part in around]))
        values = on_host(near[tuple(xp.asarray(part) for part in (np.broadcast_to(t, index[0].shape), *index))])
        down, along = values[:3], values[[3, 1, 4]]
        steps = np.stack(
            [
                i - ry + [coarse.vertex(three) for three in down.T],
                j - rx + [coarse.vertex(three) for three in along.T],
            ],
            1,
        )
        steps[flat] = 0
        return steps, np.where(flat, 0.0, values[1].astype(np.float64))
