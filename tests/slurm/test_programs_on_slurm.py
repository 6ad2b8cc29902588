"""Programs of others on a real cluster with fake GPUs: each is told the devices it was given, in its own words."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from program_cases import CASES, absolute
from slurm_job import SlurmJob

pytestmark = pytest.mark.slurm
FAKES = Path(__file__).parents[1] / "programs" / "fakes" / "run.py"


@pytest.fixture
def calls(job: SlurmJob, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fakes on PATH, on the nodes too; the file they write their calls to."""
    (job.folder / "bin").mkdir()
    programs = ("MotionCor3", "topaz", "cryoCARE_extract_train_data.py", "cryoCARE_train.py", "cryoCARE_predict.py")
    for name in programs:
        file = job.folder / "bin" / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "{FAKES}" {name} "$@"\n')
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{job.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CALLS", str(job.folder / "calls"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(job.folder / "cache"))
    return job.folder / "calls"


def submit(job: SlurmJob, operation: str, *more: str) -> None:
    case = next(one for one in CASES if one.operation == operation)
    inputs = case.make(job.folder)
    options = [f"--{name.replace('_', '-')}={_text(value)}" for name, value in absolute(case, job.folder).items()]
    job.pypcore("submit", operation, *inputs, "-o", "job", "--launch=here", "--memory=0.5", *options, *more)
    job.wait_for_end()


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def read(calls: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in calls.read_text().splitlines()]


def after(words: list[str], flag: str, count: int) -> list[str]:
    place = words.index(flag)
    return words[place + 1 : place + 1 + count]


@pytest.mark.parametrize(("gres", "count"), [("gpu:1", 1), ("gpu:2", 2), ("gpu:H100:2", 2)])
def test_gres_reaches_the_program_in_its_own_syntax(job: SlurmJob, calls: Path, gres: str, count: int) -> None:
    submit(job, "motioncor3", f"--gres={gres}")
    assert job.status().phase == "done", job.status().to_dict()
    (call,) = read(calls)
    numbers = [str(number) for number in range(count)]
    assert after(call["arguments"], "-Gpu", count) == numbers
    assert len(call["visible"].split(",")) == count
    assert (job.folder / "job/micrographs/m_001.mrc").exists()
    if "H100" in gres:
        assert job.hosts() == {"n1"}


def test_a_gpu_is_asked_for_by_itself_and_topaz_is_told_all_of_them(job: SlurmJob, calls: Path) -> None:
    submit(job, "topaz-denoise3d")
    assert "#SBATCH --gres=gpu:1" in job.script("0001-split-0")
    assert {tuple(after(call["arguments"], "-d", 1)) for call in read(calls)} == {("0",)}


def test_training_has_its_gpus_in_merge(job: SlurmJob, calls: Path) -> None:
    submit(job, "cryocare-train", "--merge-gres=gpu:A100:2")
    assert job.status().phase == "done", job.status().to_dict()
    assert "--gres" not in job.script("0001-split-0")
    assert read(calls)[-1]["settings"]["gpu_id"] == [0, 1]
    assert (job.folder / "job/model.tar.gz").exists()


def test_a_failure_is_told_where_status_looks(job: SlurmJob, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MODE", "segv")
    submit(job, "motioncor3")
    (row,) = job.status().table()
    assert "motioncor3 was killed by SIGSEGV" in row["message"]
    assert "SIGSEGV" in subprocess.run(
        [sys.executable, "-P", "-m", "pypcore.cli.main", "why", "job"],
        cwd=job.folder, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
