"""``reconstruct`` on SLURM: bundles as elements, killed at random and resumed, the same bits as here."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from private_cluster import PrivateCluster

import pypcore
from pypcore.simulate import particles as simulated

pytestmark = pytest.mark.slurm

BOX, PIXEL, MICROGRAPHS, EACH = 32, 5.0, 12, 10
FLAGS = ["--bundle-size=4", "--memory=1", "--checkpoint=0:01"]
PRODUCTS = ("half1.mrc", "half2.mrc", "map.mrc", "mask.mrc", "fsc.csv", "views.csv", "reconstruction.png")


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments], capture_output=True, text=True, timeout=200
    )


def wait_for_end(job: str, seconds: float = 150) -> None:
    until = time.monotonic() + seconds
    while pypcore.open_job(job).running:
        assert time.monotonic() < until, command("status", job).stdout
        time.sleep(0.5)


def contents(job: Path) -> dict[str, bytes]:
    found = {name: (job / name).read_bytes() for name in PRODUCTS}
    return found | {path.name: path.read_bytes() for path in sorted((job / "partials").glob("*.partial"))}


def elements(cluster: PrivateCluster) -> list[int]:
    """List the processes that do elements of Split on this cluster."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"SLURM_CONF={cluster.configuration}".encode() in words and b"--first" in line and b"python" in line:
            found.append(int(folder.name))
    return found


def test_killed_and_resumed_on_slurm_the_bits_are_those_of_run(cluster: PrivateCluster, folder: Path) -> None:
    molecule = simulated.chain(count=200, radius=55, sigma=3.0)
    known = simulated.random_particles(MICROGRAPHS * EACH, 1)
    images = simulated.images(molecule, known, BOX, PIXEL).reshape(MICROGRAPHS, EACH, BOX, BOX)
    simulated.write_particles(folder, list(images), known, PIXEL)
    assert command("run", "reconstruct", "particles.star", "-o", "here", *FLAGS).returncode == 0
    sent = command("submit", "reconstruct", "particles.star", "-o", "there", "--launch", "here", *FLAGS)
    assert sent.returncode == 0, sent.stderr
    rng, killed = random.Random(1), 0
    until = time.monotonic() + 60
    while not killed and time.monotonic() < until:
        for process in elements(cluster)[:1]:
            time.sleep(rng.uniform(0.3, 1.0))
            try:
                os.kill(process, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    assert killed
    wait_for_end("there")
    for _ in range(3):
        if pypcore.open_job("there").phase == "done":
            break
        again = command("resume", "there")
        assert again.returncode == 0, again.stdout + again.stderr
        wait_for_end("there")
    assert pypcore.open_job("there").phase == "done"
    assert contents(folder / "there") == contents(folder / "here")


def test_a_bundle_that_goes_on_elsewhere_keeps_its_bits(cluster: PrivateCluster, folder: Path) -> None:
    molecule = simulated.chain(count=200, radius=55, sigma=3.0)
    known = simulated.random_particles(MICROGRAPHS * EACH, 2)
    images = simulated.images(molecule, known, BOX, PIXEL).reshape(MICROGRAPHS, EACH, BOX, BOX)
    simulated.write_particles(folder, list(images), known, PIXEL)
    assert command("submit", "reconstruct", "particles.star", "-o", "there", *FLAGS).returncode == 0
    wait_for_end("there")
    assert pypcore.open_job("there").phase == "done"
    whole = contents(folder / "there")
    shutil.copy(folder / "there/partials/000000.partial", folder / "there/partials/000002.partial")
    resumed = command("resume", "there", "--on", "here")
    assert resumed.returncode == 0, resumed.stdout
    assert contents(folder / "there") == whole
