"""Movies that are hard to align: each with its truth, none worse than the uncorrected average, each with its line."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pypcore.simulate.detector import Detector
from pypcore.simulate.motion import KnownMotion
from pypcore.simulate.movie import Exposure, simulate_movie
from pypcore.simulate.specimen import MARGIN

from .simulated import PIXEL, SHAPE, correct, particles, usual

LARGE = (1280, 1344)


@pytest.fixture(autouse=True)
def lines(caplog):
    caplog.set_level("INFO", "pypcore.test")
    return caplog


@pytest.mark.parametrize(("frames", "dose"), [(3, 1.6), (8, 0.6)])
def test_few_frames_as_of_a_tilt_series(frames, dose, lines):
    """4.8 e-/Å² in all, of an area of 1.9 x 2 µm² / 10^2."""
    motion = usual(frames, dose=dose, shape=LARGE, early=5.0, drift=1.0, local=1.0)
    outcome = correct(motion, 2 * particles(LARGE), dose=dose)
    assert outcome.motion.static < 0.6 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert "local motion" in lines.text


def test_too_few_counts_for_anything(lines):
    """3 e-/Å² over 40 frames, a small area: nothing is found, nothing is made up, and it is said."""
    outcome = correct(usual(40, dose=0.07, early=3.0, drift=2.0, local=1.0, walk=0.03), dose=0.07)
    assert outcome.no_worse_than_uncorrected()
    assert outcome.motion.static < 1.2 * outcome.motion.truth
    assert "no frame correlates with the others" in lines.text


def test_low_dose_frames_are_summed_until_they_correlate(lines):
    """Single frames show nothing; sums of several do, and the motion between them is followed."""
    motion = usual(48, dose=0.12, shape=LARGE, early=8.0, drift=12.0, local=0.0, walk=0.05)
    outcome = correct(motion, particles(LARGE), dose=0.12)
    assert outcome.corrected.figures["frames_grouped"] > 1
    assert outcome.motion.static < 0.5 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert "single frames do not correlate: sums of" in lines.text


def test_super_resolution(lines):
    shape = (1024, 1088)
    motion = usual(16, shape=shape, pixel_size=0.75)
    outcome = correct(motion, particles(shape, 0.75), pixel_size=0.75)
    assert outcome.motion.static < 0.4 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert "local motion" in lines.text


@pytest.mark.parametrize("seed", [1, 2])
def test_thick_ice_without_features(seed, lines):
    noise = np.random.default_rng(seed).standard_normal(particles().shape)
    ice = gaussian_filter(noise, 120 / PIXEL, mode="wrap").astype(np.float32)
    outcome = correct(usual(16), 0.01 * ice / ice.std())
    assert outcome.motion.static < 1.1 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert "taken as not moving" in lines.text


def test_carbon_edge():
    """Carbon on a third of the frame: darker, and of more contrast than the particles."""
    ice = particles()
    y, x = np.ogrid[: ice.shape[0], : ice.shape[1]]
    on_carbon = x + 0.3 * y > 0.75 * ice.shape[1]
    grain = gaussian_filter(np.random.default_rng(1).standard_normal(ice.shape), 4 / PIXEL, mode="wrap")
    carbon = (ice + on_carbon * (0.12 * grain / grain.std() - 0.25)).astype(np.float32)
    outcome = correct(usual(16), carbon)
    assert outcome.motion.static < 0.25 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert outcome.corrected.figures["fixed_pattern"] < 2, "an edge that moves with the specimen is no pattern"
    levels = np.array(outcome.corrected.figures["patch_table"])[:, 2]
    assert levels.max() > 2 * np.median(levels)


def _taps():
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.where(x // 64 % 2 == 0, 1.03, 0.97) * np.where(y // 80 % 2 == 0, 1.02, 0.98)


def _rows_and_columns():
    rng = np.random.default_rng(3)
    return (1 + 0.05 * rng.standard_normal((SHAPE[0], 1))) * (1 + 0.05 * rng.standard_normal((1, SHAPE[1])))


@pytest.mark.parametrize("pattern", [_taps, _rows_and_columns])
def test_a_structured_gain_error_does_not_hold_the_motion_back(pattern, lines):
    """The camera has the pattern, and no gain is given."""
    detector = Detector(pattern().astype(np.float32), np.zeros(SHAPE, np.float32))
    outcome = correct(usual(16), detector=detector, gain=None)
    assert outcome.motion.static < 0.35 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert "rows or columns stand still on the detector" in lines.text


def test_no_gain_at_all_on_a_camera_of_uneven_pixels():
    rng = np.random.default_rng(4)
    uneven = (1 + 0.04 * rng.standard_normal(SHAPE)).astype(np.float32)
    outcome = correct(usual(16), detector=Detector(uneven, np.zeros(SHAPE, np.float32)), gain=None)
    assert outcome.motion.static < 0.4 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_dose(factor):
    outcome = correct(usual(16), told_dose=1.6 * factor)
    assert outcome.motion.static < 0.35 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()


def test_a_frame_without_the_specimen_is_named_and_counts_for_nothing(lines):
    def shut(data):
        data = data.copy()
        data[6] = np.random.default_rng(9).poisson(data.mean(), data[6].shape)
        return data

    outcome = correct(usual(16), alter=shut)
    assert outcome.corrected.figures["poor_frames"] == [7]
    assert "frame 7 has little signal in common with the others" in lines.text
    assert outcome.motion.static < 0.35 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    steps = np.hypot(*np.diff(outcome.corrected.field.whole, axis=0).T)
    assert steps[5:7].max() < 3, "its place is taken from its neighbours"


def test_a_flake_that_slides_over_the_film_does_not_spoil_the_rest():
    """Rough and dark, 12 Å off at the end, and with most of the signal there is."""
    ice = particles()
    flake = gaussian_filter(np.random.default_rng(2).standard_normal(ice.shape), 5 / PIXEL, mode="wrap")
    y, x = np.ogrid[: ice.shape[0], : ice.shape[1]]
    here = np.exp(-((y - MARGIN - 160) ** 2 + (x - MARGIN - 170) ** 2) / (2 * 45.0**2))
    film = usual(16)
    own = KnownMotion(SHAPE, film.whole + np.linspace(0, 8, 16)[:, None] * [1.0, 0.0], np.zeros((16, 2, 4, 4)))
    sliding = simulate_movie((0.3 * here * flake / flake.std()).astype(np.float32), own, Exposure(PIXEL, 1.6), seed=5)
    rng = np.random.default_rng(5)

    def with_flake(data):
        extra = np.array([sliding.contrast(t) for t in range(16)]) * 1.6 * PIXEL**2
        more, fewer = (rng.poisson(np.maximum(sign * extra, 0)) for sign in (1, -1))
        return np.clip(data + more - fewer, 0, 255).astype(np.uint8)

    outcome = correct(film, ice, alter=with_flake)
    assert outcome.frc[1] > 1.1 * outcome.frc_uncorrected[1]
    assert outcome.frc[2] > 1.1 * outcome.frc_uncorrected[2]
