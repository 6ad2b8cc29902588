"""Simulated movies on disk: row order, packing, headers."""

import mrcfile
import numpy as np
import pytest
import tifffile

from pypcore.simulate.write import write_mrc_movie, write_tiff_movie

FRAMES = np.random.default_rng(1).integers(0, 16, (3, 20, 31)).astype(np.uint8)


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
def test_mrc_frames_come_back_as_they_were(tmp_path, mode):
    path = tmp_path / "movie.mrc"
    write_mrc_movie(path, FRAMES, FRAMES.shape, pixel_size=1.25, mode=mode)
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(file.data, FRAMES)
        assert file.header.mode == mode
        assert file.voxel_size.x == pytest.approx(1.25)
        assert file.is_image_stack()


def test_packed_pixels_have_the_first_one_in_the_low_half_and_rows_of_whole_bytes(tmp_path):
    path = tmp_path / "movie.mrc"
    write_mrc_movie(path, FRAMES, FRAMES.shape, pixel_size=1.0, mode=101)
    packed = np.frombuffer(path.read_bytes()[1024:], np.uint8).reshape(3, 20, 16)
    assert packed[1, 2, 0] == FRAMES[1, 2, 0] + 16 * FRAMES[1, 2, 1]
    assert packed[1, 2, 15] == FRAMES[1, 2, 30]


def test_tiff_rows_run_from_the_top_down(tmp_path):
    path = tmp_path / "movie.tif"
    write_tiff_movie(path, FRAMES, strips=3)
    with tifffile.TiffFile(path) as tiff:
        assert [page.compression.name for page in tiff.pages] == ["LZW"] * 3
        np.testing.assert_array_equal(tiff.asarray()[:, ::-1], FRAMES)


def test_files_are_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        write_tiff_movie(tmp_path / f"{name}.tif", FRAMES)
        write_mrc_movie(tmp_path / f"{name}.mrc", FRAMES, FRAMES.shape, pixel_size=1.0)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()


def test_a_count_too_large_for_the_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mode 101 \(at most 15\)"):
        write_mrc_movie(tmp_path / "movie.mrc", FRAMES + 1, FRAMES.shape, pixel_size=1.0, mode=101)


def test_a_movie_with_frames_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="2 frames came, 3 were announced"):
        write_mrc_movie(tmp_path / "movie.mrc", FRAMES[:2], FRAMES.shape, pixel_size=1.0)
