"""Local alignment: each part of the views matched with what all other views predict of it, as one smooth field.

The likelihood of all views (``likelihood``) says how they should move, place by place: where a view t is displaced by
d(x), its log likelihood grows by 2 (A y)_t(x) d(x) . grad p_t(x), with y the views, A the inverse of their
covariance, and p what all others predict of each; A y is what they don't. No part is cut out for this, so that what
lies at other heights comes into a patch at high tilts in the prediction as in the view. Summed over patches this is
what ``bending`` weighs; the views are then cut anew, bent, a few times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.kernels.cpu.affine import sample_affine
from pypcore.tilts.alignment import LocalShifts
from pypcore.tilts.bending import Bend, Patch, fit
from pypcore.tilts.likelihood import Joint, measure
from pypcore.tilts.matching import Fit
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.stretch import Band, Frame, Grid, to_small, window
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]
Picture = NDArray[np.float32]

_ROUNDS = 6
_CLOSE = 0.05  # px: nothing moved more
_HEIGHT = 0.25  # of the slab's thickness, by which a patch may lie higher than others
_CELL = 16  # px of a bent view that are one affine map


@dataclass(frozen=True)
class Local:
    """Local shifts that were found: ``bend`` in small px of the specimen's frame ``shape`` (Y, X)."""

    bend: Bend
    shape: tuple[int, int]

    @property
    def rms(self) -> float:
        """Their rms length over patches and views, small px."""
        found = self.bend.at(self.bend.centres)
        return float(np.sqrt(((found - found.mean(0)) ** 2).sum(-1).mean()))

    def whole(self) -> Array:
        """The part [T, 2] (x, y) that all patches share, small px: an improvement of the views' own shifts."""
        return np.asarray(self.bend.at(self.bend.centres).mean(0))

    def nodes(self, angles: Array, step: int, aligned: tuple[int, int], numbers: tuple[int, int]) -> LocalShifts:
        """Return what is left beyond ``whole`` for aligned images of shape ``aligned`` (y, x), unbinned px.

        ``numbers`` (x, y) of patches. What lies beyond the specimen's frame is taken to move like its edge.
        """
        gx, gy = (max(9, 2 * n + 1) for n in numbers)
        v, u = (np.linspace(-0.5, 0.5, g) * (n - 1) / step for g, n in zip((gy, gx), aligned, strict=True))
        half_y, half_x = (n / 2 for n in self.shape)
        whole = self.whole()
        out = np.empty((len(angles), 2, gy, gx))
        for t, cosine in enumerate(np.cos(np.radians(angles))):
            x, y = np.meshgrid(np.clip(u / cosine, -half_x, half_x), np.clip(v, -half_y, half_y))
            found = self.bend.at(np.stack([x.ravel(), y.ravel()], -1))[:, t] - whole[t]
            out[t] = -step * found.T.reshape(2, gy, gx)
        return LocalShifts(out)


class Parts:
    """The field divided into ``numbers`` (x, y) of overlapping parts; ``centres`` [P, 2] (X, Y) px from its middle."""

    def __init__(self, shape: tuple[int, int], numbers: tuple[int, int]) -> None:
        """Lay them out over a frame of ``shape`` (Y, X)."""
        (x, self.across), (y, self.along) = (_hats(n, m) for n, m in zip(shape[::-1], numbers, strict=True))
        self.centres = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)

    def ask(self, joint: Joint, grid: Grid, workers: Workers, moved: Array | None = None) -> list[Patch]:
        """Ask each part how its views, of coefficients ``grid`` [T, J, B, 16], should move.

        ``moved`` [P, T, 2]: px that they have been moved already, from which the answer counts.
        """
        scale = joint.frame.scale.T  # [2, T]
        shares = _shares(joint, grid, self.along, self.across, workers)
        information = _parts(joint.fishers, shares) / (scale[:, :, None] * scale[:, None, :])  # [P, 2, T, T]
        pulls = _slopes(joint, grid, self.along, self.across, workers) / scale
        if moved is not None:
            pulls = pulls + np.einsum("patu,pua->pat", information, moved)
        return [Patch(pull.T, own) for pull, own in zip(pulls, information, strict=True)]


def bend(found: Fit, small: SmallSeries, numbers: tuple[int, int], workers: Workers) -> Local | None:
    """Find the local shifts by ``numbers`` (x, y) of patches; None where the views say nothing of any."""
    shape, frame = found.band.shape, found.frame
    parts = Parts(shape, numbers)
    moved = np.zeros((len(parts.centres), len(frame.angles), 2))
    best: Bend | None = None
    model, grid = found.model, found.grid
    for _ in range(_ROUNDS):
        patches = parts.ask(Joint(found.band, frame, model, workers), grid, workers, moved)
        best = fit(patches, parts.centres, frame.angles, max(shape), _HEIGHT * found.model.thickness)
        if best is None:
            return None
        before, moved = moved, best.at(parts.centres)
        if np.abs(moved - before).max() < _CLOSE:
            break
        grid = _bent_spectra(small, frame, found.band, best, workers)
        model = measure(found.band, frame, model, grid)  # views that agree better show more of the specimen
    assert best is not None
    return Local(best, shape)


def _hats(pixels: int, number: int) -> tuple[Array, Array]:
    """Return places [n] from the middle, evenly spread, and their shares [n, pixels] of each pixel, 1 in all."""
    centres = (np.arange(number) + 0.5) * pixels / number - pixels / 2
    at = np.clip(np.arange(pixels) - (pixels - 1) / 2, centres[0], centres[-1])
    return centres, np.maximum(0, 1 - np.abs(at - centres[:, None]) * number / pixels)


def _picture(band: Band, grid: Grid) -> Picture:
    """A view of its coefficients [J, B, 16]; the sum of a product of two is that of their coefficients, over 2 / N."""
    doubled = grid.copy()
    doubled[0] *= 2  # of this column only half is kept
    return fft.irfft2(band.scatter(doubled[None])[0], band.shape)


def _slopes(joint: Joint, grid: Grid, along: Array, across: Array, workers: Workers) -> Array:
    """How the log likelihood grows as patches of the views move along X and Y, [P, 2, T] per px of the frame."""
    band = joint.band
    weighed = joint.weighed(grid)
    own = joint.own.transpose(2, 0, 1)[..., None].astype(np.float32)
    out = np.empty((len(along) * len(across), 2, len(grid)))
    factor = 2 * np.pi * joint.independent * band.shape[0] * band.shape[1]

    def one(t: int) -> None:
        left = _picture(band, weighed[t])
        predicted = grid[t] - weighed[t] / own[t]
        for axis, k in enumerate((band.kx[:, None, None], band.ky[None])):
            out[:, axis, t] = factor * _sums(
                left * _picture(band, (1j * k * predicted).astype(np.complex64)), along, across
            )

    workers.threads.run(one, range(len(grid)))
    return out


def _shares(joint: Joint, grid: Grid, along: Array, across: Array, workers: Workers) -> Array:
    """How much of what each view tells of its shifts is in each patch, [P, T]: by the slopes of what others predict."""
    band = joint.band
    predicted = joint.predicted(grid)
    own = np.sqrt(joint.own).transpose(2, 0, 1)[..., None].astype(np.float32)
    out = np.empty((len(along) * len(across), len(grid)))

    def one(t: int) -> None:
        certain = predicted[t] / own[t]
        slopes = (_picture(band, (1j * k * certain).astype(np.complex64)) for k in (band.kx[:, None, None], band.ky))
        sums = np.sum([_sums(slope**2, along, across) for slope in slopes], 0)
        out[:, t] = sums / max(float(sums.sum()), 1e-30)

    workers.threads.run(one, range(len(grid)))
    return out


def _sums(picture: Picture, along: Array, across: Array) -> Array:
    return np.asarray(along @ picture.astype(np.float64) @ across.T).ravel()


def _parts(fishers: Array, shares: Array) -> Array:
    """The information [P, 2, T, T] that each patch has of ``fishers`` [2, T, T]; alike shifts of all views are free."""
    amplitude = np.sqrt(shares)
    parts = fishers[None] * amplitude[:, None, :, None] * amplitude[:, None, None, :]
    own = np.arange(fishers.shape[1])
    parts[..., own, own] = 0
    parts[..., own, own] = -parts.sum(-1)
    return np.asarray(parts)


def _bent_spectra(small: SmallSeries, frame: Frame, band: Band, bend: Bend, workers: Workers) -> Grid:
    """The band's coefficients [T, J, B, 16] of the views, bent back, windowed as ``stretch.spectra`` does."""
    factors = window(band.shape) / np.float32(np.sqrt(band.shape[0] * band.shape[1]))
    height, width = band.shape
    rows, columns = (np.arange(0, n, _CELL) for n in band.shape)
    corners = np.stack(np.meshgrid(*(np.append(one, one[-1] + _CELL) for one in (columns, rows))), -1)
    points = (corners - (np.array([width, height]) - 1) / 2).reshape(-1, 2)
    shifts = (bend.at(points) / frame.scale).reshape(*corners.shape[:2], len(frame.angles), 2)
    shifts = np.flip(shifts, -1)  # (Y, X), px of the frame
    out = np.empty((len(frame.angles), len(band.kx), *band.rows.shape), np.complex64)

    def one(t: int) -> None:
        matrix, origin = to_small(small, frame, t, band.shape)
        view = np.empty(band.shape, np.float32)
        for i, y in enumerate(rows):
            for j, x in enumerate(columns):
                # What belongs at a place of the frame is that much nearer to where it began.
                first, down, right = shifts[i, j, t], shifts[i + 1, j, t], shifts[i, j + 1, t]
                slope = np.stack([(down - first) / _CELL, (right - first) / _CELL], -1)
                block = np.empty((min(_CELL, height - int(y)), min(_CELL, width - int(x))), np.float32)
                start = origin + matrix @ (np.array([y, x]) - first)
                sample_affine(small.views[t], np.ascontiguousarray(matrix @ (np.eye(2) - slope)), start, block)
                view[y : y + _CELL, x : x + _CELL] = block
        out[t] = band.gather(fft.rfft2(view * factors)[None])[0]

    workers.threads.run(one, range(len(frame.angles)))
    return out
