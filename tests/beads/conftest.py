"""What most tests of beads look at."""

from collections.abc import Iterator

import pytest
from beads_made import Gold, gold
from threadpoolctl import threadpool_limits

from pypcore.motion.parallel import Threads


@pytest.fixture(scope="session")
def threads():
    with Threads(1) as workers:
        yield workers


@pytest.fixture(scope="session")
def beads_in_ice() -> Gold:
    return gold()


@pytest.fixture(autouse=True)
def one_thread_of_blas() -> Iterator[None]:
    """Hold BLAS to one thread, as tasks do: on small matrices its threads only wait for each other."""
    with threadpool_limits(1, user_api="blas"):
        yield
