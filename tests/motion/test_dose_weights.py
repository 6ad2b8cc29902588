import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypcore.motion.weights import blur_aware_weights, critical_exposure, damage, dose_weights, low_rank


def test_the_critical_exposure_is_grant_and_grigorieffs():
    assert critical_exposure(np.array([0.25])) == pytest.approx(0.24499 * 0.25**-1.6649 + 2.8141)
    at_300 = critical_exposure(np.array([0.1, 0.3]))
    assert np.allclose(critical_exposure(np.array([0.1, 0.3]), 200.0), 0.8 * at_300)
    assert np.allclose(critical_exposure(np.array([0.1, 0.3]), 100.0), 0.64 * at_300)
    assert np.allclose(critical_exposure(np.array([0.1, 0.3]), 250.0), 0.9 * at_300)


def test_at_the_critical_exposure_the_power_has_fallen_to_1_over_e():
    k = np.array([0.2])
    assert damage(critical_exposure(k), k, 300.0)[0, 0] ** 2 == pytest.approx(np.exp(-1))


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(2, 120),
    dose=st.floats(0.05, 6.0),
    pre=st.floats(0, 120),
    voltage=st.sampled_from([100.0, 200.0, 300.0]),
)
def test_a_few_terms_stand_for_all_weights_and_noise_stays_white(frames, dose, pre, voltage):
    k = np.linspace(0, 0.8, 400)
    weights = dose_weights(pre + dose * np.arange(1, frames + 1), k, voltage)
    assert np.allclose((weights**2).sum(0), 1)
    a, b = low_rank(weights)
    assert a.shape[1] <= 8
    made = a @ b
    snr = (made * weights).sum(0) ** 2 / (made**2).sum(0)
    assert snr.min() > 1 - 1e-4, "share of the SNR that is left, weights being in proportion to the signal"
    assert np.allclose((made**2).sum(0), 1, atol=1e-4)


def test_weights_that_know_the_blur_are_the_plain_ones_where_there_is_none():
    exposures, k = (np.arange(20) + 0.5) * 1.5, np.linspace(0.01, 0.5, 200)
    nothing, all_there = np.zeros(20), np.ones(20)
    aware = blur_aware_weights(exposures, k, 300.0, nothing, nothing, all_there)
    assert np.allclose(aware, dose_weights(exposures, k, 300.0))
    assert np.allclose((aware**2).sum(0), 1), "white noise stays white"


def test_a_frame_that_is_blurred_unsure_or_poor_counts_less_at_high_frequency():
    exposures, k = (np.arange(20) + 0.5) * 1.5, np.linspace(0.0, 0.5, 200)
    plain = dose_weights(exposures, k, 300.0)
    nothing, all_there, one = np.zeros(20), np.ones(20), np.eye(20)[0]
    for travel, spread, quality in ((2.0 * one, nothing, all_there), (nothing, 0.5 * one, all_there)):
        aware = blur_aware_weights(exposures, k, 300.0, travel, spread, quality)
        assert aware[0, 0] == pytest.approx(plain[0, 0]), "no blur at low frequency"
        assert aware[0, -1] < 0.7 * plain[0, -1]
        assert (aware[1:, -1] > plain[1:, -1]).all()
        assert np.allclose((aware**2).sum(0), 1)
    poor = blur_aware_weights(exposures, k, 300.0, nothing, nothing, 1 - 0.9 * one)
    assert poor[0, 100] < 0.15 * plain[0, 100]
    assert len(low_rank(blur_aware_weights(exposures, k, 300.0, 2.0 * one, 0.2 * all_there, all_there))[1]) <= 7


def test_blur_aware_weights_give_the_better_signal_to_noise():
    exposures, k = (np.arange(20) + 0.5) * 1.5, np.array([0.3])
    travel = 3 * np.exp(-np.arange(20) / 2.0)
    signal = damage(exposures, k, 300.0) * np.sinc(k * travel[:, None])
    aware = blur_aware_weights(exposures, k, 300.0, travel, np.zeros(20), np.ones(20))
    assert (aware * signal).sum() > (dose_weights(exposures, k, 300.0) * signal).sum()
