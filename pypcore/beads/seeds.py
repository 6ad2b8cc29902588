"""From beads in single views to beads in space: each detection votes for the depths at which other views saw it too.

The views are where the alignment without markers has them, which is good to a fraction of a bead. So all that is
not known of a bead seen at one point is its depth, and of all depths the right one has a detection at the place it
predicts in view after view.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import gammainc

from pypcore.beads.detect import Peaks
from pypcore.beads.settings import BeadSettings
from pypcore.beads.sight import Sight

Array = NDArray[np.float64]

_BEYOND = 1.5  # of the specimen's depth is searched: it is rarely known well, and seldom level
_CHANCE = 0.01  # beads that chance may make in a series, at most


def seed(peaks: Peaks, sight: Sight, order: list[int], shape: tuple[int, int], settings: BeadSettings) -> Array:
    """Return the places [J, 3] of beads that ``peaks`` agree on.

    ``order``: views from low tilt to high; a bead is begun where it is first seen. ``shape`` (y, x) of raw views.
    """
    views = [peaks.point[rows] for rows in peaks.by_view(len(sight.moves))]
    trees = [cKDTree(points) if len(points) else None for points in views]
    free = [np.ones(len(points), bool) for points in views]
    tolerance = settings.radius
    heights = _heights(sight, settings)
    by_chance = np.array([len(points) * np.pi * tolerance**2 / (shape[0] * shape[1]) for points in views])
    tries = len(heights) * max(len(peaks.view), 1)
    places: list[Array] = []
    for t in order:
        for n in range(len(views[t])):
            if not free[t][n]:
                continue
            line = sight.line(t, views[t][n], heights)
            away, which = _nearest(trees, free, sight, line, tolerance)
            votes = np.exp(-((away / (tolerance / 2)) ** 2) / 2)  # of what is out of reach: none
            best = int(votes.sum(0).argmax())
            place = line[best]
            for _ in range(3):
                hits = np.isfinite(away[:, best])
                points = np.full((len(views), 1, 2), np.nan)
                for v in np.flatnonzero(hits):
                    points[v, 0] = views[v][which[v, best]]
                place = sight.locate(points, hits[:, None] / tolerance**2, settings.depth)[0]
                away, which = _nearest(trees, free, sight, place[None], tolerance)
                best = 0
            hits = np.isfinite(away[:, 0])
            inside = _inside(sight.seen(place[None])[:, 0], shape, settings.radius)
            if hits.sum() < settings.least_views:
                continue
            # Poisson's chance of as many hits in views other than the one it began with.
            if gammainc(hits.sum() - 1, by_chance[inside].sum()) * tries > _CHANCE:
                continue
            for v in np.flatnonzero(hits):
                free[v][which[v, 0]] = False
            places.append(place)
    return np.array(places).reshape(-1, 3)


def _heights(sight: Sight, settings: BeadSettings) -> Array:
    """Depths apart by what moves a bead by half its radius between the outermost views."""
    span = float(np.hypot(*np.ptp(sight.looks[:, :, 2], axis=0)))
    most = _BEYOND * settings.depth / 2
    steps = max(1, int(np.ceil(most * max(span, 1e-3) / (settings.radius / 2))))
    return np.linspace(-most, most, 2 * steps + 1)


def _nearest(
    trees: "list[cKDTree | None]", free: list[NDArray[np.bool_]], sight: Sight, line: Array, tolerance: float
) -> tuple[Array, NDArray[np.intp]]:
    """Return for each view and place how far the nearest detection is, [T, n] (inf: none in reach), and which it is.

    One that belongs to a bead already counts as none.
    """
    seen = sight.seen(line)
    away = np.full(seen.shape[:2], np.inf)
    which = np.zeros(seen.shape[:2], np.intp)
    for v, tree in enumerate(trees):
        if tree is None:
            continue
        distance, index = tree.query(seen[v], distance_upper_bound=tolerance)
        reached = np.isfinite(distance)
        reached[reached] = free[v][index[reached]]
        away[v, reached], which[v, reached] = distance[reached], index[reached]
    return away, which


def _inside(points: Array, shape: tuple[int, int], rim: float) -> NDArray[np.bool_]:
    """Say which points (x, y) [..., 2] from the centre lie in a view, ``rim`` px from its edges or more."""
    half = np.array(shape[::-1]) / 2 - rim
    return np.asarray((np.abs(points) < half).all(-1))
