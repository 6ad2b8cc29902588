"""Holding a variant of a kernel to its definition, on inputs chosen to reach the corners."""

from collections.abc import Callable
from typing import Any

import motion_cases
import numpy as np
import slices_cases
import tomogram_cases

from pypcore import kernels

SIZES = (8, 37, 64)
CASES = motion_cases.CASES | slices_cases.CASES | tomogram_cases.CASES
# Share of the largest value. Phases of some tens of turns are rounded to 1e-6 turns in single precision.
TOLERANCE = {"extract_slices": 2e-5, "insert_slices": 2e-5, "rotate_sums": 1e-5}
LAST_PLACE = {"pack_spectra": 1}  # whole numbers that were rounded: a tie may fall either way


def assert_agrees(name: str, variant: Callable[..., Any], size: int) -> None:
    """Compare what a variant returns and writes with what the definition does."""
    arguments, written = CASES[name](np.random.default_rng(size), size)
    results = []
    for function in (kernels.get(name, "reference"), variant):
        own = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        returned = function(*own)
        results.append([own[i] for i in written] + ([] if returned is None else [np.asarray(returned)]))
    assert results[0], "a kernel returns something or writes something"
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype
        share = TOLERANCE.get(name, 2e-6) * np.abs(expected).max()
        atol = LAST_PLACE.get(name, 0) if found.dtype.kind in "iu" else share
        assert np.allclose(*(a.astype(complex) for a in (found, expected)), rtol=0, atol=atol)
