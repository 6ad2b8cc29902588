"""Inputs for every kernel, chosen to reach the corners; shared by the tests of all variants, GPU's included."""

from collections.abc import Callable
from typing import Any

import numpy as np

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


CASES: dict[str, Callable[[np.random.Generator, int], Case]] = {
    "patch_gradient": gradient_case,
    "unpack_nibbles": nibbles_case,
    "warp_accumulate": warp_case,
}


def assert_agrees(name: str, variant: Callable[..., Any], size: int) -> None:
    """Hold a variant to the definition on the case of this size."""
    arguments, written = CASES[name](np.random.default_rng(size), size)
    results = []
    for function in (kernels.get(name, "reference"), variant):
        own = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        returned = function(*own)
        results.append([own[i] for i in written] + ([] if returned is None else [returned]))
    assert results[0], "a kernel returns something or writes something"
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype
        exact = found.dtype.kind in "iu"
        assert np.allclose(found, expected, rtol=0, atol=0 if exact else 2e-6 * np.abs(expected).max())
