"""The alignment of a series on a virtual device: correlations and likelihood as threads have them, shifts found."""

import logging
from types import ModuleType

import fake_cupy
import numpy as np
import pytest

from pypcore.kernels.gpu import devices
from pypcore.motion.parallel import Threads
from pypcore.simulate.tilt_score import TiltScore
from pypcore.simulate.tiltseries import TiltPlan, simulate_series
from pypcore.tilts import coarse
from pypcore.tilts.align import align
from pypcore.tilts.likelihood import Joint, first_model, predict
from pypcore.tilts.settings import AlignSettings
from pypcore.tilts.small import SmallSeries, shrink
from pypcore.tilts.stretch import Band, Frame, spectra
from pypcore.tilts.workers import Workers

PLAN = TiltPlan(shape=(192, 192), depth=48, angles=(-45, 45, 9), shift=10)
AXIS = 83.0


@pytest.fixture(scope="module")
def series():
    return simulate()


def simulate():
    return simulate_series("cytosol", PLAN, seed=3)


def on_both(work):
    """Return what ``work(workers)`` gives with threads and on a device."""
    with Threads(1) as threads:
        here = work(Workers(threads))
        with devices.on(1):
            there = work(Workers(threads, on_gpu=True))
    return here, there


def small_of(series) -> SmallSeries:
    with Threads(1) as threads:
        return shrink(series.tilts, 192, threads)


def close(found: np.ndarray, expected: np.ndarray, share: float) -> bool:
    return bool(np.abs(found - expected).max() <= share * np.abs(expected).max())


def test_likelihood_and_predictions_are_those_of_threads(series, cupy: ModuleType) -> None:
    fake_cupy.configure(2)
    small = small_of(series)
    frame = Frame(AXIS, series.angles, np.random.default_rng(1).normal(size=(11, 2)))
    band = Band.up_to((192, 192), 0.12, 0.02)

    def work(workers: Workers) -> list[np.ndarray]:
        grid = spectra(small, frame, band, workers)
        model = first_model(band, frame, small.noise, 20.0, grid)
        joint = Joint(band, frame, model, workers)
        step = joint.step(grid, 4.0)
        return [
            grid, joint.weighed(grid), joint.predicted(grid), joint.evidence(grid), step.shift, step.error,
            np.array([joint.log_likelihood(grid), joint.log_ratio(grid)]),
            predict(band, frame, model, grid[:-1], workers), spectra(small, frame, band, workers, [3, 1]),
        ]  # fmt: skip

    for expected, found in zip(*on_both(work), strict=True):
        assert found.dtype == expected.dtype
        assert close(found, expected, 2e-4)


@pytest.mark.parametrize("limit", [None, 5 << 20])
def test_correlations_find_known_shifts(cupy: ModuleType, limit: int | None) -> None:
    """Of many views at the same time, and of a few where memory allows no more."""
    fake_cupy.configure(2, limit)
    rng, shape = np.random.default_rng(2), (96, 128)
    band = Band.up_to(shape, 0.25, 0.02)
    reference = band.gather(np.fft.rfft2(rng.normal(size=(6, *shape))).astype(np.complex64))
    shifts = rng.uniform(-20, 20, (6, 2))
    shifts[4] = -60, 47  # round the edge
    moved = band.moved(reference, shifts)
    moved[5] = 0
    here, there = on_both(lambda workers: coarse.highest(band, reference, moved, workers))
    for moves, heights in (here, there):
        assert np.abs(moves[:5] - shifts[:5]).max() < 0.15
        assert (heights[:5] > 20).all()
        assert heights[5] == 0
        assert not moves[5].any()
    assert np.allclose(here[0], there[0], atol=1e-3)


def error_on_gpu(series) -> float:
    """Align on the first device; return the error of the shifts, px."""
    asked = AlignSettings(axis_search=False, offset_search=False)
    given = (series.tilts, series.angles, PLAN.pixel_size, AXIS, asked)
    with Threads(1) as threads, devices.on(0):
        found = align(*given, threads, logging.getLogger("test"), on_gpu=True)
    assert found.alignment.used.all()
    return TiltScore.of(found.alignment, series).shift


def test_a_series_is_aligned(series, cupy: ModuleType) -> None:
    assert error_on_gpu(series) < 1.0
