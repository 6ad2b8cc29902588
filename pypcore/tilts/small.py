"""Small copies of a series' views, which are all that alignment looks at."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.parallel import Threads
from pypcore.tilts.emptiness import emptiness

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_RIM = 0.06  # share of a view's side over which it fades out
_XRAY = 8.0  # standard deviations above the mean that no specimen reaches in one recorded pixel
_ORDER = 2  # of the polynomial in x and y that is taken out: uneven beam, wedge-shaped ice


class Tilts(Protocol):
    """Views [T, y, x]: an array, or what reads them one at a time; indexed by several threads at once."""

    @property
    def shape(self) -> tuple[int, ...]:
        """T, y, x."""
        ...

    def __getitem__(self, view: int, /) -> NDArray[np.generic]:
        """Return one view, [y, x]."""
        ...


@dataclass(frozen=True)
class SmallSeries:
    """Views shrunk ``step``-fold, as contrast, mean 0, faded at the edges.

    ``views`` [T, y, x] are the coefficients of a cubic B-spline. ``mean`` and ``spread`` [T] are those of the views as
    recorded, ``noise`` [T] the variance of the white noise a pixel of the small view has, from the upper end of its
    band. ``finite`` [T]: no pixel is NaN or infinite.
    """

    views: Image
    step: int
    shape: tuple[int, int]  # of the views as recorded, (y, x)
    mean: Array
    spread: Array
    noise: Array
    finite: NDArray[np.bool_]
    isolated: bool  # a bright object in a dark, empty field: contrast is what is above the emptiness

    def select(self, views: NDArray[np.intp]) -> "SmallSeries":
        """Return some views, in that order."""
        kept = {name: getattr(self, name)[views] for name in ("views", "mean", "spread", "noise", "finite")}
        return replace(self, **kept)


def shrink(tilts: Tilts, longest: int, threads: Threads, *, isolated: bool | None = None) -> SmallSeries:
    """Make the small copies, their longer side at most ``longest`` pixels.

    Contrast is intensity over the view's mean - 1; where means are near 0 (a series normalised before), intensity over
    the spread of the middle view. Of an ``isolated`` object (None: find out) it is intensity above that of the empty
    field, over the spread of the middle view.
    """
    count, height, width = tilts.shape
    step = -(-max(height, width) // longest)
    shape = (height // step // 2 * 2, width // step // 2 * 2)
    views = np.zeros((count, *shape), np.float32)
    mean, spread, noise = np.zeros(count), np.zeros(count), np.zeros(count)
    finite = np.ones(count, bool)
    rim = np.outer(fade(shape[0]), fade(shape[1])).astype(np.float32)

    def first(t: int) -> None:
        view = np.asarray(tilts[t], np.float32)
        if not np.isfinite(view).all():
            finite[t] = False
            return
        mean[t], spread[t] = view.mean(dtype=np.float64), view.std(dtype=np.float64)
        if spread[t] > 0:
            view = np.minimum(view, np.float32(mean[t] + _XRAY * spread[t]))
        views[t] = _fourier_crop(view, shape, step)

    threads.run(first, range(count))
    usual = float(np.median(spread[finite])) if finite.any() else 1.0
    empty = emptiness(views[finite & (spread > 0)])
    levels = np.zeros(count)
    levels[finite & (spread > 0)] = empty.levels
    isolated = empty.isolated if isolated is None else isolated
    counts = not isolated and bool(np.median(mean[finite]) > 0.2 * usual) if finite.any() else False

    def second(t: int) -> None:
        scale = mean[t] if counts else usual
        if not finite[t] or spread[t] == 0 or scale <= 0:
            views[t] = 0
            finite[t] = finite[t] and spread[t] > 0
            return
        if isolated:
            view = (views[t] - np.float32(levels[t])) / np.float32(scale)
        else:
            view = views[t] / np.float32(scale)
            view -= _smooth(view)
        noise[t] = _noise(view)
        views[t] = scipy.ndimage.spline_filter(view * rim, order=3, output=np.float32, mode="mirror")

    threads.run(second, range(count))
    return SmallSeries(views, step, (height, width), mean, spread, noise, finite, isolated)


def fade(n: int, share: float = _RIM) -> Array:
    """Return the factors [n] by which a small view fades out at its edges along one axis."""
    i = np.arange(n) + 0.5
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(i, n - i) / (share * n), 1)))


def _fourier_crop(view: Image, shape: tuple[int, int], step: int) -> Image:
    """Average whole pixels while that leaves twice the small view's, then keep the low frequencies.

    The centre of a view is its middle, n / 2 - 1/2, before and after.
    """
    top, left = ((n - m * step) // 2 for n, m in zip(view.shape, shape, strict=True))
    view = view[top : top + shape[0] * step, left : left + shape[1] * step]
    whole = max(w for w in range(1, step + 1) if step % w == 0 and (2 * w <= step or w == 1))
    if whole > 1:
        view = view.reshape(view.shape[0] // whole, whole, view.shape[1] // whole, whole).mean((1, 3))
    factor = step // whole
    if factor == 1:
        return view
    spectrum = fft.rfft2(np.ascontiguousarray(view))
    middle = shape[0] // 2
    kept = np.concatenate([spectrum[:middle], spectrum[len(spectrum) - middle :]])[:, : shape[1] // 2 + 1]
    ky, kx = fft.frequencies(shape)
    kept = kept * np.exp(1j * np.pi * (1 - 1 / factor) * (ky + kx))
    kept[middle] = 0
    kept[:, -1] = 0
    return fft.irfft2(kept.astype(np.complex64), shape) / np.float32(factor**2)


def _smooth(view: Image) -> Image:
    """The polynomial in x and y closest to a view."""
    y, x = (np.linspace(-1, 1, n) for n in view.shape)
    powers = [(a, b) for a in range(_ORDER + 1) for b in range(_ORDER + 1 - a)]
    coarse = view[::4, ::4].astype(np.float64)
    basis = np.stack([np.outer(y[::4] ** a, x[::4] ** b).ravel() for a, b in powers], -1)
    coefficients, *_ = np.linalg.lstsq(basis, coarse.ravel(), rcond=None)
    total = sum(c * np.outer(y**a, x**b) for c, (a, b) in zip(coefficients, powers, strict=True))
    return np.asarray(total, np.float32)


def _noise(view: Image) -> float:
    """Variance of white noise that has the power found between 0.7 and 0.95 of the small view's Nyquist limit."""
    power = np.abs(fft.rfft2(view)) ** 2
    ky, kx = fft.frequencies((view.shape[0], view.shape[1]))
    band = np.hypot(ky, kx)
    return float(power[(band > 0.35) & (band < 0.475)].mean(dtype=np.float64) / view.size)
