import numpy as np
import pytest

from pypcore import kernels
from pypcore.kernels import fft
from pypcore.motion.summing import quintic_response

warp = kernels.get("warp_accumulate", "numba")
CELL, PAD = 32, 12


def constant_warp(image, d):
    """Warp a whole periodic image by one displacement."""
    height, width = image.shape
    wrapped = np.pad(image, PAD, mode="wrap")
    nodes = np.ones((-(-height // CELL) + 1, -(-width // CELL) + 1), np.float32)
    out = np.zeros((1, height, width), np.float32)
    dy, dx = (nodes * np.float32(c) for c in d)
    warp(np.ascontiguousarray(wrapped), -PAD, PAD, dy, dx, CELL, np.ones(1, np.float32), 0, out)
    return out[0]


@pytest.mark.parametrize("d", [(0.0, 0.0), (1.0, -3.0), (0.5, 0.25), (-2.3, 4.77)])
def test_after_the_filter_a_warp_is_a_fourier_shift(d):
    rng = np.random.default_rng(0)
    ky, kx = fft.frequencies((90, 96))
    spectrum = np.fft.rfft2(rng.normal(size=(90, 96))) * np.exp(-((np.hypot(ky, kx) / 0.15) ** 2))
    image = np.fft.irfft2(spectrum, s=(90, 96)).astype(np.float32)
    found = np.fft.rfft2(constant_warp(image, d)) / (quintic_response(ky) * quintic_response(kx))
    expected = spectrum * np.exp(2j * np.pi * (ky * d[0] + kx * d[1]))
    assert np.abs(found - expected).max() < 5e-4 * np.abs(expected).max()


def test_the_taps_keep_a_constant():
    out = constant_warp(np.full((40, 50), 7.0, np.float32), (0.37, -1.81))
    assert np.allclose(out, 7.0, rtol=1e-6)


def test_bands_and_whole_give_the_same_bits():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(120, 150 + 2 * PAD)).astype(np.float32)
    dy, dx = rng.normal(size=(2, 4, 6)).astype(np.float32)
    weights = np.array([0.3, 1.0], np.float32)
    whole = np.zeros((2, 64, 150), np.float32)
    warp(rows, -PAD, PAD, dy, dx, CELL, weights, 0, whole)
    for low, high in [(0, 7), (7, 40), (40, 64)]:
        band = np.zeros((2, high - low, 150), np.float32)
        warp(rows, -PAD, PAD, dy, dx, CELL, weights, low, band)
        assert np.array_equal(band, whole[:, low:high])
