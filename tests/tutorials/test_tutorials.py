"""The tutorials do what they say, and the site can be built of all pages."""

import subprocess
import sys

import pytest
from following import TUTORIALS, follow


@pytest.mark.slow
def test_one_workstation(tmp_path):
    follow("workstation.md", tmp_path)


@pytest.mark.slow
def test_a_developer(tmp_path):
    # Installed beside the environment of the tests, not into it.
    apart = {"PIP_TARGET": str(tmp_path / "apart"), "PYTHONPATH": str(tmp_path / "apart")}
    follow("developer.md", tmp_path, PIP_NO_BUILD_ISOLATION="0", PIP_NO_DEPS="1", **apart)


def test_the_site_is_built_without_a_warning(tmp_path):
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(TUTORIALS.parent), "site"]
    ran = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "site/tutorials/cluster.html").exists()
    assert ran.stderr == ""
