"""Fakes of every program on PATH."""

import os
import sys
from pathlib import Path

import pytest
from program_cases import Bench

FAKES = Path(__file__).parent / "fakes" / "run.py"
NAMES = (
    *(
        "MotionCor3",
        "AreTomo2",
        "AreTomo3",
        "topaz",
        "membrain",
        "isonet.py",
        "isonet2.py",
        "python",
        "tomodrgn",
        "ctffind",
    ),
    *("cryoCARE_extract_train_data.py", "cryoCARE_train.py", "cryoCARE_predict.py"),
    *("pytom_match_template.py", "pytom_extract_candidates.py"),
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Fakes on PATH, one GPU, an empty folder that is the current one."""
    (tmp_path / "bin").mkdir()
    for name in NAMES:
        file = tmp_path / "bin" / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "{FAKES}" {name} "$@"\n')
        file.chmod(0o755)
    site = tmp_path / "programs.toml"
    site.write_text(
        f'[milopyp]\npath = "{tmp_path}/bin/python"\nenvironment = {{ CET_PICK = "/opt/cet_pick" }}\n'
        f'[spr-pick]\npath = "{tmp_path}/bin/python"\nenvironment = {{ SPR_PICK = "/opt/spr_pick" }}\n'
        f'[isonet2]\npath = "{tmp_path}/bin/isonet2.py"\n'
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYPCORE_PROGRAMS", str(site))
    monkeypatch.setenv("FAKE_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAKE_MODE", "ok")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path, monkeypatch)
