"""Inputs for the kernels of particles: slices in and out of sums."""

from typing import Any

import numpy as np
from cases import Arguments, Case

from pypcore.kernels.reference import slices as column
from pypcore.reconstruct.symmetry import point_group


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


def insert_case(rng: np.random.Generator, size: int) -> Arguments:
    planes = {4: (0, 2), 8: (0, 99), 37: (0, 5), 64: (3, 20)}[size]
    return [*slices_arguments(rng, size).values(), *planes], [0]


def extract_case(rng: np.random.Generator, size: int) -> Arguments:
    given = slices_arguments(rng, size)
    names = ("volume", "spectra", "matrices", "shifts", "ctf", "tables", "table_of")
    return [given[name] for name in names], [1]


def rotate_case(rng: np.random.Generator, size: int) -> Arguments:
    sums = slices_arguments(rng, size)["volume"]
    return [sums, point_group("D3"), np.zeros_like(sums), 2, len(sums) - 3], [2]


CASES: dict[str, Case] = {
    "extract_slices": extract_case,
    "insert_slices": insert_case,
    "rotate_sums": rotate_case,
}
