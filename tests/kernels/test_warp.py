import sys

import numpy as np
import pytest

from pypcore import kernels
from pypcore.kernels import fft
from pypcore.kernels.reference.warp import CELL, UNIT
from pypcore.motion.field import MotionField
from pypcore.motion.summing import quintic_response

warp = kernels.get("warp_accumulate", "cython")


def cells(n):
    return -(-n // CELL)


def constant_warp(image, d):
    """Warp an image by one displacement."""
    shifts = np.empty((1, 2, cells(image.shape[0]), cells(image.shape[1])), np.int32)
    shifts[0] = np.rint(np.array(d) * UNIT)[:, None, None]
    out = np.zeros((1, *image.shape), np.float32)
    warp([image], None, shifts, np.rint(d[1:]).astype(np.int32), np.ones((1, 1), np.float32), 0, out)
    return out[0]


@pytest.mark.parametrize("d", [(0.0, 0.0), (1.0, -3.0), (0.5, 0.25), (-2.3, 4.77)])
def test_after_the_filter_a_warp_is_a_fourier_shift(d):
    rng = np.random.default_rng(0)
    ky, kx = fft.frequencies((90, 96))
    spectrum = np.fft.rfft2(rng.normal(size=(90, 96))) * np.exp(-((np.hypot(ky, kx) / 0.15) ** 2))
    image = np.fft.irfft2(spectrum, s=(90, 96)).astype(np.float32)
    wrapped = np.pad(image, 16, mode="wrap")
    found = np.fft.rfft2(constant_warp(wrapped, d)[16:-16, 16:-16]) / (quintic_response(ky) * quintic_response(kx))
    exact = np.round(np.array(d) * UNIT) / UNIT
    expected = spectrum * np.exp(2j * np.pi * (ky * exact[0] + kx * exact[1]))
    assert np.abs(found - expected).max() < 5e-4 * np.abs(expected).max()


def test_the_taps_keep_a_constant():
    out = constant_warp(np.full((40, 50), 7.0, np.float32), (0.37, -1.81))
    assert np.allclose(out, 7.0, rtol=1e-6)


def test_bands_and_whole_give_the_same_bits():
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 9, (70, 300)).astype(np.uint8) for _ in range(3)]
    shifts = (rng.normal(size=(3, 2, cells(70), cells(300))) * 2 * UNIT).astype(np.int32)
    offsets = np.array([0, 1, -2], np.int32)
    weights = rng.normal(size=(3, 2)).astype(np.float32)
    whole = np.zeros((2, 70, 300), np.float32)
    warp(frames, None, shifts, offsets, weights, 0, whole)
    for low, high in [(0, 16), (16, 48), (48, 70)]:
        part = np.ascontiguousarray(shifts[:, :, low // CELL : cells(high)])
        band = np.zeros((2, high - low, 300), np.float32)
        warp(frames, None, part, offsets, weights, low, band)
        assert np.array_equal(band, whole[:, low:high])


def test_cells_cost_a_strongly_bent_field_less_than_a_hundredth_of_its_amplitude():
    """A wave at a quarter of a cycle a pixel; a field that changes by 0.002 px a px, the most that movies show."""
    n = 256
    ys, xs = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    grid = np.linspace(0, n - 1, 4)
    local = np.zeros((1, 2, 4, 4))
    local[0, 0], local[0, 1] = 0.002 * grid[None], 0.002 * grid[:, None]
    field = MotionField(np.zeros((1, 2)), local, grid, grid, (n, n))
    centres = np.arange(0, n, CELL) + (CELL - 1) / 2
    shifts = np.rint(field.on_grid(centres, centres) * UNIT).astype(np.int32)
    d = field.at(0, ys, xs)
    wave = 2 * np.pi * np.array([0.15, 0.2])
    # Where the frame shows at x + d(x) what the specimen has at x; to first order in this small field.
    frame = np.cos(wave[0] * (ys - d[0]) + wave[1] * (xs - d[1])).astype(np.float32)
    out = np.zeros((1, n, n), np.float32)
    warp([frame], None, shifts, np.zeros(1, np.int32), np.ones((1, 1), np.float32), 0, out)
    response = quintic_response(np.array([0.15]))[0] * quintic_response(np.array([0.2]))[0]
    still = np.exp(-1j * (wave[0] * ys + wave[1] * xs))[20:-20, 20:-20]
    kept = 2 * (out[0, 20:-20, 20:-20] * still).mean() / response
    assert abs(kept) == pytest.approx(1, abs=0.01)
    assert abs(np.angle(kept)) < 0.01


def test_arrays_that_do_not_fit_are_refused():
    frame, out, ones = np.zeros((32, 40), np.uint8), np.zeros((1, 32, 40), np.float32), np.ones((1, 1), np.float32)
    good = [[frame], None, np.zeros((1, 2, 2, 3), np.int32), np.zeros(1, np.int32), ones, 0, out]
    warp(*good)
    for place, wrong in [
        (0, [np.zeros((32, 39), np.uint8)]),
        (0, [np.zeros((32, 40), np.int64)]),
        (1, np.ones((31, 40), np.float32)),
        (2, np.zeros((1, 2, 2, 2), np.int32)),
        (3, np.zeros(2, np.int32)),
        (4, np.ones((1, 2), np.float32)),
    ]:
        with pytest.raises(ValueError, match=r"wanted|are of|known"):
            warp(*good[:place], wrong, *good[place + 1 :])


def test_a_byte_order_that_is_the_machines_may_be_said():
    image = np.random.default_rng(2).integers(0, 9, (40, 50)).astype(np.uint16)
    said = image.view(image.dtype.newbyteorder("<" if sys.byteorder == "little" else ">"))
    assert memoryview(said).format != "H"
    assert np.array_equal(constant_warp(image, (0.3, 1.2)), constant_warp(said, (0.3, 1.2)))
