"""The same job here and on SLURM: the same request, bundles and worker, so the same bytes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from private_cluster import PrivateCluster

import pypcore
from pypcore.formats.mrc import write_mrc
from pypcore.simulate.detector import typical_detector
from pypcore.simulate.movie import typical_movie
from pypcore.simulate.write import write_tiff_movie

pytestmark = pytest.mark.slurm

FLAGS = ["--pixel-size=1.0", "--dose=2.5", "--voltage=300", "--gain=gain.mrc", "--bundle-size=2", "--memory=2"]


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments], capture_output=True, text=True, timeout=200
    )


def wait_for_end(job: str, seconds: float = 150) -> None:
    until = time.monotonic() + seconds
    while pypcore.open_job(job).running:
        assert time.monotonic() < until, command("status", job).stdout
        time.sleep(1)


def products(job: Path) -> dict[str, bytes]:
    files = [*job.glob("micrographs/*"), job / "micrographs.star", job / "micrographs.csv"]
    return {path.name: path.read_bytes().replace(b"there/", b"here/") for path in files}


@pytest.mark.parametrize("launch", ["slurm", "here"])
def test_run_and_submit_give_the_same_bytes(launch: str, cluster: PrivateCluster, folder: Path) -> None:
    camera = typical_detector((192, 192), seed=1)
    write_mrc(folder / "gain.mrc", camera.gain, 1.0)
    for seed in (1, 2, 3):
        movie = typical_movie((192, 192), 6, seed=seed, pixel_size=1.0, dose=2.5, detector=camera)
        write_tiff_movie(folder / f"movie_{seed}.tif", movie.stream(1))
    assert command("run", "motioncorr", "movie_*.tif", "-o", "here", *FLAGS).returncode == 0
    sent = command("submit", "motioncorr", "movie_*.tif", "-o", "there", "--launch", launch, *FLAGS)
    assert sent.returncode == 0, sent.stderr
    assert ("Launch is job" in sent.stdout) == (launch == "slurm")
    wait_for_end("there")
    assert pypcore.open_job("there").phase == "done"
    scripts = [file.name for file in sorted((folder / "there/runs").glob("*.sh"))]
    launched = ["0001-launch.sh"] if launch == "slurm" else []
    assert scripts == [*launched, "0001-merge.sh", "0001-split-0.sh"]  # one sbatch each
    assert products(folder / "there") == products(folder / "here")
    again = command("submit", "motioncorr", "movie_*.tif", "-o", "there", "--launch", "here", *FLAGS)
    assert "Nothing submitted: nothing to do" in again.stdout
