"""Needles and particles in empty space: found to be such, and aligned without an axis."""

import numpy as np
import pytest

from pypcore.motion.parallel import Threads
from pypcore.simulate.tilt_score import TiltScore
from pypcore.simulate.tiltseries import TiltPlan, simulate_needle
from pypcore.tilts.emptiness import emptiness
from pypcore.tilts.settings import AlignSettings
from pypcore.tilts.small import shrink

from .conftest import aligned

NEEDLE = TiltPlan(shape=(160, 192), depth=96, angles=(-76, 76, 4), axis=88.0, shift=8, dose=50)


@pytest.fixture(scope="module")
def needle():
    return simulate_needle(NEEDLE, seed=1)


def test_a_needle_is_aligned_without_help(needle):
    found = aligned(needle, None)
    score = TiltScore.of(found.alignment, needle)
    assert score.axis == pytest.approx(0, abs=0.5)
    assert score.shift < 0.4
    assert not found.bad


def test_views_that_show_nothing_or_something_else_are_left_out(needle):
    tilts = needle.tilts.copy()
    tilts[4] = tilts[4].min()
    tilts[30] = np.roll(tilts[30][::-1, ::-1], 40, 1)
    found = aligned(needle, 88.0, AlignSettings(axis_search=False), tilts=tilts)
    assert [one.view for one in found.bad] == [4, 30]
    assert TiltScore.of(found.alignment, needle).shift < 0.4


def test_empty_space_is_told_from_a_specimen_that_fills_the_field(needle, series):
    assert emptiness(needle.tilts).isolated
    assert not emptiness(series.tilts).isolated
    assert not emptiness(-needle.tilts).isolated  # a dark object, or a hole in a dark film


def test_the_user_has_the_last_word(needle, series):
    with Threads(1) as threads:
        assert not shrink(needle.tilts, 64, threads, isolated=False).isolated
        assert shrink(series.tilts, 64, threads, isolated=True).isolated
