"""Views in the specimen's frame: turned so that the tilt axis is vertical, stretched by 1 / cos(tilt), transformed.

In a stretched view a point of the specimen at (X, Y, Z) appears at (X + Z tan t, Y): all views show the same (X, Y),
and differ by the depth of what they show alone. So a Fourier coefficient (kX, kY) of one view can be compared with the
same coefficient of any other; view t has it at the depth frequency kX tan t of the specimen's transform.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.geometry import tilt_rotation
from pypcore.kernels import fft
from pypcore.kernels.cpu.affine import sample_affine
from pypcore.tilts.small import SmallSeries, fade
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]
Grid = NDArray[np.complex64]

_ROWS = 8  # frequencies along Y that share a covariance, of each sign
_TAPER = 0.25  # share of the window's side over which it falls off


@dataclass(frozen=True)
class Band:
    """Which Fourier coefficients of a stretched view of ``shape`` (Y, X) are looked at, by group.

    A group is one kX and ``_ROWS`` neighbouring |kY| with both signs: [J, B] groups of 16 coefficients. ``ky`` [B, 16]
    and ``kx`` [J] are in cycles per px; coefficients that don't count are marked 0 in ``kept`` [J, B, 16].
    """

    shape: tuple[int, int]
    rows: NDArray[np.intp]  # [B, 16]
    ky: Array
    kx: Array
    kept: Array

    @classmethod
    def up_to(cls, shape: tuple[int, int], finest: float, coarsest: float) -> "Band":
        """Take frequencies below ``finest`` and above ``coarsest`` cycles per px."""
        bins = max(1, int(np.ceil(min(finest * shape[0], shape[0] / 2 - 1) / _ROWS)))
        bins = min(bins, shape[0] // 2 // _ROWS)
        ups = np.arange(bins * _ROWS).reshape(bins, _ROWS)
        rows = np.concatenate([ups, shape[0] - 1 - ups], 1)
        ky = np.asarray(np.fft.fftfreq(shape[0])[rows], np.float64)
        kx = np.fft.rfftfreq(shape[1])[: min(int(finest * shape[1]) + 1, shape[1] // 2)]
        k = np.hypot(ky[None], kx[:, None, None])
        kept: NDArray[np.bool_] = (k <= finest) & (k >= coarsest)
        kept[0] &= ky > 0  # the other half of this column says the same
        return cls(shape, rows, ky, np.asarray(kx, np.float64), kept.astype(np.float64))

    @property
    def centre(self) -> Array:
        """|kY| at the middle of each bin, [B], cycles per px."""
        return np.asarray(np.abs(self.ky).mean(1))

    def gather(self, spectra: Any, xp: Any = np) -> Any:
        """Take the band's coefficients [N, J, B, 16] out of ``rfft2``s [N, Y, X // 2 + 1], arrays of ``xp``."""
        taken = spectra[:, xp.asarray(self.rows), : len(self.kx)].transpose(0, 3, 1, 2)
        return (taken * xp.asarray(self.kept)).astype(np.complex64)

    def scatter(self, grids: Any, xp: Any = np) -> Any:
        """Put coefficients [N, J, B, 16] into ``rfft2``s that are 0 elsewhere, arrays of ``xp``."""
        spectra = xp.zeros((len(grids), self.shape[0], self.shape[1] // 2 + 1), np.complex64)
        taken = (grids * xp.asarray(self.kept)).astype(np.complex64).transpose(0, 2, 3, 1)
        spectra[:, xp.asarray(self.rows), : len(self.kx)] = taken
        return spectra

    def moved(self, grid: Grid, shift: Array) -> Grid:
        """Coefficients [..., J, B, 16] of a view whose content goes ``shift`` (X, Y) px further; one or [T, 2]."""
        x, y = np.asarray(shift)[..., 0, None], np.asarray(shift)[..., 1, None, None]
        across = np.exp(-2j * np.pi * x * self.kx).astype(np.complex64)
        along = np.exp(-2j * np.pi * y * self.ky).astype(np.complex64)
        return np.asarray(grid * across[..., :, None, None] * along[..., None, :, :])


@dataclass(frozen=True)
class Frame:
    """Where the views lie: ``axis`` and ``angles`` [T] (the specimen's) degrees, ``shifts`` [T, 2] (x, y) small px."""

    axis: float
    angles: Array
    shifts: Array

    def part(self, views: NDArray[np.intp]) -> "Frame":
        """Some views of it, in that order."""
        return Frame(self.axis, self.angles[views], self.shifts[views])

    @property
    def cosines(self) -> Array:
        """cos t, [T]."""
        return np.asarray(np.cos(np.radians(self.angles)))

    @property
    def scale(self) -> Array:
        """What (X, Y) of the specimen's frame come to in px of the views, [T, 2]."""
        return np.stack([self.cosines, np.ones(len(self.angles))], -1)

    @property
    def tangents(self) -> Array:
        """tan t, [T]."""
        return np.asarray(np.tan(np.radians(self.angles)))


def window_shape(shape: tuple[int, int], axis: float) -> tuple[int, int]:
    """Shape (Y, X) of the specimen's frame: that of the views, the sides exchanged where the axis lies flat."""
    flat = abs(np.sin(np.radians(axis))) > abs(np.cos(np.radians(axis)))
    y, x = (fft.good_size(n - n % 2) for n in (shape[::-1] if flat else shape))
    return y, x


def window(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Factors [Y, X] by which a stretched view falls off towards its edges; their mean square is 1."""
    factors = np.outer(fade(shape[0], _TAPER), fade(shape[1], _TAPER))
    return np.asarray(factors / np.sqrt((factors**2).mean()), np.float32)


def to_small(small: SmallSeries, frame: Frame, view: int, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return (matrix, origin): pixel (y, x) of the small view = matrix @ (Y, X) of a stretched one + origin."""
    back = tilt_rotation(frame.axis).T  # (x, y) aligned -> raw
    stretched = back @ np.diag([frame.cosines[view], 1.0])
    matrix = np.ascontiguousarray(stretched[::-1, ::-1])  # (y, x)
    centre = (np.array(small.views.shape[1:]) - 1) / 2
    origin = centre - (back @ frame.shifts[view])[::-1] - matrix @ ((np.array(shape) - 1) / 2)
    return matrix, np.ascontiguousarray(origin)


def cut(small: SmallSeries, frame: Frame, view: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return one view in the specimen's frame, [Y, X] of ``shape``, as stretched by 1 / cos t."""
    out = np.empty(shape, np.float32)
    sample_affine(small.views[view], *to_small(small, frame, view, shape), out)
    return out


def cut_on_gpu(small: SmallSeries, frame: Frame, chosen: list[int], shape: tuple[int, int], workers: Workers) -> Any:
    """Return several views so, [N, Y, X], on the current device."""
    import cupy

    from pypcore.kernels.gpu.affine import sample_many

    places = [to_small(small, frame, view, shape) for view in chosen]
    grids = [np.concatenate([origin, matrix.ravel()]) for matrix, origin in places]
    out = cupy.empty((len(chosen), *shape), cupy.float32)
    sample_many(workers.there(small.views), np.array(chosen, np.int32), np.array(grids), out)
    return out


def spectra(small: SmallSeries, frame: Frame, band: Band, workers: Workers, views: list[int] | None = None) -> Grid:
    """Return the band's coefficients [T, J, B, 16] of views (all, or those listed, in that order), windowed.

    White noise of variance 1 has coefficients of mean square 1.
    """
    chosen = list(range(len(small.views))) if views is None else views
    factors = window(band.shape) / np.float32(np.sqrt(band.shape[0] * band.shape[1]))
    out = np.empty((len(chosen), len(band.kx), *band.rows.shape), np.complex64)
    if workers.on_gpu:
        windowed = workers.xp.asarray(factors)
        for piece in workers.pieces(len(chosen), 6 * 4 * factors.size):
            views_there = cut_on_gpu(small, frame, chosen[piece], band.shape, workers)
            out[piece] = workers.home(band.gather(workers.rfft2(views_there * windowed), workers.xp))
        return out

    def one(at: int) -> None:
        out[at] = band.gather(fft.rfft2(cut(small, frame, chosen[at], band.shape) * factors)[None])[0]

    workers.run(one, range(len(chosen)))
    return out
