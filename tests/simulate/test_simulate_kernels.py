"""Kernels of the simulator against their definition in NumPy float64."""

import numpy as np
import pytest

from pypcore.kernels.cpu import simulate as cpu
from pypcore.kernels.reference import simulate as reference


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_deposit(rng):
    ys, xs = rng.uniform(-5, 60, (2, 300)).astype(np.float32)
    expected, found = np.zeros((40, 50)), np.zeros((40, 50), np.float32)
    reference.deposit(expected, ys.astype(float), xs.astype(float))
    cpu.deposit(found, ys, xs)
    assert expected.sum() == pytest.approx(300)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_expose(rng):
    ky, kx = np.fft.fftfreq(24), np.fft.rfftfreq(30)
    spectrum = rng.normal(size=(24, 16)) + 1j * rng.normal(size=(24, 16))
    decay = np.linspace(0, 0.2, 50)
    prefilters = rng.uniform(0.5, 1, 24), rng.uniform(0.5, 1, 16)
    expected, found = np.empty_like(spectrum), np.empty(spectrum.shape, np.complex64)
    reference.expose(spectrum, ky, kx, decay, 7.0, 1.5, -0.7, *prefilters, expected)
    cpu.expose(spectrum.astype(np.complex64), ky, kx, decay, 7.0, 1.5, -0.7, *prefilters, found)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_warp_wraps_around_the_canvas(rng):
    coefficients = rng.standard_normal((60, 70))
    dy, dx = rng.uniform(-4, 4, (2, 6, 6))
    expected, found = np.empty((40, 50)), np.empty((40, 50), np.float32)
    reference.warp(coefficients, dy, dx, 16, 1, 2, expected)
    cpu.warp(coefficients.astype(np.float32), dy, dx, 16, 1, 2, found)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_count_draws_the_same_and_stops_at_255(rng):
    means = rng.uniform(0, 60, (80, 90)).astype(np.float32)
    means[0, :3] = 0.0, 400.0, 255.0
    expected, found = np.empty((2, 80, 90), np.uint8)
    key = np.uint64(2**63 + 12345)
    reference.count(means.astype(float), key, expected)
    cpu.count(means, key, found)
    # The two round exp() differently: a draw that falls on the very edge may differ.
    assert (found != expected).mean() < 1e-3
    assert found[0, 0] == 0
    assert found[0, 1] == 255
    assert ((found - means)[1:] ** 2 / means[1:]).mean() == pytest.approx(1, rel=0.05)
