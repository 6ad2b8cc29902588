"""Specimens of simulated tilt series: a slab of points, each a small Gaussian blob of density.

Everything is made of points, so that a view at any tilt, axis and shift is the same specimen exactly: points are
moved, not voxels interpolated. The slab goes on beyond the field in all directions, as a real one does: at high
tilt, views show what lies outside the volume that is scored.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Content = Literal["vesicles", "cytosol", "gold"]
CONTENTS: tuple[Content, ...] = get_args(Content)

BLOB = 1.3
"""Standard deviation of a point's density, px."""

_LEAFLETS = 4.0  # px between the two leaflets of a membrane
_SPACING = 2.2  # px between the points of a leaflet
_BEAD = 5.0  # px, radius of a gold bead
_GOLD = 5.0  # density of gold, that of a membrane being about 0.6


@dataclass(frozen=True)
class Specimen:
    """Points [n, (Z, Y, X)] in px from the volume's centre, and their weights [n] (integrals of density)."""

    points: Array
    weights: Array
    beads: Array  # [n, (Z, Y, X)], centres of gold beads


def make_specimen(content: Content, volume: tuple[int, int, int], reach: tuple[float, float], *, seed: int) -> Specimen:
    """Fill a slab with one kind of content.

    Args:
        content: ``vesicles`` (membranes and some particles), ``cytosol`` (particles as close as in a cell, no
            landmark) or ``gold`` (a few particles and gold beads on both faces).
        volume: depth, height, width of the volume that is scored, px; the slab is 0.84 of the depth.
        reach: how far the slab goes from its centre along Y and X, px.
        seed: decides everything.
    """
    rng = np.random.default_rng([seed, CONTENTS.index(content)])
    depth = volume[0]
    half = 0.42 * depth
    area = 4 * reach[0] * reach[1] / 512**2
    points, weights = [], []

    def add(new: Array, weight: float) -> None:
        points.append(new)
        weights.append(np.full(len(new), weight))

    def anywhere(n: int, thickness: float) -> Array:
        return rng.uniform(-1, 1, (n, 3)) * (thickness, *reach)

    for centre in anywhere(round({"vesicles": 220, "cytosol": 2400, "gold": 160}[content] * area * depth / 128), half):
        add(_particle(rng) + centre, 12.0 if content == "cytosol" else 34.6)  # of density 0.35 and 1 at its middle
    if content == "vesicles":
        for _ in range(round(14 * area)):
            radius = rng.uniform(0.1, 0.36) * depth
            centre = anywhere(1, max(1.0, half - radius))[0]
            for leaflet in (radius - _LEAFLETS / 2, radius + _LEAFLETS / 2):
                add(_sphere(leaflet) + centre, 1.4 * _SPACING**2)
    beads = np.zeros((0, 3))
    if content == "gold":
        beads = anywhere(round(16 * area), half)
        beads[:, 0] = rng.choice([-half, half], len(beads)) + rng.normal(0, 1, len(beads))
        lattice = np.stack(np.meshgrid(*[np.arange(-_BEAD, _BEAD + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
        inside = lattice[(lattice**2).sum(1) < _BEAD**2]
        for centre in beads:
            add(inside + centre, _GOLD)
    return Specimen(np.concatenate(points), np.concatenate(weights), beads)


def make_needle(volume: tuple[int, int, int], *, seed: int) -> Specimen:
    """Make an object in empty space: a blunt needle of layers, off the axis, askew, leaving the field at one end.

    Its cross section is not round, and a few grains are in it. ``volume``: depth, height, width, px.
    """
    rng = np.random.default_rng([seed, 77])
    _, height, width = volume
    long, thick = 0.75 * height, 0.14 * width
    along = rng.uniform(-0.3, 1.0, 40_000) * long
    radius = thick * np.sqrt(np.clip(1 - along / long, 0, 1))
    disc = np.sqrt(rng.uniform(0, 1, len(along))) * radius
    turn = rng.uniform(0, 2 * np.pi, len(along))
    z, x = disc * np.cos(turn), 0.8 * disc * np.sin(turn)
    layers = np.array([0.3, 1.0, 2.0, 1.2, 2.2, 0.8, 1.6])
    weights = layers[np.clip((along / long * 6).astype(int) + 1, 0, 6)]
    for grain in rng.integers(0, len(along), 12):
        near = np.hypot(np.hypot(z - z[grain], x - x[grain]), along - along[grain]) < 0.25 * thick
        weights[near] *= 1.8
    points = np.stack([z + 0.05 * along + 4, along - 0.45 * height, x - 0.08 * along - 6], -1)
    return Specimen(points, weights, np.zeros((0, 3)))


def _particle(rng: np.random.Generator) -> Array:
    """One rigid cluster of 40 points about 18 px long, the same in each seed, in a random orientation."""
    base = np.random.default_rng(99).normal(0, 4.0, (40, 3)) * (1.0, 0.8, 1.3)
    turn, triangular = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(base @ (turn * np.sign(np.diag(triangular))).T)


def _sphere(radius: float) -> Array:
    """Points evenly over a sphere (a Fibonacci lattice)."""
    n = max(12, round(4 * np.pi * radius**2 / _SPACING**2))
    i = np.arange(n) + 0.5
    height = 1 - 2 * i / n
    turn = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - height**2)
    return radius * np.stack([height, ring * np.sin(turn), ring * np.cos(turn)], -1)
