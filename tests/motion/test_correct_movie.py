import dataclasses
import logging

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from pypcore.errors import InputError, UsageError
from pypcore.motion import MotionSettings, correct_movie


def rms(found, true):
    error = (found - found.mean(0)) - (true - true.mean(0))
    return float(np.sqrt((error**2).sum(1).mean()))


def images_of(result):
    return [result.micrograph, result.unweighted, result.even, result.odd]


@pytest.mark.parametrize("patches", [None, (0, 0), (3, 4)])
def test_known_shifts_come_back_within_a_tenth_of_a_pixel_and_with_the_right_sign(make_movie, drift, settings, patches):
    found = correct_movie(make_movie(drift), settings(patches=patches)).field
    assert np.array_equal(found.whole[0], [0, 0])
    assert rms(found.whole, drift) < 0.1
    assert np.abs(found.local).max() < 0.3


def test_a_feature_at_x_stays_at_x_in_the_micrograph(make_movie, drift, settings):
    still = make_movie(np.zeros_like(drift), rate=30.0)
    moving = make_movie(drift, rate=30.0)
    one = correct_movie(still, settings(patches=(0, 0)))
    two = correct_movie(moving, settings(patches=(0, 0)))
    inner = np.s_[20:-20, 20:-20]
    aligned = np.corrcoef(one.micrograph[inner].ravel(), two.micrograph[inner].ravel())[0, 1]
    assert aligned > 0.9
    blurred = np.corrcoef(one.micrograph[inner].ravel(), moving.data.sum(0)[inner].ravel())[0, 1]
    assert aligned > blurred + 0.05


def test_a_long_drift_and_a_sudden_step_are_followed(make_movie, settings):
    t = np.arange(16.0)
    d = np.stack([6.5 * t, np.where(t > 7, 30.0, 0.0)], 1)
    found = correct_movie(make_movie(d, (384, 384)), settings(patches=(0, 0))).field
    assert rms(found.whole, d) < 0.3


def test_a_blank_movie_does_not_move(make_movie, settings, caplog):
    movie = make_movie(np.zeros((10, 2)), contrast=0.0)
    with caplog.at_level(logging.WARNING):
        result = correct_movie(movie, settings())
    assert np.abs(result.field.whole).max() < 1.0
    assert np.isfinite(result.micrograph).all()


def test_a_movie_of_nothing_but_zeros_gives_zeros(make_movie, settings):
    movie = make_movie(np.zeros((4, 2)), (64, 80), contrast=0.0)
    movie.data[:] = 0
    result = correct_movie(movie, settings())
    assert not result.micrograph.any()


@pytest.mark.parametrize("count", [2, 3])
def test_few_frames_are_enough(make_movie, settings, count):
    d = np.stack([np.linspace(0, 3, count), np.linspace(0, -2, count)], 1)
    found = correct_movie(make_movie(d, rate=20.0), settings()).field
    assert rms(found.whole, d) < 0.2


@pytest.mark.parametrize("shape", [(251, 303), (300, 257)])
def test_odd_sizes_keep_their_size(make_movie, drift, settings, shape):
    result = correct_movie(make_movie(drift[:4], shape), settings())
    assert result.micrograph.shape == shape
    assert result.pixel_size == 1.5


@pytest.mark.parametrize(
    ("binning", "shape", "pixel_size"),
    [(2.0, (124, 150), 3.0), (1.5, (166, 202), 2.25), (1.3333, (186, 226), 2.0), (2.5, (100, 120), 3.75)],
)
def test_binning_crops_to_an_even_size_and_keeps_counts_and_place(
    make_movie, drift, settings, binning, shape, pixel_size
):
    movie = make_movie(drift[:3] * 0, (250, 303), rate=50.0)
    result = correct_movie(movie, settings(binning=binning, dose_weighting=False, patches=(0, 0)))
    assert result.micrograph.shape == shape
    assert result.pixel_size == pytest.approx(pixel_size, rel=1e-12)
    total = movie.data.sum(0, dtype=float)
    assert result.micrograph.mean() == pytest.approx(total.mean(), rel=0.01)
    ratio = pixel_size / 1.5
    ys, xs = np.meshgrid(np.arange(shape[0]) * ratio, np.arange(shape[1]) * ratio, indexing="ij")
    expected = map_coordinates(gaussian_filter(total, 2.0), [ys, xs], order=1)
    found = gaussian_filter(result.micrograph, 2.0 / ratio)
    inner = np.s_[10:-10, 10:-10]
    assert np.corrcoef(expected[inner].ravel(), found[inner].ravel())[0, 1] > 0.99


def test_without_motion_the_plain_sum_comes_out(make_movie, settings):
    movie = make_movie(np.zeros((5, 2)), contrast=0.0, rate=20.0)
    result = correct_movie(movie, settings(dose_weighting=False))
    assert not result.field.whole.any(), "the test needs a movie that is taken as not moving"
    inner = np.s_[8:-8, 8:-8]
    assert np.allclose(result.micrograph[inner], movie.data.sum(0)[inner], atol=0.05)


def test_nothing_depends_on_threads_memory_or_the_run(make_movie, drift, settings):
    movie = make_movie(drift, (200, 230))
    every = settings(save_unweighted=True, even_odd=True, power_spectrum=True)
    gain = np.random.default_rng(5).uniform(0.9, 1.1, movie.shape[1:]).astype(np.float32)
    gain[50, 60:70] = 0
    first = correct_movie(movie, every, gain=gain, threads=1, memory=2**40)
    read_once = len(movie.reads)
    again = [
        correct_movie(movie, every, gain=gain, threads=2, memory=2**40),
        correct_movie(movie, every, gain=gain, threads=3, memory=2**20),
    ]
    assert read_once == len(drift)
    assert len(movie.reads) > 4 * read_once, "with little memory frames are read again"
    for other in again:
        for a, b in zip(images_of(first), images_of(other), strict=True):
            assert np.array_equal(a, b)
        assert np.array_equal(first.power_spectrum, other.power_spectrum)
        assert np.array_equal(first.field.local, other.field.local)
        assert first.figures == other.figures


def test_even_and_odd_frames_add_up_to_the_micrograph(make_movie, drift, settings):
    result = correct_movie(make_movie(drift), settings(even_odd=True))
    assert np.allclose(result.even + result.odd, result.micrograph, atol=1e-3 * result.micrograph.std())
    assert not np.allclose(result.even, result.odd)


def test_the_unweighted_sum_is_the_one_without_dose_weighting(make_movie, drift, settings):
    movie = make_movie(drift)
    both = correct_movie(movie, settings(save_unweighted=True))
    plain = correct_movie(movie, settings(dose_weighting=False))
    assert np.allclose(both.unweighted, plain.micrograph, atol=2e-3 * plain.micrograph.std())
    assert both.micrograph.std() != pytest.approx(plain.micrograph.std(), rel=0.05)


def test_bad_pixels_leave_no_trace(make_movie, drift, settings):
    movie = make_movie(drift)
    movie.data[:, 100, 120] = 250  # hot
    movie.data[:, 40, :] = 0  # a dead row, named in the gain
    movie.data[:, 200, 30:34] = 99  # named in the defect map
    gain = np.ones(movie.shape[1:], np.float32)
    gain[40] = 0
    defects = np.zeros(movie.shape[1:], bool)
    defects[200, 30:34] = True
    result = correct_movie(movie, settings(dose_weighting=False), gain=gain, defects=defects)
    assert [100, 120] in result.hot_pixels.tolist()
    assert result.figures["bad_pixels"] == len(result.hot_pixels) + 288 + 4
    assert rms(result.field.whole, drift) < 0.1
    spread = result.micrograph.std()
    assert np.abs(result.micrograph[30:50] - result.micrograph.mean()).max() < 6 * spread
    row = result.micrograph[40, 20:-20]
    assert row.mean() == pytest.approx(result.micrograph.mean(), rel=0.05)
    assert row.std() == pytest.approx(result.micrograph[60, 20:-20].std(), rel=0.4)


def test_frames_used_are_counted_from_one_and_both_ends_included(make_movie, drift, settings):
    movie = make_movie(drift)
    result = correct_movie(movie, settings(first=3, last=8))
    assert set(movie.reads) == {2, 3, 4, 5, 6, 7}
    assert rms(result.field.whole, drift[2:8]) < 0.15


def test_frames_may_be_grouped_for_the_estimation_only(make_movie, drift, settings):
    result = correct_movie(make_movie(drift), settings(group=3))
    assert result.field.whole.shape == (12, 2)
    assert rms(result.field.whole, drift) < 0.3


def test_an_unknown_dose_is_allowed_without_dose_weighting(make_movie, drift, settings):
    found = correct_movie(make_movie(drift), settings(dose=0.0, dose_weighting=False)).field
    assert rms(found.whole, drift) < 0.1
    with pytest.raises(UsageError, match="give the dose per frame"):
        settings(dose=0.0)


def test_a_frame_with_nan_is_named(make_movie, drift, settings):
    movie = make_movie(drift, dtype=np.float32)
    movie.data[6, 3, 4] = np.nan
    movie.data[6, 5, 5] = np.inf
    with pytest.raises(InputError, match=r"made\.mrc: frame 7 has 2 values that are NaN") as error:
        correct_movie(movie, settings())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["gain", "defects"])
def test_a_gain_or_defect_map_of_another_size_is_refused(make_movie, drift, settings, what):
    with pytest.raises(InputError, match=r"frames of 288 x 256 pixels, but a .* of 256 x 288"):
        correct_movie(make_movie(drift[:3]), settings(), **{what: np.ones((288, 256), np.float32)})


def test_frames_too_small_to_align_and_a_broken_gain_are_refused(make_movie, drift, settings):
    with pytest.raises(InputError, match="frames of 80 x 60 pixels; 64 x 64 are the least"):
        correct_movie(make_movie(drift[:3], (60, 80)), settings())
    gain = np.ones((256, 288), np.float32)
    gain[3, 4] = np.inf
    with pytest.raises(InputError, match="gain reference has values that are NaN"):
        correct_movie(make_movie(drift[:3]), settings(), gain=gain)


@pytest.mark.parametrize("pixel_size", [0.3, 12.0])
def test_any_pixel_size_works_on_the_smallest_frames(make_movie, drift, settings, pixel_size):
    result = correct_movie(make_movie(drift[:3], (64, 70)), settings(pixel_size=pixel_size))
    assert np.isfinite(result.micrograph).all()


def test_local_motion_is_found(settings, make_movie):
    shape, frames = (520, 560), 12
    canvas = make_movie(np.zeros((1, 2)), shape, rate=1.0)
    ys, xs = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    growth = (1 - np.exp(-np.arange(frames) / 4.0))[:, None, None]
    pattern = np.stack([3 * (xs / shape[1] - 0.5), -2 * (ys / shape[0] - 0.5) * (xs / shape[1])])
    d = growth[:, None] * pattern + growth[:, None] * 2.0
    contrast = gaussian_filter(np.random.default_rng(2).normal(size=shape), 2.0)
    contrast *= 0.25 / contrast.std()
    rng = np.random.default_rng(3)
    for t in range(frames):
        # The feature at x is at x + d(x): to first order the frame at y shows the specimen at y - d(y).
        moved = map_coordinates(contrast, [ys - d[t, 0], xs - d[t, 1]], order=3, mode="mirror")
        frame = rng.poisson(np.clip(20 * (1 + moved), 0, None)).astype(np.uint8)
        canvas.data = frame[None] if t == 0 else np.concatenate([canvas.data, frame[None]])
    found = correct_movie(canvas, settings()).field.on_grid(np.arange(0, 520, 40), np.arange(0, 560, 40))
    error = found - (d - d[0])[:, :, ::40, ::40]
    error -= error.mean(0)
    assert np.sqrt((error**2).sum(1).mean()) < 0.15


def test_frames_that_the_movie_does_not_have_are_refused(make_movie, drift, settings):
    with pytest.raises(InputError, match="frames 1-20 of 12"):
        correct_movie(make_movie(drift), settings(last=20))


@pytest.mark.parametrize(
    "wrong", [{"binning": 0.5}, {"patches": (1, 5)}, {"first": 0}, {"group": 0}, {"pixel_size": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    good = MotionSettings(pixel_size=1.0, dose=1.0)
    with pytest.raises(UsageError):
        dataclasses.replace(good, **wrong)


def test_the_figures_are_those_of_the_trajectory(make_movie, drift, settings):
    result = correct_movie(make_movie(drift), settings())
    figures = result.figures
    steps = np.hypot(*np.diff(result.field.whole, axis=0).T) * 1.5
    assert figures["motion_total"] == pytest.approx(steps.sum())
    assert figures["motion_total"] == pytest.approx(figures["motion_early"] + figures["motion_late"])
    assert figures["motion_early"] == pytest.approx(steps[:1].sum()), "2 of 4 e-/Å² are over when frame 2 begins"
    assert figures["mean_counts"] == pytest.approx(8.0, rel=0.05)
    assert 0 < figures["motion_error"] < 1
    assert figures["patch_trace_frames"][-1] == 12
    traces = np.array(figures["patch_traces"]).reshape(len(figures["patch_table"]), -1, 2)  # [patch, frame, (x, y)]
    last = [result.field.at(11, y, x) * 1.5 for x, y, *_ in figures["patch_table"]]
    assert np.allclose(traces[:, -1, ::-1], last, atol=0.02)


def test_the_power_spectrum_is_centred_and_positive(make_movie, drift, settings):
    result = correct_movie(make_movie(drift, (600, 640)), settings(power_spectrum=True))
    spectrum = result.power_spectrum
    assert spectrum.shape == (512, 512)
    assert spectrum.dtype == np.float32
    assert (spectrum >= 0).all()
    assert result.figures["power_spectrum_pixel_size"] == 1.5
    i = np.arange(512) - 256
    k = np.hypot(i[:, None], i) / (512 * 1.5)
    assert spectrum[(k > 1 / 60) & (k < 1 / 30)].mean() > 2 * spectrum[k > 1 / 4].mean()
    assert np.allclose(spectrum[1:, 1:], spectrum[:0:-1, :0:-1])
