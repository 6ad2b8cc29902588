"""Whole-frame alignment from nothing: robust against long drifts and steps, good to about half an ångström.

Frames are compared by cross-correlation of band-passed, further reduced copies, each against the sum of the
others. Two starts are tried, no motion and a chain that follows the movie frame by frame (which a drift of many
pixels needs), and the one whose aligned sum has more power is kept. Where single frames show nothing, sums of 2,
4, 8 ... of them are compared; frames that still do not correlate are put where their neighbours say. A movie in
which nothing correlates with the rest better than noise does is left where it is.

Rows and columns of the detector (a wrong gain, the seams of its taps) do not move with the specimen. They lie on
the two axes of the spectrum, which are left out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.parallel import Threads
from pypcore.motion.reduction import Reduction
from pypcore.motion.small import SmallMovie

Array = NDArray[np.float64]

REACH = 160.0  # unbinned pixels a frame may lie from where it is looked for
_LOW_PASSES = (36.0, 24.0, 16.0, 14.0, 14.0)  # Å, one a round: coarse detail finds, fine detail refines
_SETTLED = 3  # rounds after which the better of two starts is known
MEMORY = 0.85  # share of the running reference that the next frame still sees
_LEAP = 40.0  # unbinned pixels: a step between frames as large as this needs good evidence
SIGNIFICANT = 7.5  # height of a peak over the noise of its correlation map; noise alone reaches 7
_FEWEST = 6  # sums of frames that are compared: fewer sums of noise come to agree with each other
_AXIS = 1  # coefficients to either side of an axis that a pattern of rows or columns reaches
_FAR = 8  # periods over the frame from which on such a pattern is looked for
PATTERN = 2.0  # what it has to exceed to be taken for one


@dataclass(frozen=True)
class Start:
    """Where frames lie before the fit, and how sure that is."""

    displacements: Array  # [T, 2] (y, x), unbinned px, mean 0; 0 where nothing was found
    height: float  # of the median frame's correlation peak, in standard deviations of its map
    quality: Array  # [T]: signal that each frame shares with the others, over what it should; about 1
    group: int  # frames summed until they surely correlated; 0: they never did
    pattern: float  # power of rows and columns that stay with the detector, over the specimen's on the same axes


def align(spectra: "Spectra", k: Array, left: Array) -> Start:
    """Align the frames; ``k`` [y, x] of a coefficient in 1/Å.

    ``left`` [T]: what of its signal each frame should have, for ``Start.quality``.
    """
    count, group, best = len(spectra.data), 1, 0.0
    while True:
        found, heights = _search(spectra.grouped(group), k)
        height = float(np.median(heights))
        if height >= SIGNIFICANT:
            break
        best = max(best, height)
        group *= 2
        if count // group < _FEWEST:
            still = np.zeros((count, 2))
            return Start(still, best, np.ones(count), 0, spectra.pattern(still))
    sure = heights >= SIGNIFICANT
    middles = _middles(count, group)
    d = np.stack([np.interp(np.arange(count), middles[sure], found[sure, axis]) for axis in (0, 1)], 1)
    quality = spectra.quality(np.exp(-((k * _LOW_PASSES[-1]) ** 2)), d, left) if group == 1 else np.ones(count)
    return Start((d - d.mean(0)) * spectra.scale, height, quality, group, spectra.pattern(d))


def _search(spectra: "Spectra", k: Array) -> tuple[Array, Array]:
    """Return displacements [T, 2] in pixels of the reduced frames and heights [T] of the better start."""
    filters = [np.exp(-((k * low_pass) ** 2)) for low_pass in _LOW_PASSES]

    def settle(d: Array) -> Array:
        for low_pass in filters[:_SETTLED]:
            d, _ = spectra.against_the_others(low_pass, d)
        return d

    rest = np.zeros((len(spectra.data), 2))
    found = max((settle(start) for start in (rest, spectra.chain(filters[0]))), key=spectra.power)
    heights = np.zeros(len(found))
    for low_pass in filters[_SETTLED:]:
        found, heights = spectra.against_the_others(low_pass, found)
    return found, heights


def _middles(count: int, group: int) -> Array:
    starts = np.arange(count // group) * group
    ends = np.append(starts[1:], count)
    return (starts + ends - 1) / 2


class Spectra:
    """Transforms [T, y, x] of reduced frames, band-passed; displacements are in their pixels here.

    ``scale`` (y, x) is what such a pixel measures in unbinned ones.
    """

    def __init__(
        self, data: NDArray[np.complex64], shape: tuple[int, int], scale: Array, threads: Threads | None
    ) -> None:
        self.data, self.shape, self.scale = data, shape, scale
        if threads is not None:  # else a subclass does without
            self.threads = threads
        self.ky, self.kx = fft.frequencies(shape)
        self.kept = ~self._near_axis(0, _AXIS)
        self.twice = np.full(data.shape[2], 2, np.float32)  # half the plane is left out, but for these columns
        self.twice[0] = self.twice[(shape[1] + 1) // 2 :] = 1
        self.reach = [int(min(REACH / s, n // 3)) for s, n in zip(scale, shape, strict=True)]
        y, x = (np.arange(-r, r + 1) for r in self.reach)
        # What takes a spectrum to its image's middle, from the left and from the right.
        self.rows = np.exp(2j * np.pi * y[:, None] * self.ky.T).astype(np.complex64)
        self.columns = (np.exp(2j * np.pi * self.kx.T * x) * self.twice[:, None]).astype(np.complex64)
        y, x = (np.arange(-r, r + 1.0) * s / _LEAP for r, s in zip(self.reach, scale, strict=True))
        self.far = (y[:, None] ** 2 + x[None, :] ** 2) / 2  # log of the odds against a step

    def grouped(self, size: int) -> "Spectra":
        """Sums of ``size`` frames each; a short last one joins the one before."""
        if size == 1:
            return self
        edges = np.arange(len(self.data) // size) * size
        return Spectra(np.add.reduceat(self.data, edges, axis=0), self.shape, self.scale, self.threads)

    def pattern(self, d: Array) -> float:
        """Cross power on the axes of the spectrum with no shift, over that beside them or the noise; 0 if it moves.

        Rows and columns of the detector stay; an edge of the specimen along an axis is stronger in the frames moved
        back by ``d`` [T, 2].
        """
        own, still, moved = self.powers(d)
        # Not near the origin, where power falls steeply and "beside" is farther out than "on".
        inside = (own > 0) & (np.hypot(*np.meshgrid(*self._index(), indexing="ij")) >= _FAR)
        on, beside = (self._near_axis(*reach) & inside for reach in ((0, _AXIS), (_AXIS + 1, 4 * _AXIS)))
        if not (on.any() and beside.any()):
            return 0.0
        power = still - own
        fixed = power[on].mean(dtype=np.float64)
        moving = (moved - own)[on].mean(dtype=np.float64)
        # Where nothing is seen at all, noise is what a pattern has to beat.
        least = max(power[beside].mean(dtype=np.float64), own[beside].mean(dtype=np.float64))
        return float(fixed / least) if least > 0 and moving <= fixed else 0.0

    def powers(self, d: Array) -> tuple[NDArray[Any], ...]:
        """Power of each coefficient: summed over frames, of the frames' sum, of the aligned frames' sum."""
        sums = (self.data.sum(0), self.total(d))
        return (np.abs(self.data) ** 2).sum(0), *(np.abs(one) ** 2 for one in sums)

    def _near_axis(self, least: int, most: int) -> NDArray[np.bool_]:
        """Coefficients [y, x] that lie ``least`` to ``most`` beside the nearer axis."""
        rows, columns = self._index()
        distance = np.minimum(rows[:, None], columns)
        return (distance >= least) & (distance <= most)

    def _index(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Periods over the reduced frame in y and x, signs left out."""
        height, columns = self.data.shape[1:]
        rows = np.arange(height)
        return np.minimum(rows, height - rows), np.arange(columns)

    def quality(self, low_pass: Array, d: Array, left: Array) -> Array:
        """Return [T]: signal shared with the aligned others, over ``left`` [T]; the middle frame has 1."""
        total = self.total(d)
        weight = (low_pass**2).astype(np.float32) * self.kept

        def one(t: int) -> float:
            frame = self.moved(t, d[t])
            return float((np.real(frame * np.conj(total - frame)) * weight).sum(dtype=np.float64))

        shared = np.array(list(self.threads.map(one, range(len(d))))) / (left * (left.sum() - left))
        middle = float(np.median(shared))
        return shared / middle if middle > 0 else np.ones(len(d))

    def moved(self, t: int, d: Array) -> NDArray[np.complex64]:
        """Frame ``t`` with a displacement taken out."""
        moved: NDArray[np.complex64] = self.data[t] * np.exp(2j * np.pi * self.kx * d[1]).astype(np.complex64)
        moved *= np.exp(2j * np.pi * self.ky * d[0]).astype(np.complex64)
        return moved

    def total(self, d: Array) -> NDArray[np.complex64]:
        """Sum of the aligned frames."""
        total = np.zeros_like(self.data[0])
        for frame in self.threads.map(lambda t: self.moved(t, d[t]), range(len(self.data))):
            total += frame
        return total

    def power(self, d: Array) -> float:
        """Power of the aligned sum."""
        return float((np.abs(self.total(d) * self.kept) ** 2).sum(dtype=np.float64))

    def against_the_others(self, low_pass: Array, d: Array) -> tuple[Array, Array]:
        """One round: each frame against the aligned sum of all others."""
        total, weight = self.total(d), low_pass.astype(np.float32)

        def one(t: int) -> tuple[Array, float]:
            frame = self.moved(t, d[t])
            return self.peak(frame * np.conj(total - frame) * weight)

        found = list(self.threads.map(one, range(len(d))))
        return d + np.array([step for step, _ in found]), np.array([height for _, height in found])

    def chain(self, low_pass: Array) -> Array:
        """Follow the movie: each frame against a fading sum of those before it, from where the last one was."""
        d = np.zeros((len(self.data), 2))
        reference, weight = self.data[0].copy(), low_pass.astype(np.float32)
        for t in range(1, len(d)):
            frame = self.moved(t, d[t - 1])
            step, _ = self.peak(frame * np.conj(reference) * weight)
            d[t] = d[t - 1] + step
            reference = MEMORY * reference + self.moved(t, d[t])
        return d

    def peak(self, product: NDArray[np.complex64]) -> tuple[Array, float]:
        """Return the displacement (y, x) at a correlation's best peak and its height in deviations.

        Of two peaks nearly as high the nearer one wins: the log of the odds falls with the square of the step.
        """
        product *= self.kept
        deviation = float(np.sqrt((np.abs(product) ** 2 * self.twice).sum(dtype=np.float64)))  # Parseval
        if deviation == 0:
            return np.zeros(2), 0.0
        # Near its middle only: two small products cost less than a transform of all of it.
        near = np.real(self.rows @ product @ self.columns) / np.float32(deviation)
        reach = self.reach
        odds = near * np.abs(near) / 2 - self.far
        i, j = (n + 1 for n in divmod(int(odds[1:-1, 1:-1].argmax()), 2 * reach[1] - 1))
        step = [i - reach[0] + vertex(near[i - 1 : i + 2, j]), j - reach[1] + vertex(near[i, j - 1 : j + 2])]
        return np.array(step), float(near[i, j])


def reduced(small: SmallMovie, pixel_size: float, threads: Threads) -> tuple[Spectra, Array]:
    """Transforms of the whole frames, cropped to 16 Å; |k| in 1/Å."""
    reduction = Reduction.of(small, pixel_size)
    n, height, width = small.frames.shape
    shape, band, window = reduction.shape, reduction.band, reduction.window
    middle = shape[0] // 2
    kept = np.empty((n, shape[0], shape[1] // 2 + 1), np.complex64)

    def one(t: int) -> None:
        frame = window * small.frames[t, : small.extent[0], : small.extent[1]]
        lines = fft.rfft(frame, width)[:, : shape[1] // 2 + 1]  # no more columns than are kept
        spectrum = fft.fft_columns(np.ascontiguousarray(lines), height)
        np.multiply(spectrum[:middle], band[:middle], out=kept[t, :middle], casting="unsafe")
        np.multiply(spectrum[middle - shape[0] :], band[middle:], out=kept[t, middle:], casting="unsafe")

    threads.run(one, range(n))
    return Spectra(kept, shape, reduction.scale, threads), reduction.k


def vertex(three: NDArray[np.float32]) -> float:
    """Return where the parabola through three points has its top, from the middle one: -1/2 ... 1/2."""
    bend = float(three[0] - 2 * three[1] + three[2])
    if bend >= 0:
        return 0.0
    return float(np.clip((three[0] - three[2]) / (2 * bend), -0.5, 0.5))
