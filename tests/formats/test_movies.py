"""Movies of every format: right pixels in MRC order, from several threads, and one clear line for a bad file."""

import bz2
import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypcore.errors import InputError
from pypcore.formats.movies import open_movie

MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", 101: "u1"}


def pixels(dtype: str, shape=(5, 12, 17), high=15) -> np.ndarray:
    return np.random.default_rng(7).integers(0, high + 1, shape).astype(dtype)


def assert_movie(path: Path, expected: np.ndarray, **options) -> None:
    with open_movie(path, **options) as movie:
        assert movie.shape == expected.shape
        for frame in range(len(expected)):
            np.testing.assert_array_equal(movie.read(frame), expected[frame])
            assert movie.read(frame).dtype == movie.dtype


def read_all(path: Path, **options) -> None:
    with open_movie(path, **options) as movie:
        for frame in range(movie.shape[0]):
            movie.read(frame)


def assert_refused(path: Path, *words: str, **options) -> None:
    with pytest.raises(InputError) as caught:
        read_all(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("mode", MODES)
def test_an_mrc_movie_of_every_mode_and_byte_order(tmp_path, make_mrc, mode, order):
    data = pixels(MODES[mode])
    path = tmp_path / "m.mrcs"
    path.write_bytes(make_mrc(data, mode, order=order, extended=2048))
    assert_movie(path, data)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4", "f2"])
def test_an_mrc_movie_that_mrcfile_wrote(tmp_path, dtype):
    data = pixels(dtype)
    with mrcfile.new(tmp_path / "m.mrc") as file:
        file.set_data(data)
        file.set_image_stack()
        file.voxel_size = 0.83
    assert_movie(tmp_path / "m.mrc", data)
    with open_movie(tmp_path / "m.mrc") as movie:
        assert movie.pixel_size == pytest.approx(0.83)


@pytest.mark.parametrize(("angstrom", "known"), [(0.83, True), (1.0, False), (0.0, False), (1e4, False)])
def test_a_pixel_size_that_means_unknown_is_not_believed(tmp_path, make_mrc, angstrom, known):
    raw = make_mrc(pixels("u2"), 6)
    raw[40:48] = np.array([17 * angstrom, 12 * angstrom], "<f4").tobytes()
    (tmp_path / "m.mrc").write_bytes(raw)
    with open_movie(tmp_path / "m.mrc") as movie:
        assert (movie.pixel_size is not None) == known


def test_bytes_that_imod_marks_as_unsigned(tmp_path, make_mrc):
    data = pixels("u1", high=255)
    raw = make_mrc(data, 0)
    for flags, expected in ((0, data), (1, data.astype("i1"))):
        raw[152:160] = np.array([1146047817, flags], "<i4").tobytes()
        (tmp_path / "m.mrc").write_bytes(raw)
        assert_movie(tmp_path / "m.mrc", expected)


def test_an_old_header_without_the_map_stamp_is_read_with_a_warning(tmp_path, make_mrc, caplog):
    data = pixels("i2")
    (tmp_path / "m.mrc").write_bytes(make_mrc(data, 1, stamp=False))
    assert_movie(tmp_path / "m.mrc", data)
    assert "without the MAP stamp" in caplog.text


def test_a_movie_of_not_a_numbers_is_read_as_it_is(tmp_path, make_mrc):
    data = pixels("f4")
    data[2, 3, 4] = np.nan
    (tmp_path / "m.mrc").write_bytes(make_mrc(data, 2))
    assert_movie(tmp_path / "m.mrc", data)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("mode", [1, 101])
def test_a_compressed_mrc_movie_read_in_any_order(tmp_path, make_mrc, compress, mode):
    data = pixels(MODES[mode], (20, 8, 9))
    path = tmp_path / "m.mrc.gz"
    path.write_bytes(compress(bytes(make_mrc(data, mode, extended=512))))
    with open_movie(path) as movie:
        for frame in (0, 19, 18, 3, 3, 12, 5, 19):
            np.testing.assert_array_equal(movie.read(frame), data[frame])


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_tiff_movie_has_its_rows_turned_into_mrc_order(tmp_path, compression, dtype, bigtiff):
    data = pixels(dtype)
    tifffile.imwrite(
        tmp_path / "m.tif", data, compression=compression, bigtiff=bigtiff, rowsperstrip=5, photometric="minisblack"
    )
    assert_movie(tmp_path / "m.tif", data[:, ::-1])


def test_a_tiff_of_the_other_byte_order_with_tiles_and_predictor(tmp_path):
    data = pixels("u2", (3, 50, 70))
    tifffile.imwrite(
        tmp_path / "m.tif",
        data,
        compression="lzw",
        byteorder=">",
        tile=(16, 32),
        predictor=True,
        photometric="minisblack",
    )
    assert_movie(tmp_path / "m.tif", data[:, ::-1])


@pytest.mark.parametrize(("resolution", "angstrom"), [(1e8 / 0.83, 0.83), (72, None), (1e8, None)])
def test_the_pixel_size_of_a_tiff(tmp_path, resolution, angstrom):
    tifffile.imwrite(
        tmp_path / "m.tif",
        pixels("u1"),
        resolution=(resolution, resolution),
        resolutionunit="CENTIMETER",
        photometric="minisblack",
    )
    with open_movie(tmp_path / "m.tif") as movie:
        assert movie.pixel_size == (pytest.approx(angstrom) if angstrom else None)


@pytest.mark.parametrize("compression", [65000, 65001, 65002])
@pytest.mark.parametrize("sampling", [1, 2, 3])
def test_an_eer_movie_counts_every_event_once(tmp_path, write_eer, make_events, count_events, compression, sampling):
    shape = (40, 300)
    raw = [make_events(shape, 90, seed) for seed in range(11)]
    path = write_eer(tmp_path / "m.eer", raw, shape, compression)
    expected = np.stack([count_events(raw[:5], shape, sampling), count_events(raw[5:10], shape, sampling)])
    assert_movie(path, expected, eer_group=5, eer_sampling=sampling)
    assert_movie(path, expected, eer_fractions=2, eer_sampling=sampling)


@given(counts=st.lists(st.integers(0, 12 * 90), min_size=2, max_size=4), compression=st.sampled_from([65000, 65001]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_eer_frames_from_empty_to_full(tmp_path, write_eer, make_events, count_events, counts, compression):
    shape = (12, 90)
    raw = [make_events(shape, count, seed) for seed, count in enumerate(counts)]
    path = write_eer(tmp_path / "m.eer", raw, shape, compression)
    expected = np.stack([count_events([frame], shape, 2) for frame in raw])
    assert_movie(path, expected, eer_group=1, eer_sampling=2)


def test_the_pixel_size_of_an_eer_is_that_of_the_sampled_pixel(tmp_path, write_eer, make_events):
    metadata = b'<metadata><item name="sensorPixelSize.width" unit="m">7.06e-11</item></metadata>'
    raw = [make_events((20, 20), 9, seed) for seed in range(4)]
    path = write_eer(tmp_path / "m.eer", raw, (20, 20), metadata=metadata)
    for sampling, expected in ((1, 0.706), (2, 0.353)):
        with open_movie(path, eer_group=1, eer_sampling=sampling) as movie:
            assert movie.pixel_size == pytest.approx(expected)


def test_more_than_255_raw_frames_in_one_need_wider_counts(tmp_path, write_eer, make_events, count_events):
    raw = [make_events((4, 4), 16, 0)] * 600
    path = write_eer(tmp_path / "m.eer", raw, (4, 4))
    assert_movie(path, np.stack([count_events(raw[:300], (4, 4), 1)] * 2), eer_fractions=2)


@pytest.mark.parametrize("kind", ["mrc", "packed", "gz", "tif", "eer"])
def test_threads_read_different_frames_at_the_same_time(tmp_path, make_mrc, write_eer, make_events, count_events, kind):
    data = pixels("u1", (24, 64, 65))
    path = tmp_path / "m"
    if kind == "eer":
        raw = [make_events((64, 65), 50, seed) for seed in range(24)]
        write_eer(path, raw, (64, 65))
        data = np.stack([count_events([frame], (64, 65), 1) for frame in raw])
    elif kind == "tif":
        tifffile.imwrite(path, data[:, ::-1], compression="lzw", photometric="minisblack")
    else:
        content = bytes(make_mrc(data, 101) if kind == "packed" else make_mrc(data.astype("u2"), 6))
        path.write_bytes(gzip.compress(content) if kind == "gz" else content)
    with open_movie(path, eer_group=1) as movie, ThreadPoolExecutor(4) as threads:
        for frame, image in zip(range(24), threads.map(movie.read, range(24)), strict=True):
            np.testing.assert_array_equal(image, data[frame])


@pytest.mark.parametrize("kept", [1, 500, 1023, 1024, 1024 + 300, -1])
def test_a_truncated_mrc_is_refused_when_opened(tmp_path, make_mrc, kept):
    path = tmp_path / "m.mrc"
    path.write_bytes(make_mrc(pixels("u2"), 6)[:kept])
    with pytest.raises(InputError, match=r"cut off|not a movie") as caught:
        open_movie(path)
    assert "\n" not in str(caught.value)


def test_the_refusal_of_a_truncated_mrc_says_how_much_is_there(tmp_path, make_mrc):
    path = tmp_path / "m.mrc"
    path.write_bytes(make_mrc(pixels("u2"), 6)[: 1024 + 3 * 12 * 17 * 2 + 10])
    assert_refused(path, "cut off", "3 of 5 frames", "copy it again")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_compressed_movie_is_refused(tmp_path, make_mrc, compress, share):
    content = compress(bytes(make_mrc(pixels("u2", (5, 64, 64), 60000), 6)))
    (tmp_path / "m.mrc.gz").write_bytes(content[: int(len(content) * share)])
    assert_refused(tmp_path / "m.mrc.gz", "stream")


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_a_truncated_tiff_is_refused_when_opened(tmp_path, share, bigtiff, compression):
    path = tmp_path / "m.tif"
    data = pixels("u1", (5, 64, 64), 255)
    tifffile.imwrite(path, data, compression=compression, bigtiff=bigtiff, photometric="minisblack", metadata=None)
    content = path.read_bytes()
    path.write_bytes(content[: max(4, int(len(content) * share))])
    with pytest.raises(InputError) as caught:
        open_movie(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.4, 0.9, 0.999])
def test_a_truncated_eer_is_refused_when_opened(tmp_path, write_eer, make_events, share):
    path = write_eer(tmp_path / "m.eer", [make_events((64, 64), 300, seed) for seed in range(6)], (64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError):
        open_movie(path, eer_group=2)


def test_a_file_that_shrinks_while_it_is_read(tmp_path, make_mrc):
    path = tmp_path / "m.mrc"
    path.write_bytes(make_mrc(pixels("u2"), 6))
    with open_movie(path) as movie:
        os.truncate(path, 1200)
        with pytest.raises(InputError, match="in the middle of its data"):
            movie.read(4)


def test_damaged_data_inside_a_tiff(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, pixels("u1", (3, 64, 64), 255), compression="zlib", photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    assert_refused(path, "damaged data in frame 2")


def test_an_empty_file(tmp_path):
    (tmp_path / "m.mrc").touch()
    assert_refused(tmp_path / "m.mrc", "empty (0 bytes)")


def test_a_file_of_zeros(tmp_path):
    (tmp_path / "m.mrc").write_bytes(bytes(100_000))
    assert_refused(tmp_path / "m.mrc", "not MRC, TIFF or EER")


def test_a_file_that_is_not_there(tmp_path):
    assert_refused(tmp_path / "m.mrc", "No such file")


def test_a_text_file(tmp_path):
    (tmp_path / "m.mrc").write_text("frame dose\n" * 500)
    assert_refused(tmp_path / "m.mrc", "not MRC, TIFF or EER")


@pytest.mark.parametrize("mode", [3, 4, 7, 100])
def test_an_unknown_mode(tmp_path, make_mrc, mode):
    (tmp_path / "m.mrc").write_bytes(make_mrc(pixels("i2"), mode))
    assert_refused(tmp_path / "m.mrc", f"MRC mode {mode}", "0, 1, 2, 6, 12, 101")


def test_an_unknown_tiff_compression(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", pixels("u1"), compression="packbits", photometric="minisblack")
    assert_refused(tmp_path / "m.tif", "compression 32773", "LZW")


def test_frames_of_unequal_size(tmp_path):
    with tifffile.TiffWriter(tmp_path / "m.tif") as file:
        for height in (16, 16, 12):
            file.write(np.zeros((height, 16), "u1"), photometric="minisblack")
    assert_refused(tmp_path / "m.tif", "frame 3 is (12, 16)")


def test_colour_is_no_movie(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((2, 16, 16, 3), "u1"), photometric="rgb")
    assert_refused(tmp_path / "m.tif", "one number a pixel")


@pytest.mark.parametrize("kind", ["mrc", "tif", "eer"])
def test_one_frame_is_no_movie(tmp_path, make_mrc, write_eer, make_events, kind):
    path = tmp_path / "m"
    if kind == "mrc":
        path.write_bytes(make_mrc(pixels("u2", (1, 8, 8)), 6))
    elif kind == "tif":
        tifffile.imwrite(path, pixels("u1", (8, 8)), photometric="minisblack")
    else:
        write_eer(path, [make_events((8, 8), 5, 0)] * 3, (8, 8))
    assert_refused(path, "one frame only", eer_group=3)


@pytest.mark.parametrize("options", [{}, {"eer_fractions": 2, "eer_group": 2}])
def test_an_eer_wants_one_way_to_sum_its_frames(tmp_path, write_eer, make_events, options):
    path = write_eer(tmp_path / "m.eer", [make_events((8, 8), 5, 0)] * 6, (8, 8))
    assert_refused(path, "6 raw frames", "fractions", **options)


def test_more_fractions_than_raw_frames(tmp_path, write_eer, make_events):
    path = write_eer(tmp_path / "m.eer", [make_events((8, 8), 5, 0)] * 6, (8, 8))
    assert_refused(path, "7 fractions", "6 raw frames", eer_fractions=7)


def test_a_frame_that_there_is_not(tmp_path, make_mrc):
    (tmp_path / "m.mrc").write_bytes(make_mrc(pixels("u2"), 6))
    with open_movie(tmp_path / "m.mrc") as movie, pytest.raises(IndexError, match="no frame 6"):
        movie.read(5)


@given(
    start=st.binary(max_size=400),
    length=st.integers(0, 4000),
    magic=st.sampled_from([b"", b"II*\0", b"II+\0", b"MM\0*"]),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_garbage_gets_past_input_error(tmp_path, start, length, magic):
    path = tmp_path / "garbage"
    path.write_bytes((magic + start).ljust(length, b"\1"))
    with pytest.raises(InputError) as caught:
        open_movie(path, eer_group=1)
    assert "\n" not in str(caught.value)
