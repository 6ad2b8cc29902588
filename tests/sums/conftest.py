"""A small set of particles with known poses, and ways to reconstruct it: by the command line, or by a bare worker."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pypcore import records
from pypcore.job import Job
from pypcore.launch import launch
from pypcore.local import Consent, Outcome, run_here
from pypcore.merge import read_done
from pypcore.options import prepare
from pypcore.records import Record
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


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests of a session: a job knows where it is, and a finished one can be put back there."""
    return tmp_path_factory.mktemp("place")


def lay_out(place: Path, particle_set: Path) -> None:
    """Empty ``place``, and put a copy of the set in it."""
    shutil.rmtree(place)
    shutil.copytree(particle_set, place)


@pytest.fixture
def folder(particle_set: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a copy of the set in it."""
    lay_out(place, particle_set)
    monkeypatch.chdir(place)
    return place


OPTIONS: dict[str, Any] = {"bundle_size": 5, "memory": 1, "total_threads": 1}  # one worker: starting costs most


@pytest.fixture(scope="session")
def undisturbed_job(particle_set: Path, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a job that nothing happened to, in bundles of 5; of use where it was made, at ``place / "job"``."""
    lay_out(place, particle_set)
    before = Path.cwd()
    os.chdir(place)
    try:
        outcome = run_here(Job(place / "job"), prepare("reconstruct", ["particles.star"], "job", OPTIONS).request)
        assert outcome.exit_code == 0
    finally:
        os.chdir(before)
    kept = tmp_path_factory.mktemp("undisturbed") / "job"
    shutil.copytree(place / "job", kept)
    return kept


@pytest.fixture(scope="session")
def undisturbed(undisturbed_job: Path) -> dict[str, bytes]:
    """Its products and partials."""
    return contents(undisturbed_job)


@pytest.fixture
def finished(undisturbed_job: Path, folder: Path) -> Job:
    """That job, as if it had been run here."""
    shutil.copytree(undisturbed_job, folder / "job")
    return Job.open(folder / "job")


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


@pytest.fixture
def sum_up(folder: Path, worker_of: Callable[..., Any]) -> Callable[..., Record]:
    """Reconstruct in this process, where no process need start or die; return Merge's record."""

    def run(job: str = "job", merge: bool = True, **options: Any) -> Record | None:
        made, request = Job(folder / job), prepare("reconstruct", ["particles.star"], job, OPTIONS | options).request
        items = launch(made, request).items
        made.create()
        made.write_items(items)
        made.freeze(request)
        size = request.resources.split.bundle_size
        with worker_of(job, "0001-x") as worker:
            for first in range(0, len(items), size):
                worker.do_bundle(items[first : first + size])
        if not merge:
            return None
        with worker_of(job, "0002-x") as worker:
            record = worker.do_merge(read_done(made), "")
        assert record["outcome"] == records.DONE, record["message"]
        return record

    return run
