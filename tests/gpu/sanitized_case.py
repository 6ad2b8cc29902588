"""``python sanitized_case.py KERNEL [MUTANT]``: one kernel on a small case, in a process that a sanitizer watches.

Numbers are not compared here: Numba and pytest are too slow under a sanitizer. Exit code 66: it spoke.
"""

import sys

import fake_cupy
import fake_cupyx
import numpy as np
from motion_cases import CASES
from mutants import MUTANTS

import pypcore.kernels.gpu.module as loader
from pypcore import kernels

SIZES = {"cut_windows": 4, "shrink_frame": 2}  # of the cases: 1024 threads are the most that are watched, else 8


def main(kernel: str, mutant: str = "") -> None:
    """Run it once."""
    fake_cupy.configure(1)
    sys.modules["cupy"], sys.modules["cupyx"] = fake_cupy, fake_cupyx
    chosen, read = next((one for one in MUTANTS if str(one) == mutant), None), loader.read_source
    if chosen:
        loader.read_source = lambda source: chosen.text() if source == chosen.source else read(source)
    arguments, _ = CASES[kernel](np.random.default_rng(8), SIZES.get(kernel, 8))
    kernels.get(kernel, "cupy")(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
