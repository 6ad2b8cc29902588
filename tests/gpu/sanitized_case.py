"""``python sanitized_case.py KERNEL [MUTANT]``: one kernel on a small case, in a process that a sanitizer watches.

Numbers are not compared here: Numba and pytest are too slow under a sanitizer. Exit code 66: it spoke.
"""

import sys

import fake_cupy
import fake_cupyx
from mutants import MUTANTS
from small_cases import small

import pypcore.kernels.gpu.module as loader
from pypcore import kernels


def main(kernel: str, mutant: str = "") -> None:
    """Run it once."""
    fake_cupy.configure(1)
    sys.modules["cupy"], sys.modules["cupyx"] = fake_cupy, fake_cupyx
    chosen, read = next((one for one in MUTANTS if str(one) == mutant), None), loader.read_source
    if chosen:
        loader.read_source = lambda source: chosen.text() if source == chosen.source else read(source)
    kernels.get(kernel, "cupy")(*small(kernel))


if __name__ == "__main__":
    main(*sys.argv[1:])
