"""Motion correction as an operation: products, figures, tables; what it refuses, and when."""

import csv
import logging
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from pydantic import ValidationError

from pypcore.errors import InputError, UsageError
from pypcore.formats.motion_field import read_field
from pypcore.formats.mrc import write_mrc
from pypcore.formats.relion_motion import read_motion
from pypcore.formats.star import read_star, write_star
from pypcore.operation import Done
from pypcore.operations.motioncorr import MotionCorr

GIVEN = {"pixel_size": 1.1, "dose": 1.5, "voltage": 300}


@pytest.fixture
def operation():
    return MotionCorr()


def parameters(**changes):
    return MotionCorr.Parameters(**{**GIVEN, **changes})


def test_a_movie_becomes_a_micrograph_and_its_motion(operation, counts, write_item, make_context):
    item, context = write_item(counts[0]), make_context()
    result = operation.process(item, parameters(), context)
    assert set(result.products) == {"micrograph", "motion", "picture"}
    with mrcfile.open(result.products["micrograph"]) as file:
        assert file.data.shape == (256, 256)
        assert file.data.dtype == np.float32
        assert file.voxel_size.x == pytest.approx(1.1)
    motion = read_motion(result.products["motion"])
    np.testing.assert_allclose(motion.shifts, counts[1], atol=0.15)
    assert (motion.movie, motion.dose, motion.voltage, motion.pixel_size) == ("movies/m1.tif", 1.5, 300, 1.1)
    length = np.hypot(*np.diff(motion.shifts, axis=0).T).sum() * 1.1
    assert result.figures["motion_total"] == pytest.approx(length, abs=0.3)
    assert result.figures["pixel_size_from"] == "the request"
    assert result.products["picture"].read_bytes()[:4] == b"\x89PNG"


def test_everything_that_can_be_asked_for(operation, counts, write_item, make_context):
    asked = {"even_odd": True, "save_unweighted": True, "save_ps": True, "float16": True, "bin": 2}
    item, context = write_item(counts[0]), make_context()
    result = operation.process(item, parameters(**asked), context)
    names = {path.name for path in (context.job / "micrographs").iterdir()}
    assert names == {*("m1.mrc", "m1.star", "m1_noDW.mrc", "m1_EVN.mrc", "m1_ODD.mrc", "m1_PS.mrc", "m1_motion.png")}
    for kind in ("micrograph", "unweighted", "even", "odd"):
        with mrcfile.open(result.products[kind]) as file:
            assert file.data.shape == (128, 128)
            assert file.header.mode == 12
            assert file.voxel_size.x == pytest.approx(2.2)
    even, odd, whole = (mrcfile.read(result.products[kind]).astype(float) for kind in ("even", "odd", "micrograph"))
    np.testing.assert_allclose(even + odd, whole, atol=0.02 * whole.std() + 0.01 * np.abs(whole).max())
    assert read_motion(result.products["motion"]).binning == pytest.approx(2)


def test_the_motion_in_full(operation, counts, write_item, make_context):
    result = operation.process(write_item(counts[0]), parameters(write_model="full"), make_context())
    field = read_field(result.products["field"])
    assert result.products["field"].name == "m1_field.star"
    np.testing.assert_allclose(field.whole / 1.1, counts[1], atol=0.15)
    assert field.whole.shape[0] == len(field.error) == len(field.travel) == len(counts[0])
    in_relion = read_motion(result.products["motion"])
    np.testing.assert_allclose(field.whole / 1.1, in_relion.shifts, atol=0.3)


@pytest.mark.parametrize("binning", [1.0, 2.0])
def test_relions_model_is_in_unbinned_pixels_whatever_the_binning(operation, counts, write_item, make_context, binning):
    """RELION's own files hold binned pixels in the local model when it bins early, and its reader expects unbinned."""
    plain = operation.process(write_item(counts[0]), parameters(), make_context("one"))
    binned = operation.process(write_item(counts[0]), parameters(bin=binning), make_context("two"))
    one, two = (read_motion(result.products["motion"]) for result in (plain, binned))
    np.testing.assert_array_equal(one.shifts, two.shifts)
    if one.local is not None:
        np.testing.assert_array_equal(one.local, two.local)
    assert two.binning == binning


@pytest.mark.parametrize("weights", ["plain", "blur-aware"])
def test_the_weights_asked_for_are_told(operation, counts, write_item, make_context, weights):
    result = operation.process(write_item(counts[0]), parameters(weights=weights), make_context())
    assert result.figures["weights"] == weights
    assert 0 < result.figures["signal_kept_uncorrected"] < result.figures["signal_kept"] <= 1


def test_two_runs_give_the_same_bytes(operation, counts, write_item, make_context):
    item, asked = write_item(counts[0]), parameters(save_ps=True)
    first = operation.process(item, asked, make_context("one", threads=1))
    again = operation.process(item, asked, make_context("two", threads=2))
    for kind, path in first.products.items():
        assert path.read_bytes() == again.products[kind].read_bytes(), kind


def test_frames_left_out_are_not_observed(operation, counts, write_item, make_context):
    result = operation.process(write_item(counts[0]), parameters(first=2, last=7), make_context())
    motion = read_motion(result.products["motion"])
    assert motion.first == 2
    assert np.isnan(motion.shifts[[0, 7]]).all()
    np.testing.assert_allclose(motion.shifts[1:7], counts[1][1:7] - counts[1][1], atol=0.2)


def test_gain_and_defects_are_applied_and_handed_on(operation, counts, write_item, make_context, tmp_path):
    rng = np.random.default_rng(4)
    gain = rng.uniform(0.7, 1.4, (256, 256)).astype(np.float32)
    gain[100, 50] = 0
    write_mrc(tmp_path / "gain.mrc", np.rot90(gain), 1)  # as it looks before a rotation by 90 degrees
    (tmp_path / "bad.txt").write_text("10 20 5 5\n")
    raw = np.clip(counts[0] * 10 / np.where(gain > 0, gain, 1), 0, 255).astype(np.uint8)
    raw[:, 20:25, 10:15] = 200
    asked = parameters(gain=tmp_path / "gain.mrc", gain_rotate=90, defects=tmp_path / "bad.txt")
    result = operation.process(write_item(raw), asked, make_context())
    motion = read_motion(result.products["motion"])
    np.testing.assert_allclose(motion.shifts, counts[1], atol=0.2)
    assert motion.defects == str(tmp_path / "bad.txt")
    assert result.figures["bad_pixels"] >= 26
    # RELION can't turn a gain by itself: it is given one that is turned already.
    assert motion.gain == "MotionCorr/job002/gain.mrc"
    np.testing.assert_array_equal(mrcfile.read(tmp_path / motion.gain), gain)


def test_the_pixel_size_may_come_from_the_movie(operation, counts, write_item, make_context, caplog):
    item = write_item(counts[0], resolution=(1e8 / 0.83, 1e8 / 0.83), resolutionunit="CENTIMETER")
    with caplog.at_level(logging.INFO):
        result = operation.process(item, parameters(pixel_size=None), make_context())
    assert result.figures["pixel_size"] == pytest.approx(0.83)
    assert result.figures["pixel_size_from"] == "the movie's header"
    assert "pixel size 0.83 Å, from the movie's header" in caplog.text


def test_a_pixel_size_that_nobody_says_is_not_guessed(operation, counts, write_item, make_context):
    with pytest.raises(InputError, match="--pixel-size"):
        operation.process(write_item(counts[0]), parameters(pixel_size=None), make_context())


def test_the_tables_of_all_micrographs(operation, counts, write_item, make_context):
    context, asked = make_context(), parameters(save_unweighted=True)
    done = []
    for index, name in enumerate(("b", "a")):
        item = write_item(counts[0], name, index)
        result = operation.process(item, asked, context)
        done.append(Done(item, result.products, result.figures))
    made = operation.finish(iter(done), asked, context)
    blocks = read_star(made.products["star"])
    optics, rows = blocks["optics"].columns, blocks["micrographs"].columns
    assert optics["rlnMicrographOriginalPixelSize"] == ["1.1"]
    assert optics["rlnVoltage"] == ["300"]
    assert rows["rlnMicrographName"] == [f"MotionCorr/job002/micrographs/{name}.mrc" for name in "ba"]
    assert rows["rlnMicrographNameNoDW"][0] == "MotionCorr/job002/micrographs/b_noDW.mrc"
    assert "rlnCtfPowerSpectrum" not in rows
    assert float(rows["rlnAccumMotionTotal"][0]) == pytest.approx(done[0].figures["motion_total"])
    with made.products["table"].open() as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == ["b", "a"]
    assert float(table[1]["motion_late"]) == pytest.approx(done[1].figures["motion_late"])


def test_movies_of_two_pixel_sizes_are_two_optics_groups(operation, write_item, make_context, counts):
    context, asked = make_context(), parameters(pixel_size=None, dose_weighting=False, voltage=None)
    done = []
    for index, size in enumerate((0.83, 1.06, 0.83)):
        resolution = (1e8 / size, 1e8 / size)
        item = write_item(counts[0][:3], f"m{index}", index, resolution=resolution, resolutionunit="CENTIMETER")
        result = operation.process(item, asked, context)
        done.append(Done(item, result.products, result.figures))
    blocks = read_star(operation.finish(done, asked, context).products["star"])
    assert blocks["micrographs"].columns["rlnOpticsGroup"] == ["1", "2", "1"]
    assert [round(float(size), 3) for size in blocks["optics"].columns["rlnMicrographPixelSize"]] == [0.83, 1.06]
    assert "rlnVoltage" not in blocks["optics"].columns


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dose": None}, "needs the dose; give --dose, or --no-dose-weighting"),
        ({"dose": None, "voltage": None}, "the dose and the voltage"),
        ({"pixel_size": 0}, "greater than 0"),
        ({"patches": "5"}, "X,Y, such as 5,5"),
        ({"patches": "1,9"}, "2 to 40 each way"),
        ({"first": 5, "last": 5}, "not after first 5"),
        ({"gain_rotate": 45}, "0, 90, 180 or 270"),
        ({"eer_group": 5, "eer_fractions": 9}, "give one"),
        ({"eer_frame_dose": 2}, "no less"),
        ({"bin": 0.5}, "greater than or equal to 1"),
        ({"binning": 2}, "Extra inputs"),
    ],
)
def test_parameters_that_make_no_sense(changes, words):
    with pytest.raises(ValidationError, match=words):
        parameters(**changes)


def test_parameters_survive_being_frozen_in_a_file():
    asked = parameters(patches="5,4", gain=Path("gain.mrc"))
    assert MotionCorr.Parameters(**asked.model_dump(mode="json")) == asked


def test_every_parameter_is_described(operation):
    for name, field in operation.Parameters.model_fields.items():
        assert field.description, name


def test_fractions_of_a_dose(operation):
    asked = parameters(dose=1.0, eer_frame_dose=0.04)
    assert asked.frames_per_fraction == 25
    assert asked.frame_dose == pytest.approx(1.0)
    asked = parameters(dose=1.0, eer_frame_dose=0.3)
    assert asked.frame_dose == pytest.approx(0.9)


def test_movies_are_found_in_a_star_file(operation, counts, write_item, tmp_path):
    for name in "ba":
        write_item(counts[0][:2], name)
    movies = {"rlnMicrographMovieName": ["movies/b.tif", "movies/a.tif"], "rlnOpticsGroup": [1, 1]}
    write_star(tmp_path / "movies.star", {"optics": {"rlnOpticsGroup": [1]}, "movies": movies})
    assert operation.discover(parameters(), ["movies.star"], tmp_path) == [Path("movies/b.tif"), Path("movies/a.tif")]
    assert operation.discover(parameters(), ["movies"], tmp_path) == [Path("movies/a.tif"), Path("movies/b.tif")]
    write_star(tmp_path / "other.star", {"x": {"rlnOpticsGroup": [1]}})
    with pytest.raises(UsageError, match="rlnMicrographMovieName"):
        operation.discover(parameters(), ["other.star"], tmp_path)


def test_launch_refuses_what_no_movie_can_use(operation, counts, write_item, tmp_path):
    write_mrc(tmp_path / "gain.mrc", np.ones((100, 256), np.float32), 1)
    items = [write_item(counts[0][:2], f"m{index}", index) for index in range(6)]
    with pytest.raises(UsageError, match="belongs to other movies"):
        operation.check(parameters(gain=tmp_path / "gain.mrc"), items)
    with pytest.raises(UsageError, match="--pixel-size"):
        operation.check(parameters(pixel_size=None), items[:1])
    operation.check(parameters(), items)


def test_launch_lets_single_bad_movies_fail_by_themselves(operation, counts, write_item):
    items = [write_item(counts[0][:2], f"m{index}", index) for index in range(6)]
    items[0].path.write_bytes(b"")
    operation.check(parameters(), items)
    operation.check(parameters(), items[:1])


def test_the_disk_estimate_is_near_what_is_written(operation, counts, write_item, make_context):
    asked = parameters(even_odd=True, save_unweighted=True, save_ps=True)
    item = write_item(counts[0])
    written = sum(path.stat().st_size for path in operation.process(item, asked, make_context()).products.values())
    assert operation.disk(asked, item) == pytest.approx(written, rel=0.2)


def test_a_failed_movie_leaves_nothing(operation, counts, write_item, make_context):
    item, context = write_item(counts[0]), make_context()
    item.path.write_bytes(item.path.read_bytes()[:3000])
    with pytest.raises(InputError, match="cut off"):
        operation.process(item, parameters(), context)
    assert not list(context.job.rglob("*"))
