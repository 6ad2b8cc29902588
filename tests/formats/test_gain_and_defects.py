"""Gain references and defects: the right way round, and refused with what would fit."""

import mrcfile
import numpy as np
import pytest
import tifffile

from pypcore.errors import InputError
from pypcore.formats.defects import load_defects
from pypcore.formats.gain import load_gain


@pytest.fixture
def gain():
    return (1 + np.random.default_rng(3).random((6, 10))).astype(np.float32)


def write(path, image):
    if path.suffix == ".mrc":
        mrcfile.write(path, image)
    else:
        tifffile.imwrite(path, image, photometric="minisblack")
    return path


def test_an_mrc_gain_multiplies_as_it_is_and_a_tiff_gain_with_its_rows_reversed(tmp_path, gain):
    np.testing.assert_array_equal(load_gain(write(tmp_path / "g.mrc", gain), (6, 10)), gain)
    np.testing.assert_array_equal(load_gain(write(tmp_path / "g.tif", gain), (6, 10)), gain[::-1])


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["none", "ud", "lr"])
def test_turned_then_flipped(tmp_path, gain, rotate, flip):
    shape = (6, 10) if rotate % 180 == 0 else (10, 6)
    turned = {0: gain, 90: gain.T[:, ::-1], 180: gain[::-1, ::-1], 270: gain.T[::-1]}[rotate]
    expected = {"none": turned, "ud": turned[::-1], "lr": turned[:, ::-1]}[flip]
    result = load_gain(write(tmp_path / "g.mrc", gain), shape, rotate=rotate, flip=flip)
    np.testing.assert_array_equal(result, expected)
    assert result.flags.c_contiguous


@pytest.mark.parametrize(("rotate", "fitting"), [(0, "90 or 270"), (90, "0 or 180"), (180, "90 or 270")])
def test_a_gain_that_fits_only_after_another_rotation(tmp_path, gain, rotate, fitting):
    shape = (10, 6) if rotate % 180 == 0 else (6, 10)
    with pytest.raises(InputError, match=f"turned by {fitting} degrees"):
        load_gain(write(tmp_path / "g.mrc", gain), shape, rotate=rotate)


@pytest.mark.parametrize(("shape", "words"), [((12, 20), "super-resolution"), ((6, 11), "belongs to other movies")])
def test_a_gain_of_another_size(tmp_path, gain, shape, words):
    with pytest.raises(InputError, match=words):
        load_gain(write(tmp_path / "g.mrc", gain), shape)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1])
def test_values_that_are_no_gain(tmp_path, gain, value):
    gain[2, 3] = value
    with pytest.raises(InputError, match="gain"):
        load_gain(write(tmp_path / "g.tif", gain), (6, 10))


def test_zeros_only_are_no_gain(tmp_path, gain):
    with pytest.raises(InputError, match="from 0 to 0"):
        load_gain(write(tmp_path / "g.mrc", gain * 0), (6, 10))


def test_gatan_files_are_refused_with_the_way_out(tmp_path):
    (tmp_path / "g.dm4").write_bytes(b"\0\0\0\4" * 500)
    with pytest.raises(InputError, match="dm2mrc"):
        load_gain(tmp_path / "g.dm4", (6, 10))


def test_a_stack_is_no_gain(tmp_path, gain):
    with pytest.raises(InputError, match="a stack of 3 images"):
        load_gain(write(tmp_path / "g.mrc", np.stack([gain] * 3)), (6, 10))


def test_the_gain_of_an_eer_in_its_cameras_format_multiplies_with_rows_as_they_are(tmp_path, gain):
    gain[1, 1] = 0
    path = write(tmp_path / "x.gain", gain)
    np.testing.assert_array_equal(load_gain(path, (6, 10), eer=True), gain)
    with pytest.raises(InputError, match="belongs to EER movies"):
        load_gain(path, (6, 10))


def test_the_gain_of_an_eer_in_mrc_is_divided_by(tmp_path, gain):
    gain[1, 1] = 0
    result = load_gain(write(tmp_path / "g.mrc", gain), (6, 10), eer=True)
    good = gain > 0
    assert result[1, 1] == 0
    np.testing.assert_allclose(result[good] * gain[good], (result * gain).max(), rtol=1e-6)
    assert result[good].mean() == pytest.approx(1, rel=1e-6)


def test_the_gain_of_an_eer_follows_the_sampling(tmp_path, gain):
    path = write(tmp_path / "x.gain", gain)
    for factor in (2, 4):
        expected = gain.repeat(factor, 0).repeat(factor, 1)
        np.testing.assert_array_equal(load_gain(path, (6 * factor, 10 * factor), eer=True), expected)
    expected = gain.reshape(3, 2, 5, 2).mean((1, 3))
    np.testing.assert_allclose(load_gain(path, (3, 5), eer=True), expected, rtol=1e-6)


def test_a_list_of_defects(tmp_path):
    (tmp_path / "d.txt").write_text("# x y w h\n\n2 1 3 2\n0 0 1 6  # a column\n")
    expected = np.zeros((6, 10), bool)
    expected[1:3, 2:5] = True
    expected[:, 0] = True
    np.testing.assert_array_equal(load_defects(tmp_path / "d.txt", (6, 10)), expected)


@pytest.mark.parametrize("suffix", [".mrc", ".tif"])
def test_a_map_of_defects(tmp_path, suffix):
    image = (np.arange(60).reshape(6, 10) % 7 == 0).astype(np.uint16)
    mask = load_defects(write(tmp_path / f"d{suffix}", image), (6, 10))
    np.testing.assert_array_equal(mask, (image if suffix == ".mrc" else image[::-1]) > 0)
    with pytest.raises(InputError, match="they must agree"):
        load_defects(tmp_path / f"d{suffix}", (10, 6))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("8 0 3 1", "reach out"),
        ("-1 0 1 1", "reach out"),
        ("0 0 0 1", "reach out"),
        ("1 2 3", "line 2"),
        ("a b c d", "line 2"),
    ],
)
def test_a_wrong_line_in_a_list_of_defects(tmp_path, line, words):
    (tmp_path / "d.txt").write_text(f"0 0 1 1\n{line}\n")
    with pytest.raises(InputError, match=words):
        load_defects(tmp_path / "d.txt", (6, 10))


def test_serialems_own_list_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "d.txt").write_text("K2Type 1\nCameraSizeX 3838\nBadColumns 12 13\n")
    with pytest.raises(InputError, match="clip defect"):
        load_defects(tmp_path / "d.txt", (6, 10))


def test_defects_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_defects(tmp_path / "none.txt", (6, 10))
    (tmp_path / "d.txt").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="neither text nor"):
        load_defects(tmp_path / "d.txt", (6, 10))
