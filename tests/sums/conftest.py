"""A small set of particles with known poses, and ways to reconstruct it: by the command line, or by a bare worker."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pypcore.job import Job
from pypcore.local import Consent, Outcome, run_here
from pypcore.options import prepare, refresh
from pypcore.simulate import particles as simulated
from pypcore.worker import Worker

BOX, PIXEL, MICROGRAPHS, EACH = 32, 5.0, 12, 10
PRODUCTS = ("half1.mrc", "half2.mrc", "map.mrc", "mask.mrc", "fsc.star", "fsc.csv", "views.csv", "reconstruction.png")


@pytest.fixture(scope="session")
def particle_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """particles.star with 12 micrographs of 10 particles, box 32, and truth.npy; not to be changed."""
    folder = tmp_path_factory.mktemp("particles")
    molecule = simulated.chain(count=300, radius=55, sigma=3.0)
    known = simulated.random_particles(MICROGRAPHS * EACH, 1)
    clean = simulated.images(molecule, known, BOX, PIXEL)
    images = simulated.with_noise(clean, 2.0, 11, 1)
    simulated.write_particles(folder, list(images.reshape(MICROGRAPHS, EACH, BOX, BOX)), known, PIXEL)
    np.save(folder / "truth.npy", simulated.density(molecule, BOX, PIXEL))
    return folder


@pytest.fixture
def folder(particle_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a copy of the set in it."""
    shutil.copytree(particle_set, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def undisturbed(particle_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Products and partials of a job that nothing happened to, in bundles of 5."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(particle_set, folder, dirs_exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        outcome = run_here(Job(folder / "job"), prepare("reconstruct", ["particles.star"], "job", OPTIONS).request)
        assert outcome.exit_code == 0
    finally:
        os.chdir(before)
    return contents(folder / "job")


OPTIONS: dict[str, Any] = {"bundle_size": 5, "memory": 1, "total_threads": 1}  # one worker: starting costs most


def contents(job: Path) -> dict[str, bytes]:
    """Return the bytes of a job's products and partials."""
    found = {name: (job / name).read_bytes() for name in PRODUCTS if (job / name).exists()}
    return found | {path.name: path.read_bytes() for path in sorted((job / "partials").glob("*.partial"))}


@pytest.fixture
def reconstruct(folder: Path) -> Callable[..., Outcome]:
    """Run ``reconstruct`` over a STAR file into ``job``."""

    def run(star: str = "particles.star", job: str = "job", consent: Consent | None = None, **options: Any) -> Outcome:
        prepared = prepare("reconstruct", [star], job, OPTIONS | options)
        return run_here(Job((folder / job).absolute()), prepared.request, consent=consent)

    return run


@pytest.fixture
def resume(folder: Path) -> Callable[..., Outcome]:
    """Resume ``job``."""

    def run(job: str = "job", consent: Consent | None = None, **options: Any) -> Outcome:
        opened = Job.open(folder / job)
        return run_here(opened, refresh(opened.request(), options), consent=consent, discover=False)

    return run


@pytest.fixture
def command(folder: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start the command line in a process, and a session, of its own."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def worker_of(folder: Path) -> Callable[..., Any]:
    """Return a context manager that makes a worker of this process: ``with worker_of("job", "one") as worker``."""

    @contextmanager
    def make(job: str, attempt: str) -> Iterator[Worker]:
        worker = Worker(Job(folder / job), attempt, 1, 2**30, [])
        try:
            yield worker
        finally:
            worker.close()

    return make
