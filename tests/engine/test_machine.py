import os
import stat
from pathlib import Path

import pytest

from pypcore import machine as machine_module
from pypcore.devices import Gpu, list_gpus, share_gpus
from pypcore.errors import SetupError
from pypcore.machine import Machine, slots, this_machine
from pypcore.resources import PhaseResources, parse_gres

TWO_H100_AND_AN_A100 = tuple(Gpu(str(n), f"NVIDIA {kind}") for n, kind in enumerate(["H100 PCIe", "A100", "H100 PCIe"]))
MACHINE = Machine(cores=tuple(range(8)), memory=64 * 1024, gpus=TWO_H100_AND_AN_A100)


def test_slots_have_cores_of_their_own() -> None:
    cut = slots(MACHINE, PhaseResources(threads=3), at_most=100)
    assert [slot.cores for slot in cut] == [(0, 1, 2), (3, 4, 5)]
    assert all(slot.memory == 3 * 4 * 2**30 for slot in cut)


def test_memory_limits_the_slots() -> None:
    assert len(slots(MACHINE, PhaseResources(memory=20 * 1024), at_most=100)) == 3


def test_gpus_limit_the_slots_and_each_has_its_own() -> None:
    cut = slots(MACHINE, PhaseResources(gres=parse_gres("gpu:H100:1")), at_most=100)
    assert [[gpu.handle for gpu in slot.gpus] for slot in cut] == [["0"], ["2"]]
    both = slots(MACHINE, PhaseResources(gres=parse_gres("gpu:2")), at_most=100)
    assert [[gpu.handle for gpu in slot.gpus] for slot in both] == [["0", "1"]]


@pytest.mark.parametrize("gres", ["gpu:4", "gpu:H100:3", "gpu:V100:1", "gpu:h100:1", "shard:1"])
def test_gpus_that_are_not_there_are_refused(gres: str) -> None:
    with pytest.raises(SetupError, match=gres.rpartition(":")[0]):
        slots(MACHINE, PhaseResources(gres=parse_gres(gres)), at_most=1)


def test_no_gres_is_no_gpu() -> None:
    assert share_gpus(TWO_H100_AND_AN_A100, ()) == []
    assert slots(MACHINE, PhaseResources(), at_most=1)[0].gpus == ()


def test_cores_are_counted_by_affinity() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert this_machine().cores == (min(before),)
    finally:
        os.sched_setaffinity(0, before)


def test_cgroup_limits_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "job/cpu.max").write_text("100000 100000\n")
    (tmp_path / "job/memory.max").write_text(f"{3 * 2**30}\n")
    monkeypatch.setattr(machine_module, "_cgroups", lambda: iter([tmp_path / "job", tmp_path]))
    assert len(this_machine().cores) == 1
    assert this_machine().memory == 3 * 1024


@pytest.fixture
def fake_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that tells of three GPUs; the only thing that is faked is the program's answer."""
    program = tmp_path / "nvidia-smi"
    rows = "\n".join(f"{n}, GPU-{n}{n}{n}, NVIDIA {kind}" for n, kind in enumerate(["H100", "A100", "H100"]))
    program.write_text(f"#!/bin/sh\ncat <<'EOF'\n{rows}\nEOF\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_driver_is_asked_for_gpus(fake_driver: None) -> None:
    assert [gpu.model for gpu in list_gpus()] == ["NVIDIA H100", "NVIDIA A100", "NVIDIA H100"]


@pytest.mark.parametrize(("visible", "handles"), [("2,0", ["2", "0"]), ("GPU-111", ["GPU-111"]), ("", []), ("7", [])])
def test_only_visible_gpus_are_used(
    visible: str, handles: list[str], fake_driver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.handle for gpu in list_gpus()] == handles
