"""MRC images written: the header that others expect, and no clock."""

import time

import mrcfile
import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.formats.mrc import read_mrc, write_mrc


@pytest.mark.parametrize("float16", [False, True])
def test_an_image_has_its_pixel_size_and_statistics_in_a_valid_header(tmp_path, float16):
    image = np.random.default_rng(0).normal(5, 2, (30, 41)).astype(np.float32)
    write_mrc(tmp_path / "i.mrc", image, 0.83, float16=float16)
    assert mrcfile.validate(tmp_path / "i.mrc")
    with mrcfile.open(tmp_path / "i.mrc") as file:
        assert file.header.mode == (12 if float16 else 2)
        assert file.voxel_size.x == pytest.approx(0.83)
        assert file.header.dmean == pytest.approx(image.mean(), rel=1e-3)
        np.testing.assert_allclose(file.data, image, rtol=1e-3 if float16 else 0)
    data, pixel_size = read_mrc(tmp_path / "i.mrc")
    assert data.shape == image.shape
    assert pixel_size == pytest.approx(0.83)


def test_the_same_image_gives_the_same_bytes_at_another_time(tmp_path, monkeypatch):
    image = np.ones((8, 8), np.float32)
    write_mrc(tmp_path / "a.mrc", image, 2)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    time.sleep(1.1)  # mrcfile writes the time to the second
    write_mrc(tmp_path / "b.mrc", image, 2)
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("volume", [False, True])
def test_stacks_and_volumes_keep_their_type(tmp_path, dtype, volume):
    data = np.arange(60).reshape(3, 4, 5).astype(dtype)
    write_mrc(tmp_path / "s.mrcs", data, 2, volume=volume)
    with mrcfile.open(tmp_path / "s.mrcs") as file:
        assert file.is_volume() == volume
        assert file.data.dtype == dtype
    np.testing.assert_array_equal(read_mrc(tmp_path / "s.mrcs")[0], data)


def test_what_float16_cannot_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match="1e\\+06 don't fit float16"):
        write_mrc(tmp_path / "i.mrc", np.array([[1.0, 1e6]]), 1, float16=True)
