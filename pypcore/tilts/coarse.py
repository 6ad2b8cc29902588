"""Where the views lie, from nothing: outward from the lowest tilt, each view against all that was seen before.

A view is compared, by correlation over its whole field, with what the views already placed predict of it: their
reconstruction, seen at its tilt (``likelihood.predict``). Near neighbours decide the fine detail, the coarse detail
comes from everything seen before, so that one poor view doesn't break the chain. A view that matches nowhere better
than noise does isn't used for the next ones.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels import fft
from pypcore.motion.parallel import Threads
from pypcore.tilts.likelihood import Joint, Model, predict
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.stretch import Band, Frame, Grid, spectra

Array = NDArray[np.float64]

SIGNIFICANT = 6.0
"""Height of a view's peak, in standard deviations of its correlation map, that noise alone does not reach."""

_FIRSTS = 4  # views that growing may begin with


@dataclass(frozen=True)
class Placed:
    """Views placed: their frame, and the height [T] of each one's peak (0: never compared)."""

    frame: Frame
    heights: Array


def grow(small: SmallSeries, frame: Frame, model: Model, band: Band, threads: Threads) -> Placed:
    """Place the views from where the ``frame`` has them, the lowest tilt staying where it is.

    Where most of the others don't match, the lowest tilt was no good to begin with: then from the next lowest.
    """
    best: Placed | None = None
    for first in outward(frame.angles)[:_FIRSTS]:
        placed = _grow_from(first, small, frame, model, band, threads)
        found = int((placed.heights > SIGNIFICANT).sum())
        if best is None or found > int((best.heights > SIGNIFICANT).sum()):
            best = placed
        if found > len(frame.angles) / 2:
            break
    assert best is not None
    return best


def _grow_from(first: int, small: SmallSeries, frame: Frame, model: Model, band: Band, threads: Threads) -> Placed:
    order = [first, *(t for t in outward(frame.angles - frame.angles[first]) if t != first)]
    shifts = frame.shifts.copy()
    heights = np.zeros(len(shifts))
    known = [order[0]]
    grids = [spectra(small, frame, band, threads, known)[0]]
    heights[order[0]] = np.inf
    for t in order[1:]:
        chosen = np.array([*known, t])
        reference = predict(band, frame.part(chosen), model.part(chosen), np.array(grids), threads)
        near = known[int(np.abs(frame.angles[known] - frame.angles[t]).argmin())]
        best, height, grid = shifts[near], -1.0, grids[0]
        for start in _starts(shifts[near], frame.shifts[t]):
            here = start
            for _ in range(2):  # the second time with the field that the first one found
                shifts[t] = here
                found = spectra(small, replace(frame, shifts=shifts), band, threads, [t])[0]
                move, peak = highest(band, reference, found)
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


def look_again(small: SmallSeries, placed: Placed, model: Model, band: Band, threads: Threads) -> Placed:
    """Look for every view once more, over the whole field, against what all the others predict."""
    frame = placed.frame
    shifts, heights = frame.shifts.copy(), np.zeros(len(frame.shifts))
    good = np.flatnonzero(placed.heights > SIGNIFICANT)
    grid = spectra(small, frame, band, threads, list(good))
    references = Joint(band, frame.part(good), model.part(good), threads).predicted(grid)
    for at, t in enumerate(map(int, good)):
        move, heights[t] = highest(band, references[at], grid[at])
        shifts[t] -= move * frame.scale[t]
    for t in map(int, np.flatnonzero(placed.heights <= SIGNIFICANT)):
        chosen = np.array([*good, t])
        reference = predict(band, frame.part(chosen), model.part(chosen), grid, threads)
        own = spectra(small, frame, band, threads, [t])[0]
        move, heights[t] = highest(band, reference, own)
        shifts[t] -= move * frame.scale[t]
    return Placed(replace(frame, shifts=shifts), heights)


def highest(band: Band, reference: Grid, grid: Grid) -> tuple[Array, float]:
    """Return how far (X, Y) px a view lies from its reference, and the peak's height in standard deviations."""
    correlation = fft.irfft2(band.scatter(np.conj(reference) * grid), band.shape)
    deviation = float(correlation.std())
    if deviation == 0:
        return np.zeros(2), 0.0
    i, j = divmod(int(correlation.argmax()), band.shape[1])
    height = float(correlation[i, j]) / deviation
    y, x = (
        at + _vertex(np.take(line, [at - 1, at, at + 1], mode="wrap"))
        for at, line in ((i, correlation[:, j]), (j, correlation[i]))
    )
    shape = np.array(band.shape[::-1])
    move = np.array([x, y])
    return move - shape * np.round(move / shape), height


def outward(angles: Array) -> list[int]:
    """Return the views from the lowest tilt outward, both sides in turn."""
    return [int(t) for t in np.argsort(np.abs(angles), kind="stable")]


def _starts(near: Array, own: Array) -> list[Array]:
    """Return where to look for a view: where its neighbour lies, and where it lay before, if that is far from there."""
    return [near] if np.abs(near - own).max() < 4 else [near, own]


def _vertex(three: NDArray[np.float32]) -> float:
    """Return where the parabola through three points has its top, from the middle one: -1/2 ... 1/2."""
    bend = float(three[0] - 2 * three[1] + three[2])
    if bend >= 0:
        return 0.0
    return float(np.clip((three[0] - three[2]) / (2 * bend), -0.5, 0.5))
