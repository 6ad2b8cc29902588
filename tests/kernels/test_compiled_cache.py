"""Where compiled kernels are kept, and what happens where they can't be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALL = """
import time
import numpy as np
from pypcore.kernels.cpu import simulate
out = np.zeros((20, 20), np.float32)
simulate.deposit(out, np.full(400, 5.5, np.float32), np.full(400, 5.5, np.float32))
print(round(float(out.mean()), 5), round(time.process_time(), 2))
"""


def call(cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYPCORE_CACHE_DIR": str(cache)}
    return subprocess.run([sys.executable, "-c", CALL], env=environment, text=True, capture_output=True, check=True)


def test_compiled_kernels_are_kept_and_found_again(tmp_path):
    call(tmp_path)
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")}
    assert kept
    again = call(tmp_path)
    assert again.stdout.startswith("1.0 ")
    assert again.stderr == ""
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == kept, "nothing was compiled again"


def test_a_cache_folder_that_cannot_be_written_is_said_once_and_everything_works(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("a file where a folder should be: not even root can write there")
    result = call(in_the_way)
    assert result.stdout.startswith("1.0 ")
    assert result.stderr.count("\n") == 1
    assert str(in_the_way) in result.stderr
    assert "PYPCORE_CACHE_DIR" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_cache_folder_is_said_once_and_everything_works(tmp_path):
    tmp_path.chmod(0o555)
    result = call(tmp_path)
    assert result.stdout.startswith("1.0 ")
    assert result.stderr.count("\n") == 1
