"""Inputs for the kernels of tilt series and tomograms."""

from typing import Any

import numpy as np
from cases import Arguments, Case


def tilt_lines(rng: np.random.Generator, pixels: int, nx: int, nz: int) -> Any:
    """Tilts of every kind: grazing ones too, and such that whole pixels are hit and the edges are passed."""
    t = np.deg2rad([-60, -31.3, 0, 0.7, 45, 77, 90, 120, *rng.uniform(-70, 70, 3)])
    a, b = np.cos(t), np.sin(t)
    return np.stack([a, b, pixels / 2 - 0.5 - a * (nx / 2 - 0.5) - b * (nz / 2 - 0.5)], 1)


def backproject_case(rng: np.random.Generator, size: int) -> Arguments:
    nx, nz, pixels, slices = 3 * size, size // 2 + 1, 2 * size + 1, size + 40
    lines = tilt_lines(rng, pixels, nx, nz)
    images = rng.normal(size=(len(lines), pixels, slices)).astype(np.float32)
    return [images, lines, rng.normal(size=(nz, nx, slices)).astype(np.float32)], [2]


def project_case(rng: np.random.Generator, size: int) -> Arguments:
    (images, lines, volume), _ = backproject_case(rng, size)
    return [volume, lines, images], [2]


def tile_to_planes_case(rng: np.random.Generator, size: int) -> Arguments:
    return [rng.normal(size=(3, size + 5, size)).astype(np.float32), np.zeros((3, size - 2, size + 5), np.float32)], [1]


def planes_to_tile_case(rng: np.random.Generator, size: int) -> Arguments:
    (tile, planes), _ = tile_to_planes_case(rng, size)
    return [planes + 1, tile], [1]


def sample_grid_case(rng: np.random.Generator, size: int) -> Arguments:
    """A grid that is turned by 85 degrees, bent a little, and leaves the image on all sides."""
    cell, m, n = 16, 2 * size, 3 * size + 1
    i, j = np.meshgrid(*(np.arange(0, k + 2 * cell, cell) - k / 2 for k in (m, n)), indexing="ij")
    y = 0.1 * i + 0.99 * j + size + rng.normal(size=i.shape)
    x = 0.1 * j - 0.99 * i + size + rng.normal(size=i.shape)
    image = rng.normal(size=(2 * size, 2 * size + 3)).astype(np.float32)
    return [image, y, x, cell, np.empty((m, n), np.float32)], [4]


def sample_affine_case(rng: np.random.Generator, size: int) -> Arguments:
    """A grid that is turned, stretched, and leaves the image on all sides."""
    coefficients = rng.normal(size=(2 * size, 2 * size + 3)).astype(np.float32)
    matrix = np.array([[0.1, 0.99], [-0.7, 0.07]])
    out = np.empty((3 * size, 2 * size), np.float32)
    return [coefficients, matrix, np.array([-5.0, 1.5 * size]), out], [3]


def deposit_points_case(rng: np.random.Generator, size: int) -> Arguments:
    """Points inside, at the edges and outside."""
    points = rng.uniform(-3, size + 3, (20 * size, 3))
    return [np.zeros((size, size + 1, size - 1), np.float32), points, rng.random(20 * size)], [0]


def fill_discs_case(rng: np.random.Generator, size: int) -> Arguments:
    """Discs inside, over each other, at the edges, outside, and one that leaves no ring."""
    image = (rng.normal(size=(2 * size, 2 * size + 3)) + np.arange(2 * size + 3) / size).astype(np.float32)
    centres = np.concatenate([rng.uniform(-3, 2 * size + 3, (12, 2)), [[4, 4], [4.5, 6], [size, -20]]])
    discs = np.column_stack([centres, np.full(len(centres), 3.3)])
    discs = np.concatenate([discs, [[size, size, 0.2], [size, size, size / 4]]])
    return [image, discs, 2.5, rng.normal(size=(len(discs), size**2 + 60)).astype(np.float32)], [0]


CASES: dict[str, Case] = {
    "backproject": backproject_case,
    "deposit_points": deposit_points_case,
    "fill_discs": fill_discs_case,
    "sample_affine": sample_affine_case,
    "planes_to_tile": planes_to_tile_case,
    "project": project_case,
    "sample_grid": sample_grid_case,
    "tile_to_planes": tile_to_planes_case,
}
