"""The data's part of the fit: patches of the small movie, their gradients, information and signal.

Model of one patch: x_t(k) = q_t(k) S(k) exp(-i k.d_t) + white noise of variance 1, with S Gaussian of signal to
noise s(k) per undamaged frame. With S integrated out the log likelihood is sum_k V |R|^2,
R = sum_t q_t x_t exp(i k.d_t), V = s / (1 + s Q), Q = sum_t q_t^2. Its gradient compares each frame with the
dose-weighted sum of the others; the frame's own power drops out by itself. Its expected curvature is a
Laplacian over the frames, J_tt' = -sum_k V s q_t^2 q_t'^2 (2 pi k)^2 / 2 an axis: no information on a shift that
all frames share.

Windows overlap by half and their squares add up to one, so that no datum is counted twice: a patch counts
for its step^2 pixels, and the information of all patches adds up to the whole frame's.

Patches are cut and transformed once, at the whole small pixels of the first motion they are asked for; what
moves afterwards is a phase factor. Their spectra are kept as 16-bit numbers. One that has moved by more than an
eighth of its size since is cut again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pypcore import kernels
from pypcore.kernels import fft
from pypcore.kernels.reference.gradient import packed_size
from pypcore.motion.parallel import Threads
from pypcore.motion.small import SmallMovie, fade
from pypcore.motion.weights import damage

Array = NDArray[np.float64]

_COARSEST = 400.0  # Å: below 1/400 there is ice thickness and uneven light
_BAND = 0.97  # of the small copy's Nyquist limit
_SHELL = 1 / 424.0  # 1/Å
_PATCH = 340.0  # Å from one patch to the next, where the user leaves it to us
_MOST = 24  # patches along an axis, likewise
_AT_ONCE = 8  # frames of a patch that are transformed together: little memory, used again and again
STALE = 1 / 8  # of a patch's size: moved so far since it was cut, it is cut again
_LEVELS = (0.05, 50.0)  # a patch's signal power lies between these, in units of the mean
_AXIS = 1  # coefficients beside each axis of a patch's spectrum that rows and columns of the detector reach


@dataclass(frozen=True)
class Signal:
    """What the movie itself says of its signal: power over noise per shell, and each patch's share of it."""

    spectrum: Array  # s [S], per undamaged frame
    level: Array  # [P], 1 on average


@dataclass(frozen=True)
class Evidence:
    """The likelihood around one field: its gradient and expected curvature, and the signal seen there."""

    gradient: Array  # [P, T, 2], per Å
    information: Array  # J [T, T] of a patch of level 1, per Å^2; that of patch p is share[p] * J
    share: Array  # [P]
    signal: Signal  # as measured at this field


def choose_patches(height: int, width: int, pixel_size: float) -> tuple[int, int]:
    """Return numbers of patches (x, y) from edge to edge that lie 340 Å apart."""
    y, x = (int(np.clip(round(n * pixel_size / _PATCH) + 1, 2, _MOST)) for n in (height, width))
    return x, y


def boxes(extent: tuple[int, int], numbers: tuple[int, int]) -> int:
    """Return how many small pixels all boxes hold together; arguments as for ``Patches``."""
    y, x = _axis(extent[0], numbers[1]), _axis(extent[1], numbers[0])
    return len(y.starts) * y.size * len(x.starts) * x.size


class Patches:
    """Overlapping windows on a small movie; ``numbers`` (x, y) from edge to edge, (0, 0) for one over all."""

    def __init__(
        self,
        small: SmallMovie,
        numbers: tuple[int, int],
        pixel_size: float,
        left: Callable[[Array], Array],
        threads: Threads | None,
        *,
        axes: bool = True,
    ) -> None:
        """Lay out the patches; ``left(k)`` is q [T, K], the signal each frame has left at ``k`` [K] (1/Å).

        ``axes`` false leaves out what lies on the axes of the spectrum, where rows and columns of the detector show.
        """
        self._small, self._pixel_size = small, pixel_size
        if threads is not None:  # else a subclass does without
            self._threads = threads
        self._y, self._x = _axis(small.extent[0], numbers[1]), _axis(small.extent[1], numbers[0])
        self.box = (self._y.size, self._x.size)
        fill_y, centre_y = _inside(self._y, fade(small.extent[0], small.step) ** 2)
        fill_x, centre_x = _inside(self._x, fade(small.extent[1], small.step) ** 2)
        self.fill = np.outer(fill_y, fill_x).ravel()  # share of a window's energy that lies in the frame
        centres = np.stack(np.meshgrid(centre_y, centre_x, indexing="ij"), -1).reshape(-1, 2)
        self.centres = (centres + 0.5) * small.step - 0.5  # [P, 2] (y, x), unbinned px
        energy = (self._y.window**2).sum(1).max() * (self._x.window**2).sum(1).max()
        self._scale = np.float32(small.unit / np.sqrt(energy))
        self._independent = energy / (self.box[0] * self.box[1])
        ky, kx = (f / (small.step * pixel_size) for f in fft.frequencies(self.box))
        k = np.hypot(ky, kx)
        kept = (k >= 1 / _COARSEST) & (k <= _BAND / (2 * small.step * pixel_size)) & ((kx > 0) | (ky > 0))
        if not axes:
            kept &= (np.abs(ky) > (_AXIS + 0.5) * ky[1, 0]) & (kx > (_AXIS + 0.5) * kx[0, 1])
        # In every row what is kept is one stretch of columns.
        rows = np.flatnonzero(kept.any(1))
        self._runs = np.stack([rows, kept[rows].argmax(1), kept[rows].sum(1)], 1).astype(np.int32)
        self._ky, self._kx = ((2 * np.pi * pixel_size * f.ravel()).astype(np.float32) for f in (ky, kx))
        self._shell = (k[kept] / _SHELL + 0.5).astype(np.int32)
        self._count = np.bincount(self._shell).astype(float)
        self.k = np.arange(self._count.size, dtype=np.float64) * _SHELL  # 1/Å
        self._q = left(self.k)
        self._q2_sum = (self._q**2).sum(0)
        self._q_used = np.ascontiguousarray(self._q[:, self._shell], np.float32)
        self._packed = np.empty((len(self.centres), packed_size(self._runs, self.frames)), np.int16)
        self._scales = np.empty((len(self.centres), self.frames), np.float32)
        self._cut_at: list[NDArray[np.intp] | None] = [None] * len(self.centres)  # [T, 2], small px

    @property
    def frames(self) -> int:
        """Number of (groups of) frames."""
        return len(self._small.frames)

    def measure(self, d: Array) -> Signal:
        """Return spectrum and levels from the cross powers of the frames moved back by ``d`` [P, T, 2] px."""
        _, power = self._sweep(d, np.zeros((len(d), self.k.size)))
        return self._signal(power)

    def evaluate(self, d: Array, signal: Signal) -> Evidence:
        """Return the likelihood around ``d`` [P, T, 2] (unbinned px) for a given signal."""
        gain = signal.level[:, None] * signal.spectrum
        gradient, power = self._sweep(d, gain / (1 + gain * self._q2_sum))
        base = self._fisher(signal.spectrum)
        levels = np.geomspace(*_LEVELS, 32)
        size = np.trace(base)
        relative = [np.trace(self._fisher(signal.spectrum * level)) / size if size > 0 else 1.0 for level in levels]
        return Evidence(
            gradient=gradient * self._independent / self._pixel_size,
            information=base * self._independent,
            share=np.interp(signal.level, levels, relative) * self.fill,
            signal=self._signal(power),
        )

    def _fisher(self, spectrum: Array) -> Array:
        # Half the plane holds everything once: 2 for it, 1/2 for the mean of cos^2 over directions.
        weight = self._count * spectrum**2 / (1 + spectrum * self._q2_sum) * (2 * np.pi * self.k) ** 2
        information: Array = -(self._q**2 * weight) @ (self._q**2).T
        np.fill_diagonal(information, 0)
        np.fill_diagonal(information, -information.sum(1))
        return information

    def _signal(self, power: Array) -> Signal:
        pairs = self._count * (self._q2_sum**2 - (self._q**4).sum(0))
        smooth = np.ones(3)
        mean = np.convolve(power.sum(0) / self.fill.sum(), smooth, "same")
        spectrum = np.maximum(mean / np.maximum(np.convolve(pairs, smooth, "same"), 1e-9), 0)
        band = (pairs > 0) & (self.k > 1 / 60) & (self.k < 1 / 6)
        optimal = np.where(band, spectrum / (1 + spectrum * self._q2_sum) ** 2 * self.k**2, 0)
        expected = (pairs * spectrum * optimal).sum()
        if expected <= 0:
            return Signal(spectrum, np.ones(len(power)))
        level = (power * optimal).sum(1) / (expected * self.fill)
        level = (level * self.fill * 8 + 1) / (self.fill * 8 + 1)  # shrunk: a rim patch says little of itself
        return Signal(spectrum, np.clip(level, *_LEVELS))

    def _sweep(self, d: Array, gain: Array) -> tuple[Array, Array]:
        """Gradient [P, T, 2] per unbinned px and cross power [P, S] of every patch."""
        gradient = np.zeros_like(d)
        power = np.zeros((len(d), self.k.size))
        v = gain.astype(np.float32)
        kernel = kernels.get("patch_gradient", "cython")
        axes = (self._runs, self._shell, self._ky, self._kx)

        def one(p: int) -> None:
            rest = d[p] - self._spectra(p, d[p]) * self._small.step
            kernel(self._packed[p], self._scales[p], *axes, rest, v[p], gradient[p], power[p])

        self._threads.run(one, range(len(d)))
        return gradient, power

    def _spectra(self, p: int, d: Array) -> NDArray[np.intp]:
        """Have the spectra of patch ``p`` packed; return where it was cut [T, 2], small px."""
        place, now = self._cut_at[p], d / self._small.step
        if place is None or (np.abs(now - place) > np.array(self.box) * STALE).any():
            place = np.rint(now).astype(int)
            pack = kernels.get("pack_spectra", "cython")
            for first in range(0, self.frames, _AT_ONCE):
                spectra = fft.rfft2(self._cut(p, first, place[first : first + _AT_ONCE]))
                pack(spectra, self._runs, self._q_used, self._packed[p], self._scales[p], first)
            self._cut_at[p] = place
        return place

    def _cut(self, p: int, first: int, whole: NDArray[np.intp]) -> NDArray[np.float32]:
        """The windowed patch of frames from ``first`` on, each moved by ``whole`` small pixels."""
        n, m = divmod(p, len(self._x.starts))
        window = np.outer(self._y.window[n], self._x.window[m]).astype(np.float32) * self._scale
        out = np.zeros((len(whole), *self.box), np.float32)
        height, width = self._small.frames.shape[1:]
        for t, (dy, dx) in enumerate(whole):
            y, x = self._y.starts[n] + dy, self._x.starts[m] + dx
            a, b = max(-y, 0), min(self.box[0], height - y)
            e, f = max(-x, 0), min(self.box[1], width - x)
            if a < b and e < f:
                np.multiply(
                    self._small.frames[first + t, y + a : y + b, x + e : x + f], window[a:b, e:f], out=out[t, a:b, e:f]
                )
        return out


class DamageCurve:
    """q_t(k): what is left of the signal in each group of frames, times sqrt(frames in it)."""

    def __init__(self, exposures: Array | None, sizes: ArrayLike, voltage: float, quality: Array | None = None) -> None:
        """``exposures`` [T] at mid-group in e-/Å²; None where unknown: no damage is assumed.

        ``quality`` [T] is the share of its signal that a group has besides: 1 where not given.
        """
        self._exposures, self._voltage = exposures, voltage
        self._amplitude = np.sqrt(np.asarray(sizes)) * (np.ones(1) if quality is None else quality)

    def __call__(self, k: Array) -> Array:
        """Return q [T, K] at ``k`` (1/Å)."""
        amplitude = self._amplitude[:, None]
        if self._exposures is None:
            return np.repeat(amplitude, k.size, 1)
        return amplitude * damage(self._exposures, k, self._voltage)


@dataclass(frozen=True)
class _Axis:
    """Windows along one axis of the small frame."""

    starts: list[int]  # of each box
    window: Array  # [n, size]
    size: int


def _axis(extent: int, number: int) -> _Axis:
    if number == 0:
        size = fft.good_size(extent)
        return _Axis([0], (np.arange(size) < extent).astype(float)[None], size)
    step = extent / (number - 1)
    size = fft.good_size(int(np.ceil(2 * step)) + 1)
    centres = np.linspace(-0.5, extent - 0.5, number)
    starts = [int(np.floor(c - size / 2)) + 1 for c in centres]
    distance = np.arange(size) + np.array(starts)[:, None] - centres[:, None]
    return _Axis(starts, np.where(np.abs(distance) < step, np.cos(np.pi / 2 * distance / step), 0), size)


def _inside(axis: _Axis, kept: Array) -> tuple[Array, Array]:
    """Share [n] of each window's energy that lies in the frame, and its centre of gravity [n] (small px).

    ``kept`` [extent]: how much of the energy of a datum the fading of the frame's edges has left.
    """
    i = np.arange(axis.size) + np.array(axis.starts)[:, None]
    in_frame = np.where((i >= 0) & (i < kept.size), kept[np.clip(i, 0, kept.size - 1)], 0) * axis.window**2
    energy = in_frame.sum(1)
    return energy / (axis.window**2).sum(1).max(), (in_frame * i).sum(1) / energy
