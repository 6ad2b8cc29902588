"""Every kernel under AddressSanitizer, UBSan and ThreadSanitizer, and the faults that only these can see."""

from pathlib import Path
from typing import Any

import cuda_on_cpu
import pytest
from mutants import MUTANTS, Mutant

from pypcore import kernels

pytestmark = pytest.mark.slow

CASE = str(Path(__file__).with_name("sanitized_case.py"))
NAMES = [name for name in kernels.names() if "cupy" in kernels.variants(name)]


SOON = {
    "insert_slices",
    "patch_gradient",
    "no-barrier",
    "too-small",
}  # the others take minutes together: make test-long runs them


def _cases(of: list[tuple[object, str]]) -> list[Any]:
    """Mark as long what is not looked at in each run."""
    names = [getattr(case, "name", case) for case, _ in of]
    return [
        pytest.param(case, engine, id=f"{case}-{engine}", marks=[] if name in SOON else pytest.mark.long)
        for name, (case, engine) in zip(names, of, strict=True)
    ]


@pytest.mark.parametrize(("name", "engine"), _cases([(name, engine) for name in NAMES for engine in ("asan", "tsan")]))
def test_nothing_is_found(name: str, engine: str) -> None:
    told = cuda_on_cpu.sanitized(engine, [CASE, name])
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(("mutant", "engine"), _cases([(m, e) for m in MUTANTS for e in m.seen_by if e != "fiber"]))
def test_a_fault_is_found(mutant: Mutant, engine: str) -> None:
    assert cuda_on_cpu.sanitized(engine, [CASE, mutant.kernel, str(mutant)]).returncode == 66
