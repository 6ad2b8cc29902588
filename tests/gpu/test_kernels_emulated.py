"""Every kernel for GPUs, run on the CPU by the emulator, against its definition; and faults put in, which must show."""

from types import ModuleType

import cuda_on_cpu
import pytest
from mutants import MUTANTS, Mutant, with_fault
from parity import assert_agrees

from pypcore import kernels
from pypcore.kernels.gpu import module

NAMES = [name for name in kernels.names() if "cupy" in kernels.variants(name)]


@pytest.mark.parametrize("order", [0, 1, 2], indirect=True)
@pytest.mark.parametrize("size", [8, 37])
@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_agrees_with_the_definition(name: str, size: int, order: int, cupy: ModuleType) -> None:
    assert_agrees(name, kernels.get(name, "cupy"), size)


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_agrees_with_fused_multiply_and_add(
    name: str, cupy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_on_cpu.RawModule, "fused", True)
    assert_agrees(name, kernels.get(name, "cupy"), 37)


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if "fiber" in one.seen_by], ids=str)
def test_a_fault_shows_in_some_order(mutant: Mutant, cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with_fault(mutant, monkeypatch)
    shown = 0
    for order in (0, 1):
        monkeypatch.setattr(cuda_on_cpu.RawModule, "order", order)
        module._module.cache_clear()
        try:
            assert_agrees(mutant.kernel, kernels.get(mutant.kernel, "cupy"), 37)
        except (AssertionError, cuda_on_cpu.ShimError):
            shown += 1
    assert shown
