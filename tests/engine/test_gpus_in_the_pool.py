"""Which task has which GPU, on a machine whose driver is faked: only the program that lists GPUs is not real."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.status import read_status

Rehearse = Callable[..., Outcome]


@pytest.fixture
def two_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that tells of an H100 and an A100."""
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '0, GPU-aaa, NVIDIA H100 PCIe\\n1, GPU-bbb, NVIDIA A100-SXM4\\n'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def seen(folder: Path) -> set[str]:
    return {row["visible_devices"] for row in read_status(Job.open(folder / "job")).table()}


def test_each_task_has_a_gpu_of_its_own(
    two_gpus: None, make_items: Callable[[int], list[Path]], rehearse: Rehearse, folder: Path
) -> None:
    make_items(6)
    assert rehearse(gres="gpu:1", seconds=0.3).exit_code == 0
    assert seen(folder) <= {"0", "1"}
    assert all(row["devices"] == [0] for row in read_status(Job.open(folder / "job")).table())


def test_the_type_asked_for_is_the_one_given(
    two_gpus: None, make_items: Callable[[int], list[Path]], rehearse: Rehearse, folder: Path
) -> None:
    make_items(2)
    rehearse(gres="gpu:A100:1")
    assert seen(folder) == {"1"}


def test_two_gpus_for_one_task(
    two_gpus: None, make_items: Callable[[int], list[Path]], rehearse: Rehearse, folder: Path
) -> None:
    make_items(2)
    rehearse(gres="gpu:2")
    assert seen(folder) == {"0,1"}
    assert read_status(Job.open(folder / "job")).table()[0]["devices"] == [0, 1]


def test_who_asked_for_none_sees_none(
    two_gpus: None,
    make_items: Callable[[int], list[Path]],
    rehearse: Rehearse,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_items(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # leaked from wherever the command was started
    rehearse()
    assert seen(folder) == {""}
