"""Real SLURM clusters, and jobs on them."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_cluster import CPUS, PrivateCluster
from slurm_job import SlurmJob


@pytest.fixture(scope="session")
def one_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateCluster]:
    """Three nodes for the whole session: n1 with four H100, n2 with four A100, n3 with none."""
    cluster = PrivateCluster(tmp_path_factory.mktemp("slurm") / "c")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(one_cluster: PrivateCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateCluster]:
    """The session's cluster, as good as new, and the one that SLURM's commands find."""
    monkeypatch.setenv("SLURM_CONF", str(one_cluster.configuration))
    yield one_cluster
    one_cluster.clean()


@pytest.fixture
def make_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., PrivateCluster]]:
    """Start another cluster, with more CPUs or other parameters of slurm.conf: ``make_cluster(MaxArraySize=21)``."""
    made: list[PrivateCluster] = []

    def make(cpus: int = CPUS, **options: str | int) -> PrivateCluster:
        made.append(PrivateCluster(tmp_path / f"slurm{len(made)}", cpus, **options))
        made[-1].start()
        monkeypatch.setenv("SLURM_CONF", str(made[-1].configuration))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def job(cluster: PrivateCluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmJob:
    """A job on the session's cluster."""
    monkeypatch.setenv("PYPCORE_LATE", "1")  # seconds: no shared disk here, so Merge need not wait for records
    return SlurmJob(folder, cluster)


@pytest.fixture
def wrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a script in the place of a command of SLURM's; ``REAL`` in it is the command itself."""
    (tmp_path / "bin").mkdir()
    path = os.environ["PATH"]

    def put(program: str, script: str) -> None:
        real = shutil.which(program, path=path)
        assert real
        file = tmp_path / "bin" / program
        file.write_text("#!/bin/bash\n" + script.replace("REAL", real) + "\n")
        file.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{path}")
    return put
