"""Each variant of each kernel against its definition, on inputs chosen to reach the corners."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pypcore import kernels
from pypcore.kernels.reference import slices as column
from pypcore.reconstruct.symmetry import point_group

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


def slices_arguments(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Twelve images of every kind: all states, aberrations, weights, sheared and of a finer pixel, bent slices."""
    count, side, radius = 12, 2 * (size // 2), size // 2 + 3
    volume = rng.normal(size=(2 * radius + 3, 2 * radius + 3, radius + 2, 4)).astype(np.float32)
    volume[..., 3] = 0
    spectra = np.fft.rfft2(rng.normal(size=(count, side, side))).astype(np.complex64)
    matrices = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    matrices[:4] *= 1.4
    matrices[2:6, :, :2] = matrices[2:6, :, :2] @ np.array([[0.7, 0.3], [0.1, 1.1]])
    matrices[:, :, 2] *= 0.5 / side
    ctf = np.zeros((count, column.COLUMNS))
    ctf[:, :3] = rng.uniform(-4, 4, (count, 3)) / side**2 * [1, 0.3, 1]
    ctf[:, 3:6] = np.array([1, 0.1, 1.1]) * 4 / side**2
    ctf[:, column.QUARTIC], ctf[:, column.CONSTANT] = -1.5, rng.uniform(0, 0.5, count)
    ctf[:, column.ENVELOPE], ctf[:, column.SCALE] = rng.choice([0, 0.7], count), rng.uniform(0.5, 1, count)
    ctf[:, column.WEIGHT], ctf[:, column.STATE] = rng.uniform(0.5, 1, count), np.arange(count) % 3
    ctf[8:, column.OVERLAP], ctf[8:, column.STATE] = 2.0, 0
    matrices[:8, :, 2] = 0
    return {
        "volume": volume,
        "spectra": spectra,
        "order": rng.permutation(count)[:-1].astype(np.int32),
        "matrices": matrices,
        "shifts": 0.4 * rng.normal(size=(count, 2)),
        "ctf": ctf,
        "tables": (0.1 * rng.normal(size=(2, side, side // 2 + 1, 2))).astype(np.float32),
        "table_of": (np.arange(count) % 3 - 1).astype(np.int32),
        "curves": rng.random((3, side // 3)).astype(np.float32),
        "curve_of": (np.arange(count) % 4 - 1).astype(np.int32),
    }


def insert_case(rng: np.random.Generator, size: int) -> Case:
    planes = {8: (0, 99), 37: (0, 5), 64: (3, 20)}[size]
    return [*slices_arguments(rng, size).values(), *planes], [0]


def extract_case(rng: np.random.Generator, size: int) -> Case:
    given = slices_arguments(rng, size)
    names = ("volume", "spectra", "matrices", "shifts", "ctf", "tables", "table_of")
    return [given[name] for name in names], [1]


def rotate_case(rng: np.random.Generator, size: int) -> Case:
    sums = slices_arguments(rng, size)["volume"]
    return [sums, point_group("D3"), np.zeros_like(sums), 2, len(sums) - 3], [2]


def nibbles_case(rng: np.random.Generator, size: int) -> Case:
    width = size - 1 + size % 2
    return [rng.integers(0, 256, (size, (width + 1) // 2)).astype(np.uint8), width], []


# Share of the largest value. Phases of some tens of turns are rounded to 1e-6 turns in single precision.
TOLERANCE = {"extract_slices": 2e-5, "insert_slices": 2e-5, "rotate_sums": 1e-5}

CASES: dict[str, Callable[[np.random.Generator, int], Case]] = {
    "extract_slices": extract_case,
    "insert_slices": insert_case,
    "patch_gradient": gradient_case,
    "rotate_sums": rotate_case,
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
        tolerance = 0 if exact else TOLERANCE.get(name, 2e-6) * np.abs(expected).max()
        assert np.allclose(found, expected, rtol=0, atol=tolerance)
