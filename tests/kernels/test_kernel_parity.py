"""Each variant of each kernel against its definition; those for GPUs are tried in ``tests/gpu``."""

import pytest
from parity import CASES, SIZES, assert_agrees

from pypcore import kernels


def test_every_kernel_has_a_case_here() -> None:
    assert sorted(CASES) == kernels.names()


def test_every_kernel_has_a_definition_that_comes_first() -> None:
    assert all(kernels.variants(name)[0] == "reference" for name in kernels.names())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "variant"), [(name, v) for name in kernels.names() for v in kernels.variants(name)[1:] if v != "cupy"]
)
def test_a_variant_agrees_with_the_definition(name: str, variant: str, size: int) -> None:
    assert_agrees(name, kernels.get(name, variant), size)
