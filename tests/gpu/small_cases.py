"""A case of each kernel for the sanitizers: their engine with real threads takes 1024 of these in all."""

from typing import Any

import motion_cases
import numpy as np
import slices_cases
import tomogram_cases

CASES = motion_cases.CASES | slices_cases.CASES | tomogram_cases.CASES
SIZE = {  # of the others: 8; what has a guard has a size that is no whole number of blocks
    "add_filtered": 6,
    "backproject": 1,
    "cut_windows": 4,
    "extract_slices": 4,
    "insert_slices": 4,
    "project": 1,
    "shrink_frame": 2,
}
TILTS = slice(6, 8)  # a grazing one among them


def small(kernel: str) -> list[Any]:
    """Return its arguments."""
    given, _ = CASES[kernel](np.random.default_rng(8), SIZE.get(kernel, 8))
    if kernel in ("backproject", "project"):
        at = {"backproject": 0, "project": 2}[kernel]
        given[at], given[1] = np.ascontiguousarray(given[at][TILTS]), given[1][TILTS].copy()
    return given
