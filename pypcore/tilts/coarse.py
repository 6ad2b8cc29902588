"""Where the views lie, from nothing: outward from the lowest tilt, each view against all that was seen before.

A view is compared, by correlation over its whole field, with what the views already placed predict of it: their
reconstruction, seen at its tilt (``likelihood.predict``). Near neighbours decide the fine detail, the coarse detail
comes from everything seen before, so that one poor view doesn't break the chain. A view that matches nowhere better
than noise does isn't used for the next ones.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts.likelihood import Joint, Model, predict
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.stretch import Band, Frame, Grid, spectra
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

SIGNIFICANT = 6.0
"""Height of a view's peak, in standard deviations of its correlation map, that noise alone does not reach."""

_FIRSTS = 4  # views that growing may begin with


@dataclass(frozen=True)
class Placed:
    """Views placed: their frame, and the height [T] of each one's peak (0: never compared)."""

    frame: Frame
    heights: Array


def grow(small: SmallSeries, frame: Frame, model: Model, band: Band, workers: Workers) -> Placed:
    """Place the views from where the ``frame`` has them, the lowest tilt staying where it is.

    Where most of the others don't match, the lowest tilt was no good to begin with: then from the next lowest.
    """
    best: Placed | None = None
    for first in outward(frame.angles)[:_FIRSTS]:
        placed = _grow_from(first, small, frame, model, band, workers)
        found = int((placed.heights > SIGNIFICANT).sum())
        if best is None or found > int((best.heights > SIGNIFICANT).sum()):
            best = placed
        if found > len(frame.angles) / 2:
            break
    assert best is not None
    return best


def _grow_from(first: int, small: SmallSeries, frame: Frame, model: Model, band: Band, workers: Workers) -> Placed:
    order = [first, *(t for t in outward(frame.angles - frame.angles[first]) if t != first)]
    shifts = frame.shifts.copy()
    heights = np.zeros(len(shifts))
    known = [order[0]]
    grids = [spectra(small, frame, band, workers, known)[0]]
    heights[order[0]] = np.inf
    for t in order[1:]:
        chosen = np.array([*known, t])
        reference = predict(band, frame.part(chosen), model.part(chosen), np.array(grids), workers)
        near = known[int(np.abs(frame.angles[known] - frame.angles[t]).argmin())]
        best, height, grid = shifts[near], -1.0, grids[0]
        for start in _starts(shifts[near], frame.shifts[t]):
            here = start
            for _ in range(2):  # the second time with the field that the first one found
                shifts[t] = here
                found = spectra(small, replace(frame, shifts=shifts), band, workers, [t])[0]
                (move,), (peak,) = highest(band, reference[None], found[None], workers)
                here = here - move * frame.scale[t]
            if peak > height:
                best, height, grid = here, peak, band.moved(found, -move)
        shifts[t], heights[t] = best, height
        if height > SIGNIFICANT:
            known.append(t)
            grids.append(grid)
        else:
            shifts[t] = shifts[near]
    return Placed(replace(frame, shifts=shifts), heights)


def look_again(small: SmallSeries, placed: Placed, model: Model, band: Band, workers: Workers) -> Placed:
    """Look for every view once more, over the whole field, against what all the others predict."""
    frame = placed.frame
    shifts, heights = frame.shifts.copy(), np.zeros(len(frame.shifts))
    good = np.flatnonzero(placed.heights > SIGNIFICANT)
    grid = spectra(small, frame, band, workers, list(good))
    references = Joint(band, frame.part(good), model.part(good), workers).predicted(grid)
    moves, heights[good] = highest(band, references, grid, workers)
    shifts[good] -= moves * frame.scale[good]
    for t in map(int, np.flatnonzero(placed.heights <= SIGNIFICANT)):
        chosen = np.array([*good, t])
        reference = predict(band, frame.part(chosen), model.part(chosen), grid, workers)
        own = spectra(small, frame, band, workers, [t])
        (move,), (heights[t],) = highest(band, reference[None], own, workers)
        shifts[t] -= move * frame.scale[t]
    return Placed(replace(frame, shifts=shifts), heights)


def highest(band: Band, references: Grid, grids: Grid, workers: Workers) -> tuple[Array, Array]:
    """Return how far (X, Y) px views lie from their references [N, 2], and peaks' heights [N] in standard deviations.

    ``references`` and ``grids`` [N, J, B, 16]: one of each for a view.
    """
    moves, heights = np.zeros((len(grids), 2)), np.zeros(len(grids))

    def some(piece: slice) -> None:
        moves[piece], heights[piece] = _highest(band, references[piece], grids[piece], workers)

    workers.run(some, workers.pieces(len(grids), 5 * 8 * band.shape[0] * band.shape[1]))
    return moves, heights


def _highest(band: Band, references: Grid, grids: Grid, workers: Workers) -> tuple[Array, Array]:
    """Do so for views whose correlations are in hand at the same time."""
    xp, (height, width) = workers.xp, band.shape
    product = xp.conj(xp.asarray(references)) * xp.asarray(grids)
    maps = workers.irfft2(band.scatter(product, xp), band.shape)
    at = maps.reshape(len(grids), -1).argmax(1)
    i, j = at // width, at % width
    # The peak and its neighbours: [N, 3] down and across.
    own, near = xp.arange(len(grids))[:, None], xp.arange(-1, 2)
    down = workers.home(maps[own, (i[:, None] + near) % height, j[:, None]])
    across = workers.home(maps[own, i[:, None], (j[:, None] + near) % width])
    deviations = workers.home(maps.std((1, 2))).astype(np.float64)
    flat = deviations == 0
    shape = np.array([width, height])
    moves = np.stack([workers.home(j) + _vertex(across), workers.home(i) + _vertex(down)], -1)
    moves -= shape * np.round(moves / shape)
    moves[flat] = 0
    return moves, np.where(flat, 0, down[:, 1] / np.where(flat, 1, deviations))


def outward(angles: Array) -> list[int]:
    """Return the views from the lowest tilt outward, both sides in turn."""
    return [int(t) for t in np.argsort(np.abs(angles), kind="stable")]


def _starts(near: Array, own: Array) -> list[Array]:
    """Return where to look for a view: where its neighbour lies, and where it lay before, if that is far from there."""
    return [near] if np.abs(near - own).max() < 4 else [near, own]


def _vertex(three: NDArray[np.float32]) -> Array:
    """Return where parabolas through three points [N, 3] have their tops, from the middle ones: -1/2 ... 1/2."""
    low, middle, high = three.astype(np.float64).T
    bend = low - 2 * middle + high
    return np.where(bend < 0, np.clip((low - high) / (2 * np.where(bend < 0, bend, -1)), -0.5, 0.5), 0.0)
