"""Each variant of each kernel against its definition, on inputs chosen to reach the corners."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pypcore import kernels

Case = tuple[list[Any], list[int]]  # arguments, and which of them are written


def warp_case(rng: np.random.Generator, size: int) -> Case:
    height, width, pad, cell = size, 3 * size + 5, 20, 32
    rows = rng.normal(size=(height + 40, width + 2 * pad)).astype(np.float32)
    nodes = (height // cell + 3, width // cell + 3)
    dy, dx = (3 * rng.normal(size=nodes).astype(np.float32) for _ in range(2))
    dy[0], dx[0] = 0.0, 1.0  # whole pixels
    weights = np.array([1.0, 0.0, -0.4], np.float32)
    out = rng.normal(size=(3, height, width)).astype(np.float32)
    return [rows, -17, pad, dy, dx, cell, weights, 3, out], [8]


def gradient_case(rng: np.random.Generator, size: int) -> Case:
    frames, shape, shells = 5, (size, 2 * size + 1), 7
    spectra = (rng.normal(size=(frames, *shape)) + 1j * rng.normal(size=(frames, *shape))).astype(np.complex64)
    rows = np.arange(0, size, 2)
    firsts = rng.integers(0, size, rows.size)
    runs = np.stack([rows, firsts, rng.integers(1, size + 2, rows.size)], 1).astype(np.int32)
    shell = rng.integers(0, shells, runs[:, 2].sum()).astype(np.int32)
    ky, kx = (rng.uniform(-2, 2, n).astype(np.float32) for n in shape)
    damage = rng.random((frames, shells)).astype(np.float32)
    gain = rng.random(shells).astype(np.float32)
    shifts = 3 * rng.normal(size=(frames, 2))
    return [spectra, runs, shell, ky, kx, shifts, damage, gain, np.ones((frames, 2)), np.ones(shells)], [8, 9]


def nibbles_case(rng: np.random.Generator, size: int) -> Case:
    width = size - 1 + size % 2
    return [rng.integers(0, 256, (size, (width + 1) // 2)).astype(np.uint8), width], []


def tilt_lines(rng: np.random.Generator, pixels: int, nx: int, nz: int) -> Any:
    """Tilts of every kind: grazing ones too, and such that whole pixels are hit and the edges are passed."""
    t = np.deg2rad([-60, -31.3, 0, 0.7, 45, 77, 90, 120, *rng.uniform(-70, 70, 3)])
    a, b = np.cos(t), np.sin(t)
    return np.stack([a, b, pixels / 2 - 0.5 - a * (nx / 2 - 0.5) - b * (nz / 2 - 0.5)], 1)


def backproject_case(rng: np.random.Generator, size: int) -> Case:
    nx, nz, pixels, slices = 3 * size, size // 2 + 1, 2 * size + 1, size + 40
    lines = tilt_lines(rng, pixels, nx, nz)
    images = rng.normal(size=(len(lines), pixels, slices)).astype(np.float32)
    return [images, lines, rng.normal(size=(nz, nx, slices)).astype(np.float32)], [2]


def project_case(rng: np.random.Generator, size: int) -> Case:
    (images, lines, volume), _ = backproject_case(rng, size)
    return [volume, lines, images], [2]


def tile_to_planes_case(rng: np.random.Generator, size: int) -> Case:
    return [rng.normal(size=(3, size + 5, size)).astype(np.float32), np.zeros((3, size - 2, size + 5), np.float32)], [1]


def planes_to_tile_case(rng: np.random.Generator, size: int) -> Case:
    (tile, planes), _ = tile_to_planes_case(rng, size)
    return [planes + 1, tile], [1]


def sample_grid_case(rng: np.random.Generator, size: int) -> Case:
    """A grid that is turned by 85 degrees, bent a little, and leaves the image on all sides."""
    cell, m, n = 16, 2 * size, 3 * size + 1
    i, j = np.meshgrid(*(np.arange(0, k + 2 * cell, cell) - k / 2 for k in (m, n)), indexing="ij")
    y = 0.1 * i + 0.99 * j + size + rng.normal(size=i.shape)
    x = 0.1 * j - 0.99 * i + size + rng.normal(size=i.shape)
    image = rng.normal(size=(2 * size, 2 * size + 3)).astype(np.float32)
    return [image, y, x, cell, np.empty((m, n), np.float32)], [4]


def sample_affine_case(rng: np.random.Generator, size: int) -> Case:
    """A grid that is turned, stretched, and leaves the image on all sides."""
    coefficients = rng.normal(size=(2 * size, 2 * size + 3)).astype(np.float32)
    matrix = np.array([[0.1, 0.99], [-0.7, 0.07]])
    out = np.empty((3 * size, 2 * size), np.float32)
    return [coefficients, matrix, np.array([-5.0, 1.5 * size]), out], [3]


def deposit_points_case(rng: np.random.Generator, size: int) -> Case:
    """Points inside, at the edges and outside."""
    points = rng.uniform(-3, size + 3, (20 * size, 3))
    return [np.zeros((size, size + 1, size - 1), np.float32), points, rng.random(20 * size)], [0]


CASES: dict[str, Callable[[np.random.Generator, int], Case]] = {
    "backproject": backproject_case,
    "deposit_points": deposit_points_case,
    "patch_gradient": gradient_case,
    "sample_affine": sample_affine_case,
    "planes_to_tile": planes_to_tile_case,
    "project": project_case,
    "sample_grid": sample_grid_case,
    "tile_to_planes": tile_to_planes_case,
    "unpack_nibbles": nibbles_case,
    "warp_accumulate": warp_case,
}


def test_every_kernel_has_a_case_here() -> None:
    assert sorted(CASES) == kernels.names()


def test_every_kernel_has_a_definition_that_comes_first() -> None:
    assert all(kernels.variants(name)[0] == "reference" for name in kernels.names())


@pytest.mark.parametrize("size", [8, 37, 64])
@pytest.mark.parametrize(
    ("name", "variant"), [(name, v) for name in kernels.names() for v in kernels.variants(name)[1:]]
)
def test_a_variant_agrees_with_the_definition(name: str, variant: str, size: int) -> None:
    arguments, written = CASES[name](np.random.default_rng(size), size)
    results = []
    for which in ("reference", variant):
        own = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        returned = kernels.get(name, which)(*own)
        results.append([own[i] for i in written] + ([] if returned is None else [returned]))
    assert results[0], "a kernel returns something or writes something"
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype
        exact = found.dtype.kind in "iu"
        assert np.allclose(found, expected, rtol=0, atol=0 if exact else 2e-6 * np.abs(expected).max())
