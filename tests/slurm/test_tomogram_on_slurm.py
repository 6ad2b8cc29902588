"""Tilt movies to tomograms in one job, here and on SLURM: the same bytes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from private_cluster import PrivateCluster

import pypcore
from pypcore.simulate.tilt_files import write_movies
from pypcore.simulate.tiltseries import TiltPlan, simulate_series

pytestmark = pytest.mark.slurm

PLAN = TiltPlan(shape=(96, 96), depth=32, pixel_size=10, angles=(-60, 60, 8), shift=5, dose=0)
FLAGS = ["--thickness=32", "--bin=1", "--halves=frames", "--memory=2"]


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments], capture_output=True, text=True, timeout=200
    )


def products(job: Path) -> dict[str, bytes]:
    folders = ("tilts", "alignments", "tilt_series", "tomograms")
    files = [file for folder in folders for file in (job / folder).iterdir()]
    files += [job / name for name in ("tomograms.star", "tomograms.csv", "report.html")]
    return {str(path.relative_to(job)): path.read_bytes().replace(b"there/", b"here/") for path in files}


def test_run_and_submit_make_the_same_tomograms(cluster: PrivateCluster, folder: Path) -> None:
    for seed in (1, 2):
        write_movies(folder / "in", f"ts_{seed}", simulate_series("vesicles", PLAN, seed=seed), dose=200, frames=2)
    ran = command("run", "tomogram", "in", "-o", "here", *FLAGS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    sent = command("submit", "tomogram", "in", "-o", "there", "--launch", "here", *FLAGS)
    assert sent.returncode == 0, sent.stderr
    until = time.monotonic() + 150
    while pypcore.open_job("there").running:
        assert time.monotonic() < until, command("status", "there").stdout
        time.sleep(1)
    here, there = products(folder / "here"), products(folder / "there")
    assert len(here) == 2 * 13 + 3
    assert sorted(there) == sorted(here)
    assert [name for name in here if there[name] != here[name]] == []
