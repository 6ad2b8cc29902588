"""What a simulated movie shows, and that it is the same however it is made."""

import numpy as np
import pytest
import scipy.ndimage

from pypcore.simulate.detector import Detector, perfect_detector, typical_detector
from pypcore.simulate.motion import whole_frame_motion
from pypcore.simulate.movie import Exposure, SimulatedMovie, Truth, simulate_movie, typical_movie
from pypcore.simulate.specimen import MARGIN, Optics, micrograph_contrast, particle_contrast

SHAPE = (96, 128)


def still(n_frames=3, **exposure) -> SimulatedMovie:
    contrast = particle_contrast(SHAPE, Optics(1.5), seed=1)
    return simulate_movie(
        contrast,
        whole_frame_motion(np.zeros((n_frames, 2)), SHAPE),
        Exposure(1.5, 1.0, **exposure),
        seed=1,
    )


def test_a_feature_at_x_is_found_at_x_plus_displacement():
    contrast = np.zeros((SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN), np.float32)
    contrast[MARGIN + 40, MARGIN + 60] = 0.5
    contrast = scipy.ndimage.gaussian_filter(contrast, 2)
    motion = whole_frame_motion([[0, 0], [5, -7], [5.25, -7.75]], SHAPE)
    movie = simulate_movie(contrast, motion, Exposure(1.0, 1.0, fading=False), seed=1)
    assert np.unravel_index(movie.truth.ideal.argmax(), SHAPE) == (40, 60)
    for frame in range(3):
        shown = movie.contrast(frame)
        centre = scipy.ndimage.center_of_mass(np.where(shown > 0.1 * shown.max(), shown, 0))
        assert centre == pytest.approx((40 + motion.whole[frame, 0], 60 + motion.whole[frame, 1]), abs=0.02)


def test_without_motion_and_damage_a_frame_shows_the_specimen_itself():
    movie = still(fading=False)
    assert np.abs(movie.contrast(2) - movie.truth.ideal).max() < 1e-5


def test_damage_takes_fine_detail_first_and_grows_with_dose():
    movie = still(pre_dose=20.0)
    power = np.abs(np.fft.rfft2([movie.truth.ideal, movie.contrast(0), movie.contrast(2)])) ** 2
    k = np.hypot(np.fft.fftfreq(SHAPE[0])[:, None], np.fft.rfftfreq(SHAPE[1])[None]) / 1.5
    fine, coarse = power[:, (k > 0.18) & (k < 0.25)].sum(1), power[:, (k > 0.01) & (k < 0.03)].sum(1)
    assert fine[1] < 0.2 * fine[0]
    assert fine[2] < fine[1]
    assert coarse[1] > 0.8 * coarse[0]


def test_counts_have_the_mean_and_variance_of_poisson():
    contrast = np.zeros((256 + 2 * MARGIN,) * 2, np.float32)
    movie = simulate_movie(contrast, whole_frame_motion(np.zeros((2, 2)), (256, 256)), Exposure(1.2, 2.0), seed=3)
    counts = movie.read(1).astype(float)
    assert counts.mean() == pytest.approx(2.0 * 1.2**2, rel=0.01)
    assert counts.var() == pytest.approx(2.0 * 1.2**2, rel=0.03)


def test_gain_multiplies_raw_counts_and_dead_pixels_are_zero():
    contrast = np.zeros((64 + 2 * MARGIN,) * 2, np.float32)
    gain = np.ones((64, 64), np.float32)
    gain[:, 32:] = 2.0
    gain[5, 6] = 0.0
    hot = np.zeros((64, 64), np.float32)
    hot[7, 8] = 50.0
    motion = whole_frame_motion(np.zeros((40, 2)), (64, 64))
    movie = simulate_movie(contrast, motion, Exposure(1.0, 8.0), seed=1, detector=Detector(gain, hot))
    mean = movie.frames().mean(0)
    assert mean[:, 32:].mean() == pytest.approx(4.0, rel=0.02)
    assert (mean * movie.gain)[10:].mean() == pytest.approx(8.0, rel=0.02)
    assert movie.defects.sum() == 1
    assert mean[5, 6] == 0
    assert mean[7, 8] == pytest.approx(58.0, rel=0.1)
    assert movie.truth.hot_pixels.tolist() == [[7, 8]]


def test_a_movie_is_the_same_with_any_number_of_threads_and_in_any_order():
    one, other = (typical_movie(SHAPE, 5, seed=9) for _ in range(2))
    frames = one.frames(threads=1)
    assert frames.dtype == np.uint8
    assert frames.shape == one.shape == (5, *SHAPE)
    np.testing.assert_array_equal(frames, other.frames(threads=3))
    np.testing.assert_array_equal(frames[3], other.read(3))
    assert not np.array_equal(frames, typical_movie(SHAPE, 5, seed=10).frames())
    assert not np.array_equal(frames[0], frames[1])


def test_a_typical_movie_has_realistic_contrast_and_bad_pixels():
    movie = typical_movie((256, 256), 2, seed=2)
    assert 0.01 < movie.truth.ideal.std() < 0.08
    assert movie.defects.sum() > 256
    assert len(movie.truth.hot_pixels) > 10
    assert not movie.defects[tuple(movie.truth.hot_pixels.T)].any()


def test_truth_survives_its_file_and_the_file_carries_no_clock(tmp_path):
    truth = typical_movie(SHAPE, 4, seed=4).truth
    truth.save(tmp_path / "a.npz")
    truth.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = Truth.load(tmp_path / "a.npz")
    assert read.exposure == truth.exposure
    np.testing.assert_array_equal(read.ideal, truth.ideal)
    np.testing.assert_array_equal(read.hot_pixels, truth.hot_pixels)
    np.testing.assert_array_equal(read.motion.at(3, 5.0, 6.0), truth.motion.at(3, 5.0, 6.0))


def test_contrast_of_a_micrograph_is_relative_to_its_mean_and_has_no_hot_pixel():
    counts = np.random.default_rng(0).poisson(30, (64, 64)).astype(np.uint16)
    counts[3, 4] = 5000
    contrast = micrograph_contrast(counts)
    good = counts < 5000
    assert contrast.mean() == pytest.approx(0, abs=1e-6)
    assert np.corrcoef(contrast[good], counts[good])[0, 1] == pytest.approx(1)
    assert contrast[3, 4] < 0.2 * (counts[3, 4] / counts.mean() - 1)


def test_what_does_not_fit_together_is_refused():
    contrast = np.zeros((SHAPE[0] + 20, SHAPE[1] + 20), np.float32)
    motion = whole_frame_motion(np.zeros((2, 2)), SHAPE)
    with pytest.raises(ValueError, match="no margin"):
        simulate_movie(contrast[10:-10], motion, Exposure(1.0, 1.0), seed=1)
    with pytest.raises(ValueError, match="does not fit the frame"):
        simulate_movie(contrast, motion, Exposure(1.0, 1.0), seed=1, detector=perfect_detector((10, 10)))
    with pytest.raises(IndexError):
        simulate_movie(contrast, motion, Exposure(1.0, 1.0), seed=1).read(2)


def test_detectors_of_one_seed_are_one_camera():
    one, other = (typical_detector(SHAPE, seed=6) for _ in range(2))
    np.testing.assert_array_equal(one.gain, other.gain)
    np.testing.assert_array_equal(one.hot, other.hot)
    assert not np.array_equal(one.gain, typical_detector(SHAPE, seed=7).gain)
