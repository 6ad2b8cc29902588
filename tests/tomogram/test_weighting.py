"""Weights along u, against what they stand for."""

from dataclasses import replace

import numpy as np
import pytest

from pypcore.tomogram import weighting
from pypcore.tomogram.settings import TomogramSettings

PLAIN = TomogramSettings((64, 8, 128), cutoff=0.5, falloff=0)
ANGLES = np.arange(-60, 61, 3.0)


def test_steps_are_half_the_way_to_both_neighbours_in_any_order() -> None:
    steps = np.rad2deg(weighting.angular_steps(np.array([10.0, -20, 0, 4, 4])))
    assert np.allclose(steps, [6, 20, 12, 2, 3])
    assert weighting.angular_steps(np.array([7.0])) == np.pi


def test_the_ramp_is_a_ramp_times_the_step() -> None:
    factor = weighting.weights(ANGLES, 128, PLAIN)
    k = np.fft.rfftfreq(weighting.padded_width(128))
    assert factor.shape == (41, k.size)
    assert np.allclose(factor, np.deg2rad(3) * k, atol=2e-4)
    assert 0 < factor[0, 0] < factor[0, 1]  # the mean is not lost


def test_exact_weights_are_the_ramp_where_sections_overlap_and_level_where_they_do_not() -> None:
    factor = weighting.weights(ANGLES, 128, replace(PLAIN, weighting="exact", exact_diameter=64))
    k = np.fft.rfftfreq(weighting.padded_width(128))
    middle = factor[20]
    apart = k > 1 / (64 * np.sin(np.deg2rad(3)))
    assert np.allclose(middle[apart], 1 / 64)
    overlapping = (k > 0.03) & (k < 0.1)  # several sections, of which none is the last
    assert np.allclose(middle[overlapping], np.deg2rad(3) * k[overlapping], rtol=0.05)
    assert factor[0, 5] > middle[5]  # fewer neighbours at the ends


def test_exact_weights_count_views_that_are_there_twice_once() -> None:
    once = np.array([-40.0, 0, 40])
    twice = np.array([-40.0, 0, 0, 40])
    exact = replace(PLAIN, weighting="exact")
    a, b = (weighting.weights(angles, 128, exact)[:, 10:] for angles in (once, twice))  # where 40 degrees are apart
    assert np.allclose(b[1] + b[2], a[1])


@pytest.mark.parametrize("iterations", [1, 5, 30])
def test_the_sirt_like_weight_goes_from_flat_to_ramp(iterations: int) -> None:
    like = replace(PLAIN, weighting="sirt-like", like_iterations=iterations)
    ratio = weighting.weights(ANGLES, 128, like)[0] / weighting.weights(ANGLES, 128, PLAIN)[0]
    assert (np.diff(ratio[2:]) < 1e-6).all()
    assert ratio.max() <= 1 + 1e-6
    covered = np.deg2rad(123)
    assert np.isclose(ratio[-1], 1 - (1 - 1 / (64 * covered * 0.5)) ** iterations, rtol=1e-3)


def test_cutoff_and_falloff() -> None:
    k = np.fft.rfftfreq(weighting.padded_width(128))
    ramp = weighting.weights(ANGLES, 128, PLAIN)[0]
    sharp = weighting.weights(ANGLES, 128, replace(PLAIN, cutoff=0.3))[0] / np.maximum(ramp, 1e-9)
    assert np.allclose(sharp, k <= 0.3)
    soft = weighting.weights(ANGLES, 128, replace(PLAIN, cutoff=0.3, falloff=0.05))[0] / np.maximum(ramp, 1e-9)
    assert np.isclose(np.interp(0.35, k, soft), np.exp(-0.5), rtol=0.01)
    assert np.allclose(soft[k <= 0.3], 1)


def test_rows_end_where_they_began() -> None:
    image = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    wide = weighting.padded(image, 40)
    assert np.array_equal(wide[:, :20], image)
    steps = np.diff(np.concatenate([wide[:, 19:], wide[:, :1]], 1), axis=1)
    assert np.allclose(steps[:, 1:-1], steps[:, 1:2], atol=1e-5)
    assert np.allclose(steps[:, 0], steps[:, 1] / 2, atol=1e-5)
