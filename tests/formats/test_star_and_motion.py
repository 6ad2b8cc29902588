"""STAR tables and RELION's motion of a movie, there and back."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypcore.errors import InputError
from pypcore.formats.relion_motion import MotionStar, read_motion, write_motion
from pypcore.formats.star import read_star, write_star

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\"'"), max_size=12)


@given(texts=st.lists(TEXT, min_size=1, max_size=5), number=st.floats(-1e6, 1e6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_and_number_comes_back(tmp_path, texts, number):
    path = tmp_path / "x.star"
    write_star(path, {"general": {"a": texts[0], "b": number}, "table": {"t": texts, "n": list(range(len(texts)))}})
    blocks = read_star(path)
    assert blocks["general"].pairs["a"] == texts[0]
    assert float(blocks["general"].pairs["b"]) == pytest.approx(number, rel=1e-9)
    assert blocks["table"].columns == {"t": texts, "n": [str(i) for i in range(len(texts))]}


def test_names_with_spaces_and_quotes_come_back(tmp_path):
    names = ["a b.mrc", "it's.mrc", 'say "x".mrc', "data_x", "_rlnX", "#1", "loop_", "?", "."]
    write_star(tmp_path / "x.star", {"m": {"rlnMicrographName": names}})
    assert read_star(tmp_path / "x.star")["m"].columns["rlnMicrographName"] == names


@pytest.mark.parametrize("text", ["", "nothing here", "data_a\nloop_\n_x\n_y\n1 2 3\n"])
def test_what_is_no_star(tmp_path, text):
    (tmp_path / "x.star").write_text(text)
    if not text:
        assert read_star(tmp_path / "x.star") == {}
        return
    with pytest.raises(InputError, match="not a STAR file"):
        read_star(tmp_path / "x.star")


def test_a_star_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="not a STAR file"):
        read_star(tmp_path / "x.star")


@pytest.fixture
def motion():
    rng = np.random.default_rng(5)
    shifts = rng.normal(size=(6, 2))
    shifts[0], shifts[5] = np.nan, np.nan
    return MotionStar(
        width=96,
        height=64,
        frames=6,
        movie="raw data/m 1.tif",
        gain="gain.mrc",
        defects="bad.txt",
        binning=2,
        pixel_size=0.83,
        dose=1.25,
        pre_dose=0.5,
        voltage=300,
        first=2,
        shifts=shifts,
        local=rng.normal(size=36),
        hot_pixels=np.array([[3, 4], [60, 90]]),
        patches=np.column_stack([np.arange(5), rng.normal(size=(5, 4))]),
    )


def test_motion_comes_back(tmp_path, motion):
    write_motion(tmp_path / "m.star", motion)
    back = read_motion(tmp_path / "m.star")
    for field in dataclasses.fields(MotionStar):
        given, read = getattr(motion, field.name), getattr(back, field.name)
        if isinstance(given, np.ndarray):
            np.testing.assert_allclose(read, given, rtol=1e-8, err_msg=field.name)
        else:
            assert read == given, field.name


def test_relion_gets_the_shift_that_undoes_the_displacement(tmp_path, motion):
    write_motion(tmp_path / "m.star", motion)
    blocks = read_star(tmp_path / "m.star")
    table = blocks["global_shift"].columns
    assert table["rlnMicrographFrameNumber"][:2] == ["1", "2"]
    assert table["rlnMicrographShiftX"][0] == "-9999"
    assert float(table["rlnMicrographShiftX"][1]) == pytest.approx(-motion.shifts[1, 1])
    assert float(table["rlnMicrographShiftY"][1]) == pytest.approx(-motion.shifts[1, 0])
    coefficients = [float(value) for value in blocks["local_motion_model"].columns["rlnMotionModelCoeff"]]
    np.testing.assert_allclose(coefficients, -motion.local)
    assert blocks["general"].pairs["rlnMotionModelVersion"] == "1"


def test_motion_of_the_whole_frame_alone(tmp_path, motion):
    plain = dataclasses.replace(motion, local=None, patches=None, hot_pixels=np.zeros((0, 2), int), dose=None, gain="")
    write_motion(tmp_path / "m.star", plain)
    assert set(read_star(tmp_path / "m.star")) == {"general", "global_shift"}
    back = read_motion(tmp_path / "m.star")
    assert back.local is None
    assert back.dose is None
    assert back.gain == ""


@pytest.mark.parametrize("missing", ["rlnImageSizeZ", "rlnMicrographShiftX", "data_global_shift"])
def test_a_damaged_motion_star(tmp_path, motion, missing):
    write_motion(tmp_path / "m.star", motion)
    text = (tmp_path / "m.star").read_text()
    (tmp_path / "m.star").write_text(text.replace(missing, "data_other" if missing[:4] == "data" else "rlnOther"))
    with pytest.raises(InputError, match="not a motion STAR"):
        read_motion(tmp_path / "m.star")


def test_arrays_that_do_not_fit_are_refused(tmp_path, motion):
    with pytest.raises(ValueError, match="6 frames"):
        write_motion(tmp_path / "m.star", dataclasses.replace(motion, shifts=motion.shifts[:4]))
    with pytest.raises(ValueError, match="36 coefficients"):
        write_motion(tmp_path / "m.star", dataclasses.replace(motion, local=np.zeros(18)))
