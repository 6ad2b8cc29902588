"""A GPU for tests on machines that have none: fake_cupy in CuPy's place."""

import sys
from collections.abc import Iterator
from types import ModuleType

import cuda_on_cpu
import fake_cupy
import fake_cupyx
import pytest

from pypcore.kernels.gpu import module


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """``import cupy`` gives the stand-in, with one virtual device."""
    fake_cupy.configure(1)
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy)
    monkeypatch.setitem(sys.modules, "cupyx", fake_cupyx)
    module._module.cache_clear()
    yield fake_cupy
    module._module.cache_clear()


@pytest.fixture
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The order in which the emulator runs threads and blocks: 0 forward, 1 reverse, 2 shuffled."""
    monkeypatch.setattr(cuda_on_cpu.RawModule, "order", request.param)
    return int(request.param)
