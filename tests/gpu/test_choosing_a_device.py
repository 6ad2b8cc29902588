"""What ``--device`` comes to: what is asked of the pool, what a task computes on, and why it can't."""

import sys
from pathlib import Path
from types import ModuleType

import fake_cupy
import pytest

from pypcore import compute, options
from pypcore.cli import doctor
from pypcore.compute import CPU, Asked, decide, read_device, refuse_unusable
from pypcore.cuda import cuda_here, kernel_cache
from pypcore.errors import SetupError, UsageError
from pypcore.operations.on_device import OnDevice
from pypcore.operations.rehearse import Rehearse
from pypcore.options import prepare, refresh
from pypcore.request import Request


class Computing(Rehearse):
    """An operation that computes on GPUs too."""

    class Parameters(OnDevice, Rehearse.Parameters):
        """``--device`` among them."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return the request of a job with these options."""
    monkeypatch.setattr(options, "get_operation", lambda name: Computing())
    monkeypatch.chdir(tmp_path)
    return lambda **given: prepare("rehearse", ["in"], tmp_path / "job", given).request


def gres(request: Request) -> str:
    return request.resources.split.to_dict()["gres"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cpu", Asked("cpu")),
        ("auto", Asked("auto")),
        (" cuda ", Asked("cuda")),
        ("cuda:1,0", Asked("cuda", (1, 0))),
    ],
)
def test_forms(text: str, meant: Asked) -> None:
    assert read_device(text) == meant


@pytest.mark.parametrize("text", ["gpu", "CUDA", "cuda:", "cuda:0,", "cuda:-1", "0", "cuda:0,0", ""])
def test_other_forms_are_refused(asked, text: str) -> None:
    with pytest.raises(UsageError, match=r"device '.*': (should be cpu, cuda, cuda:0,1 or auto|names a device twice)"):
        asked(device=text)


@pytest.mark.parametrize(
    ("given", "comes_to"),
    [
        ({}, ""),
        ({"device": "auto"}, ""),
        ({"device": "cuda"}, "gpu:1"),
        ({"device": "cuda:0,1"}, "gpu:2"),
        ({"device": "cuda:1"}, "gpu:2"),
        ({"device": "cuda", "gres": "lustre:1"}, "lustre:1,gpu:1"),
        ({"device": "cuda", "gres": "gpu:H100:3"}, "gpu:H100:3"),
        ({"device": "cuda", "gres": "shard:4"}, "shard:4"),
        ({"device": "auto", "gres": "gpu:2"}, "gpu:2"),
    ],
)
def test_cuda_asks_for_gpus_unless_gres_does(asked, given: dict[str, str], comes_to: str) -> None:
    assert gres(asked(**given)) == comes_to


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gres": "gpu:1"}, "rehearse computes on the CPU, and gres gpu:1 asks a GPU; give --device cuda"),
        ({"device": "cuda:0,2", "gres": "gpu:2"}, "names device 2, and gres gpu:2 gives a task 2.* give --gres gpu:3"),
        ({"device": "cuda:0,1", "gres": "shard:4"}, "names device 1, and gres shard:4 gives a task 1"),
        ({"device": "cuda:0,1", "gres": "gpu:A100:4"}, "uses 2 GPUs, and gres gpu:A100:4 asks 4; ask for less"),
    ],
)
def test_what_can_not_both_be_is_refused(asked, given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(**given)


def test_the_device_is_no_part_of_what_an_item_is(asked) -> None:
    one, other = asked(seconds=1.0), asked(seconds=1.0, device="cuda:0,1")
    assert one.digest() == other.digest()
    assert not one.differences(other)
    assert one.digest() != asked(seconds=2.0).digest()


def test_a_job_goes_on_on_another_device(asked) -> None:
    begun = asked(device="cuda")
    assert gres(refresh(begun, {"device": "cuda:0,1"})) == "gpu:2"
    slower = refresh(begun, {"device": "cpu"})
    assert (slower.parameters["device"], gres(slower)) == ("cpu", "")
    assert slower.digest() == begun.digest()
    with pytest.raises(UsageError, match="computes on the CPU, and gres gpu:2 asks a GPU"):
        refresh(asked(device="cuda", gres="gpu:2"), {"device": "cpu"})


def test_an_operation_of_the_cpu_has_no_device(tmp_path: Path) -> None:
    request = prepare("rehearse", ["in"], tmp_path / "job", {}).request
    with pytest.raises(UsageError, match="rehearse has no parameter 'device'"):
        refresh(request, {"device": "cuda"})


def test_compiled_kernels_are_kept_apart_for_each_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPCORE_CACHE_DIR", "/scratch/me")
    monkeypatch.setattr(sys, "prefix", "/one")
    one = kernel_cache()
    monkeypatch.setattr(sys, "prefix", "/other")
    assert one.parent == kernel_cache().parent == Path("/scratch/me")
    assert one != kernel_cache()


# ---- in the task


def test_a_task_computes_on_the_gpus_that_it_has(cupy: ModuleType) -> None:
    fake_cupy.configure(3)
    assert decide("cpu", [0, 1, 2]) is CPU
    assert decide("cuda", [0, 1]).ordinals == (0, 1)
    assert decide("cuda:2,0", [0, 1, 2]).ordinals == (2, 0)
    found = decide("auto", [0])
    assert found.on_gpu
    assert found.described == "cuda:0 (Virtual GPU; auto: it can be used)"


def test_auto_takes_the_cpu_and_says_why(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decide("auto", []).described.startswith("cpu (auto: this task was given no GPU")
    monkeypatch.setitem(sys.modules, "cupy", None)
    found = decide("auto", [0])
    assert found.kind == "cpu"
    assert "pip install 'pypcore[cuda12]'" in found.described


@pytest.mark.parametrize(
    ("device", "given", "said"),
    [
        ("cuda", [], "device cuda: this task was given no GPU; ask for one"),
        ("cuda:1", [0], r"device cuda:1: this task was given 1 GPUs, numbered from 0"),
        ("cuda", [0, 1], "device cuda: this task was given 2 GPUs, and CUDA shows 1"),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_an_error(
    cupy: ModuleType, device: str, given: list[int], said: str
) -> None:
    with pytest.raises(SetupError, match=said):
        decide(device, given)


def test_of_several_mig_slices_a_process_sees_one(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "visible_gpus", lambda: ["MIG-aaa", "MIG-bbb"])
    with pytest.raises(SetupError, match="given 2 MIG slices, and CUDA shows a process one of them"):
        decide("cuda", [0, 1])


def test_a_machine_without_cuda_refuses_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    refuse_unusable("cpu")
    refuse_unusable("auto")
    with pytest.raises(SetupError, match=r"device cuda:0,1: CuPy can't be imported .*pip install 'pypcore\[cuda12\]'"):
        refuse_unusable("cuda:0,1")


def test_doctor_tells_of_each_device(cupy: ModuleType) -> None:
    fake_cupy.configure(2, 10 << 30)
    found = [(one.level, one.what, one.found) for one in doctor._gpus(True)]
    assert found[0][:2] == ("green", "CUDA")
    assert "NVRTC 12.9, a driver that knows CUDA 12.9" in found[0][2]
    assert found[1:] == [("green", f"cuda:{n}", "Virtual GPU, 10.0 GB, compute capability 9.0") for n in range(2)]


@pytest.mark.parametrize(("there", "level"), [(True, "amber"), (False, "green")])
def test_doctor_says_why_not_and_minds_it_only_where_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch, there: bool, level: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    (found,) = doctor._gpus(there)
    assert found.level == level
    assert "CuPy can't be imported" in found.found


def test_a_gpu_too_old_for_its_cuda_and_libraries_that_are_missing_are_told(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {"name": b"Tesla V100", "major": 7, "minor": 0, "totalGlobalMem": 1 << 34}
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceProperties", lambda number: old)
    assert cuda_here().models[0].capability == 70
    monkeypatch.setattr(cupy.cuda.runtime, "runtimeGetVersion", lambda: 13020)
    assert cuda_here().reason == "Tesla V100 (sm_70) is too old for CUDA 13; pip install 'pypcore[cuda12]'"

    def missing() -> None:
        raise RuntimeError('Failure finding "libnvrtc.so.13"')

    monkeypatch.setattr(cupy.cuda.nvrtc, "getVersion", missing)
    assert cuda_here().reason.startswith("NVRTC, which compiles kernels, is missing (Failure finding")
