"""Gold beads in tasks: alignment on them, what it leaves, and their erasing."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from beads_made import PLAN, Gold, gold
from pydantic import ValidationError

from pypcore.errors import InputError
from pypcore.formats.mrc import write_mrc
from pypcore.formats.star import read_star
from pypcore.formats.tilt_angles import write_angles
from pypcore.formats.xf import read_xf, write_xf
from pypcore.geometry import tilt_rotation
from pypcore.items import Item
from pypcore.operations.align_tilts import AlignTilts
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters
from pypcore.operations.tomogram import Tomogram
from pypcore.operations.tomogram_parameters import TomogramParameters


@pytest.fixture(scope="module")
def made() -> Gold:
    return gold()


def write(folder: Path, made: Gold) -> Item:
    path = folder / "ts.st"
    write_mrc(path, made.series.tilts, 10.0)
    write_angles(folder / "ts.rawtlt", made.series.angles)
    stat = path.stat()
    return Item(0, "ts", str(path), "ts.st", stat.st_size, stat.st_mtime_ns)


def test_a_task_aligns_on_beads_and_leaves_them_in_files(tmp_path, made, make_context, monkeypatch):
    monkeypatch.chdir(tmp_path)
    item = write(tmp_path, made)
    params = AlignTiltsParameters(thickness=64, tilt_axis=85.3, align_by="beads", bead_diameter=10)
    result = AlignTilts().process(item, params, make_context("job"))
    figures = result.figures
    assert figures["alignment_from"] == "pypcore, gold beads"
    assert figures["beads_steady"] == 12
    assert 0.5 < figures["bead_residual"] < 5  # Å
    blocks = read_star(result.products["beads"])
    assert len(blocks["beads"].columns["pypcoreBead"]) == 12
    lines = [line.split() for line in result.products["fiducials"].read_text().splitlines()]
    assert {len(line) for line in lines} == {4}
    assert len(lines) == len(blocks["points"].columns["pypcoreView"])
    assert float(lines[0][1]) == pytest.approx(float(blocks["points"].columns["pypcorePointX"][0]) + 0.5, abs=2e-3)
    assert result.products["beads_picture"].stat().st_size > 10_000
    matrices, _ = read_xf(result.products["xf"])
    assert np.degrees(np.arctan2(matrices[0, 0, 1], matrices[0, 0, 0])) == pytest.approx(PLAN.axis, abs=0.2)


def test_a_tomogram_without_beads_is_the_same_each_time(tmp_path, made, make_context, monkeypatch):
    monkeypatch.chdir(tmp_path)
    item = write(tmp_path, made)
    write_xf(tmp_path / "ts.xf", tilt_rotation(np.full(len(made.series.angles), PLAN.axis)), made.series.shifts)
    write_angles(tmp_path / "ts.tlt", made.series.angles)
    volumes = {}
    for name, options in (
        ("plain", {}),
        ("one", {"erase_beads": True, "bead_diameter": 10}),
        ("two", {"erase_beads": True, "bead_diameter": 10}),
    ):
        result = Tomogram().process(item, TomogramParameters(thickness=64, bin=2, **options), make_context(name))
        volumes[name] = mrcfile.read(result.products["tomogram"])
    assert result.figures["beads_erased"] == 12
    assert np.array_equal(volumes["one"], volumes["two"])
    assert volumes["one"].min() > 0.8 * volumes["plain"].min()  # beads are the darkest there is


def test_too_few_beads_fail_with_what_to_do(tmp_path, made, make_context, monkeypatch):
    monkeypatch.chdir(tmp_path)
    item = write(tmp_path, made)
    params = AlignTiltsParameters(thickness=64, tilt_axis=85.3, align_by="beads", bead_diameter=2)
    with pytest.raises(InputError, match=r"ts\.st: gold beads of 2\.0 px .*--bead-diameter 2 nm"):
        AlignTilts().process(item, params, make_context("job"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"align_by": "beads"}, "align_by beads needs the size"),
        ({"erase_beads": True}, "erase_beads needs the size"),
        ({"bead_diameter": 10}, "nothing is done with beads"),
        ({"align_by": "beads", "bead_diameter": 10, "local": (4, 4)}, "leave out local, or align_by beads"),
        ({"align_by": "beads", "bead_diameter": 10, "alignment": "x"}, "alignment names one to take"),
    ],
)
def test_options_that_do_not_hang_together_are_refused(options, says):
    with pytest.raises(ValidationError, match=says):
        TomogramParameters(**options)
