"""What holds for all tests: which may be skipped, and how long an example of hypothesis may take."""

import importlib.util
import os
import shutil

import hypothesis
import pytest

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
