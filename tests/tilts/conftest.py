"""One small series that most tests look at, and its alignment."""

import logging

import pytest
from threadpoolctl import threadpool_limits

from pypcore.motion.parallel import Threads
from pypcore.simulate.tiltseries import TiltPlan, simulate_series
from pypcore.tilts.align import align
from pypcore.tilts.settings import AlignSettings

SMALL = TiltPlan(shape=(256, 256), depth=64, angles=(-60, 60, 6), shift=25, dark=(2,), lost=(14,))


def aligned(series, axis, settings=None, angles=None, tilts=None):
    with Threads(1) as threads, threadpool_limits(1, user_api="blas"):  # as tasks do
        return align(
            series.tilts if tilts is None else tilts,
            series.angles if angles is None else angles,
            series.plan.pixel_size,
            axis,
            settings or AlignSettings(),
            threads,
            logging.getLogger("test"),
        )


@pytest.fixture(scope="session")
def series():
    return simulate_series("cytosol", SMALL, seed=3)


@pytest.fixture(scope="session")
def found(series):
    return aligned(series, 83.0)
