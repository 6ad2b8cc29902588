import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypcore.motion.weights import critical_exposure, damage, dose_weights, low_rank


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
def test_a_few_terms_stand_for_all_weights_within_1e_4_and_noise_stays_white(frames, dose, pre, voltage):
    k = np.linspace(0, 0.8, 400)
    weights = dose_weights(pre + dose * np.arange(1, frames + 1), k, voltage)
    assert np.allclose((weights**2).sum(0), 1)
    a, b = low_rank(weights)
    assert a.shape[1] <= 12
    assert np.abs(a @ b - weights).max() <= 1e-4 * weights.max()
