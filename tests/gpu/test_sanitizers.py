"""Every kernel under AddressSanitizer, UBSan and ThreadSanitizer, and the faults that only these can see."""

from pathlib import Path

import cuda_on_cpu
import pytest
from mutants import MUTANTS, Mutant

from pypcore import kernels

pytestmark = pytest.mark.slow

CASE = str(Path(__file__).with_name("sanitized_case.py"))
NAMES = [name for name in kernels.names() if "cupy" in kernels.variants(name)]


@pytest.mark.parametrize("engine", ["asan", "tsan"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found(name: str, engine: str) -> None:
    told = cuda_on_cpu.sanitized(engine, [CASE, name])
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(
    ("mutant", "engine"), [(m, e) for m in MUTANTS for e in m.seen_by if e != "fiber"], ids=lambda value: str(value)
)
def test_a_fault_is_found(mutant: Mutant, engine: str) -> None:
    assert cuda_on_cpu.sanitized(engine, [CASE, mutant.kernel, str(mutant)]).returncode == 66
