"""The demo's tilt series, small: from movies to a tomogram and a table of how it compares with the truth."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pypcore import tilt_demo
from pypcore.cli.demo import app


def test_the_demo_of_a_tilt_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(tilt_demo.PLAN, shape=(128, 128), depth=32, shift=6, angles=(-60, 60, 6))
    monkeypatch.setattr(tilt_demo, "PLAN", small)
    monkeypatch.setattr(tilt_demo, "DOSE", 100.0)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["--tilt-series", "-o", "demo"])
    assert done.exit_code == 0, done.output
    assert "pypcore run tomogram demo/tilt-movies/demo_ts.mdoc -o demo/tomograms" in done.output
    row = re.search(r"(\d+) of 21 \D+ 85\.30 \D+ ([\d.]+) \D+ ([\d.]+) \D+ ([\d.-]+)", done.output)
    assert row is not None, done.output
    assert int(row[1]) >= 15
    assert abs(float(row[2]) - 85.3) < 3
    assert float(row[3]) < 2
    assert float(row[4]) > 0.5
    assert (tmp_path / "demo/tomograms/report.html").is_file()
