"""A whole job on GPUs: the command line, the pool, workers, records. The driver and CuPy are stand-ins."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.job import Job
from pypcore.simulate import particles as simulated
from pypcore.simulate.tilt_files import write_stack
from pypcore.simulate.tiltseries import TiltPlan, simulate_series
from pypcore.status import read_status

HERE = Path(__file__).parent
ASKED = ["--pixel-size", "1.5", "--dose", "2", "--voltage", "300", "--patches", "0,0", "--memory", "2"]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder, and a driver that tells of two GPUs."""
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '0, GPU-aaa, Virtual GPU\\n1, GPU-bbb, Virtual GPU\\n'\n")
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def movies(machine: Path) -> Path:
    """A folder with three small movies that drift."""
    tmp_path = machine
    rng = np.random.default_rng(0)
    (tmp_path / "movies").mkdir()
    for number in range(3):
        seen = gaussian_filter(rng.normal(size=(120, 140)), 2)
        seen = np.clip(0.25 * seen / seen.std(), -1, None)
        frames = [rng.poisson(9 * (1 + seen[2 * t : 2 * t + 100, t : t + 120])) for t in range(4)]
        tifffile.imwrite(tmp_path / f"movies/m{number}.tif", np.array(frames, np.uint8), photometric="minisblack")
    return tmp_path


def pypcore(folder: Path, *arguments: str, stand_in: bool = True) -> "subprocess.CompletedProcess[str]":
    paths = [HERE / "in_cupys_place", HERE] if stand_in else []
    environment = {
        **{key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"},
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "CUPY_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def devices_of(job: Path) -> list[str]:
    lines = [line for path in (job / "records").glob("*.jsonl") for line in path.read_text().splitlines()]
    return [record["device"] for record in map(json.loads, lines) if record.get("event") == "end"]


def test_a_job_is_done_on_gpus_a_movie_each_and_gone_on_with_on_the_cpu(movies: Path) -> None:
    given = ["movies/*.tif", "-o", "job", *ASKED, "--device", "cuda", "--gres", "gpu:2", "--threads", "2"]
    done = pypcore(movies, "run", "motioncorr", *given)
    assert done.returncode == 0, done.stderr
    assert "2 at a time" in done.stderr  # one task of two lanes fits here, a GPU each
    assert "computing on cuda:0 (Virtual GPU)" in done.stderr
    assert devices_of(movies / "job") == ["cuda:0 (Virtual GPU)"] * 3
    on_gpu = read_mrc(movies / "job/micrographs/m0.mrc")[0]
    for path in (movies / "job/micrographs").glob("m0*"):
        path.unlink()
    resumed = pypcore(movies, "resume", "job", "--device", "cpu", stand_in=False)
    assert "gres gpu:2 asks a GPU" in resumed.stderr  # it was asked for by name
    resumed = pypcore(movies, "run", "motioncorr", "movies/*.tif", "-o", "job", *ASKED, stand_in=False)
    assert resumed.returncode == 0, resumed.stderr
    assert sorted(devices_of(movies / "job")) == ["cpu", *["cuda:0 (Virtual GPU)"] * 3]
    on_cpu = read_mrc(movies / "job/micrographs/m0.mrc")[0]
    assert np.abs(on_cpu - on_gpu).max() < 0.02 * on_cpu.std()
    assert read_status(Job.open(movies / "job")).phase == "done"


@pytest.mark.cupy
def test_a_gpu_that_can_not_be_used_is_one_line_before_anything_begins(movies: Path) -> None:
    asked = ["run", "motioncorr", "movies/*.tif", "-o", "job", *ASKED]
    refused = pypcore(movies, *asked, "--device", "cuda", stand_in=False)
    assert refused.returncode == 3
    assert "device cuda: no NVIDIA driver on this machine" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (movies / "job").exists()


@pytest.mark.cupy
def test_auto_takes_what_can_be_used_and_says_why(movies: Path) -> None:
    asked = ["run", "motioncorr", "movies/m0.tif", "-o", "job", *ASKED, "--device", "auto"]
    done = pypcore(movies, *asked, stand_in=False)
    assert done.returncode == 0, done.stderr
    assert "computing on cpu (auto: no NVIDIA driver on this machine" in " ".join(done.stderr.split())
    assert devices_of(movies / "job")[0].startswith("cpu (auto: no NVIDIA driver on this machine")


def test_particles_are_projected_and_added_up_on_gpus(machine: Path) -> None:
    molecule, known = simulated.chain(count=150, radius=50, sigma=4.0), simulated.random_particles(40, 3)
    truth = simulated.density(molecule, 24, 6.0)
    write_mrc(machine / "map.mrc", truth, 6.0, volume=True)
    simulated.write_particles(machine, list(np.zeros((2, 20, 24, 24), np.float32)), known, 6.0)
    asked = ["--map", "map.mrc", "--device", "cuda", "--memory", "1"]
    projected = pypcore(machine, "run", "project", "particles.star", "-o", "seen", *asked)
    assert projected.returncode == 0, projected.stderr
    asked = ["--device", "cuda:0,1", "--bundle-size", "2", "--memory", "1"]
    added = pypcore(machine, "run", "reconstruct", "seen/projections.star", "-o", "sums", *asked)
    assert added.returncode == 0, added.stdout + added.stderr
    assert "computing on cuda:0,1 (Virtual GPU, Virtual GPU)" in added.stderr
    assert set(devices_of(machine / "seen")) == {"cuda:0 (Virtual GPU)"}
    made = read_mrc(machine / "sums/map.mrc")[0]
    assert np.corrcoef(made.ravel(), truth.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("method", [(), ("--method", "sirt", "--iterations", "2")], ids=["wbp", "sirt"])
def test_a_tilt_series_becomes_a_tomogram_on_a_gpu_as_on_the_cpu(machine: Path, method: tuple[str, ...]) -> None:
    plan = TiltPlan(shape=(96, 112), depth=32, angles=(-48, 48, 8), shift=4, dose=30)
    stack = write_stack(machine / "in", "ts", simulate_series("cytosol", plan, seed=3))
    asked = [str(stack), "--thickness", "32", "--bin", "1", "--memory", "2", "--tilt-axis", str(plan.axis), *method]
    there = pypcore(machine, "run", "tomogram", *asked, "-o", "there", "--device", "cuda")
    assert there.returncode == 0, there.stdout + there.stderr
    assert devices_of(machine / "there") == ["cuda:0 (Virtual GPU)"]
    here = pypcore(machine, "run", "tomogram", *asked, "-o", "here", stand_in=False)
    assert here.returncode == 0, here.stdout + here.stderr
    on_gpu, on_cpu = (read_mrc(machine / job / "tomograms/ts.mrc")[0].ravel() for job in ("there", "here"))
    assert np.corrcoef(on_gpu, on_cpu)[0, 1] > 0.999
