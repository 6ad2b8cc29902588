"""Scores against the truth: their gauges, and that better corrections score better."""

import numpy as np
import pytest
import scipy.ndimage

from pypcore.formats.relion_motion import MotionStar, write_motion
from pypcore.simulate.found import found_motion
from pypcore.simulate.motion import typical_motion
from pypcore.simulate.movie import Exposure, simulate_movie, typical_movie
from pypcore.simulate.oracle import sum_frames
from pypcore.simulate.score import ImageScore, MotionScore, local_shift, scoring_points, whole_frame_error
from pypcore.simulate.specimen import Optics, particle_contrast

SHAPE = (96, 160)
EXPOSURE = Exposure(pixel_size=2.0, dose=1.0)


@pytest.fixture(scope="module")
def motion():
    return typical_motion(SHAPE, 6, pixel_size=2.0, dose=1.0, seed=7)


def true_field(motion):
    return motion.on_grid(*scoring_points(motion.shape))


def test_the_truth_itself_has_no_error(motion):
    score = MotionScore.of(true_field(motion), motion, EXPOSURE)
    assert (score.static, score.weighted, score.whole) == pytest.approx((0, 0, 0), abs=1e-12)


def test_a_warp_that_is_the_same_in_all_frames_is_no_error(motion):
    warp = np.random.default_rng(0).normal(size=(1, 2, 16, 16)) + 3
    score = MotionScore.of(true_field(motion) + warp, motion, EXPOSURE)
    assert (score.static, score.weighted, score.whole) == pytest.approx((0, 0, 0), abs=1e-12)


def test_one_frame_of_six_off_by_one_pixel_gives_the_rms_computed_by_hand(motion):
    field = true_field(motion)
    field[2, 0] += 1.0
    score = MotionScore.of(field, motion, EXPOSURE)
    by_hand = 2.0 * np.sqrt(1 / 6 * (1 - 1 / 6))  # Å; the time mean takes up a sixth
    assert score.static == pytest.approx(by_hand)
    assert score.whole == pytest.approx(by_hand)
    assert np.argmax(score.per_frame) == 2


def test_no_correction_scores_the_spread_of_the_truth(motion):
    score = MotionScore.of(np.zeros_like(true_field(motion)), motion, EXPOSURE)
    assert score.static == pytest.approx(score.truth)


def test_an_error_in_the_first_frame_weighs_more_than_in_the_last(motion):
    first, last = true_field(motion), true_field(motion)
    first[0] += 1
    last[-1] += 1
    early, late = (MotionScore.of(field, motion, EXPOSURE).weighted for field in (first, last))
    assert early > late


def test_whole_frame_error_ignores_a_constant():
    true = np.random.default_rng(1).normal(size=(9, 2))
    assert whole_frame_error(true + np.array([3, -4]), true) == pytest.approx(0, abs=1e-12)


def test_local_shift_has_the_sign_of_displacement():
    rng = np.random.default_rng(2)
    ideal = scipy.ndimage.gaussian_filter(rng.standard_normal((128, 128)), 2, mode="wrap").astype(np.float32)
    assert local_shift(np.roll(ideal, (5, 7), (0, 1)), ideal) == pytest.approx((5, 7), abs=1e-3)


def test_the_oracle_beats_the_whole_frame_alone_which_beats_no_correction_and_the_wrong_sign():
    shape = (384, 384)
    true = typical_motion(shape, 8, pixel_size=1.0, dose=2.0, seed=3, local=8.0)
    contrast = particle_contrast(shape, Optics(1.0), seed=3)
    movie = simulate_movie(contrast, true, Exposure(1.0, 20.0, fading=False), seed=3)

    def score(displacement):
        picture = sum_frames(movie, movie.gain, movie.truth, displacement, threads=2)
        return [band.frc for band in ImageScore.of(picture, movie.truth.ideal, 1.0).bands]

    oracle = score(true.at)
    whole = score(lambda t, ys, xs: true.whole[t][:, None, None] + 0 * ys)
    none = score(None)
    wrong = score(lambda t, ys, xs: -true.at(t, ys, xs))
    for band in (1, 2):  # 12 to 5 Å
        assert oracle[band] > none[band] > wrong[band]
        assert whole[band] > none[band]
    assert oracle[2] > whole[2]


def test_the_oracle_relative_to_itself_keeps_all_of_the_signal():
    movie = typical_movie((256, 256), 4, seed=3)
    picture = sum_frames(movie, movie.gain, movie.truth, movie.truth.motion.at)
    score = ImageScore.of(picture, movie.truth.ideal, 1.0, oracle=picture)
    assert score.bands[0].snr_rel == pytest.approx(1)
    assert {band.snr_rel for band in score.bands} == {1.0, None}
    assert score.bands[-1].snr_rel is None  # 3 to 2.1 Å in a small movie: nothing there to divide by


def star(tmp_path, **fields):
    """A motion STAR of two frames of 200 x 100 px, given as RELION's reader of ours has it: displacements."""
    path = tmp_path / "motion.star"
    shifts = np.array([[0.0, 0.0], [2.0, -3.0]])
    write_motion(
        path,
        MotionStar(width=200, height=100, frames=2, movie="m.tif", pixel_size=1.0, shifts=shifts, **fields),
    )
    return path


def test_relions_polynomial_is_read_as_displacement(tmp_path):
    coefficients = np.zeros(36)
    coefficients[3] = 4.0  # x z in the shift along X
    coefficients[18 + 9] = -6.0  # y z in the shift along Y
    path = tmp_path / "relion.star"
    path.write_text(
        "data_general\n\n_rlnImageSizeX 200\n_rlnImageSizeY 100\n_rlnImageSizeZ 2\n_rlnMicrographMovieName m.tif\n"
        "_rlnMicrographOriginalPixelSize 1.0\n_rlnMicrographStartFrame 1\n_rlnMotionModelVersion 1\n\n"
        "data_global_shift\n\nloop_\n_rlnMicrographFrameNumber #1\n_rlnMicrographShiftX #2\n"
        "_rlnMicrographShiftY #3\n1 0 0\n2 3 -2\n\n"
        "data_local_motion_model\n\nloop_\n_rlnMotionModelCoeffsIdx #1\n_rlnMotionModelCoeff #2\n"
        + "".join(f"{n} {value}\n" for n, value in enumerate(coefficients))
    )
    found = found_motion(path, np.array([50.0, 75.0]), np.array([100.0, 150.0]), local="model")
    assert found[0] == pytest.approx(np.zeros((2, 2, 2)))
    assert found[1, :, 0, 0] == pytest.approx([2, -3])  # (y, x) = minus the shift, in the middle of the frame
    assert found[1, :, 1, 1] == pytest.approx([2 + 6 * 0.25, -3 - 4 * 0.25])


def test_a_grid_of_patches_is_read_at_its_points(tmp_path):
    rows, columns = [0.0, 33.0, 66.0, 99.0], [0.0, 66.0, 132.0, 199.0]
    patches = np.array([(t, y, x, t * y / 100, -t * x / 100) for t in (0, 1) for y in rows for x in columns])
    path = star(tmp_path, patches=patches[::-1])
    found = found_motion(path, np.array([20.0, 66.0]), np.array([10.0, 132.0, 150.0]), local="patches")
    assert found[1, 0] == pytest.approx(2 + np.array([[0.2] * 3, [0.66] * 3]), abs=1e-6)
    assert found[1, 1] == pytest.approx(-3 - np.array([[0.1, 1.32, 1.5]] * 2), abs=1e-6)


def test_patches_with_gaps_are_refused(tmp_path):
    patches = np.array([(t, y, x, 0.0, 0.0) for t in (0, 1) for y in (10.0, 50.0) for x in (10.0, 90.0)])
    path = star(tmp_path, patches=patches[:-1])
    with pytest.raises(ValueError, match="no full grid"):
        found_motion(path, np.array([20.0]), np.array([10.0]), local="patches")


def test_a_motion_of_another_size_is_refused(motion):
    with pytest.raises(ValueError, match="the truth has"):
        MotionScore.of(true_field(motion)[:-1], motion, EXPOSURE)
