"""What holds for all tests: which may be skipped, how long an example may take, and ways to start and resume jobs."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from pypcore.job import Job
from pypcore.local import Consent, Outcome, run_here
from pypcore.options import refresh

# An example's time says nothing on a machine that does other things too; pytest-timeout ends what hangs.
hypothesis.settings.register_profile("pypcore", deadline=None)
hypothesis.settings.load_profile("pypcore")

SBIN = ":/usr/sbin:/usr/local/sbin:/sbin"  # daemons are there, and not everybody's PATH names it
PROGRAMS = {
    "relion": "relion_run_motioncorr",
    "browser": "chromium",
    "slurm": "slurmctld",
}  # marker -> a program that is there when all are


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests of programs that are not installed; those that PYPCORE_REQUIRE names (as in CI) refuse to."""
    required = os.environ.get("PYPCORE_REQUIRE", "").split(",")
    if importlib.util.find_spec("cupy") is None:
        if "cupy" in required:
            raise pytest.UsageError("CuPy is not installed, and PYPCORE_REQUIRE=cupy; see .ci/setup dev")
        skip = pytest.mark.skip(reason="CuPy is not installed; pip install -e '.[cuda-check]'")
        for item in items:
            if item.get_closest_marker("cupy"):
                item.add_marker(skip)
    for marker, program in PROGRAMS.items():
        if shutil.which(program, path=os.environ.get("PATH", os.defpath) + SBIN):
            continue
        if marker in required:
            raise pytest.UsageError(f"{program} is not on PATH, and PYPCORE_REQUIRE={marker}; see .ci/setup {marker}")
        skip = pytest.mark.skip(reason=f"{program} is not on PATH; .ci/setup {marker} installs it")
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.fixture
def command() -> Callable[..., "subprocess.Popen[str]"]:
    """Start the command line in the current folder, in a process, and a session, of its own."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def resume() -> Callable[..., Outcome]:
    """Resume a job of the current folder, in this process."""

    def run(job: str = "job", consent: Consent | None = None, **options: Any) -> Outcome:
        opened = Job.open(Path(job))
        return run_here(opened, refresh(opened.request(), options), consent=consent, discover=False)

    return run
