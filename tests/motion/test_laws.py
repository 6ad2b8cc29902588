"""Laws of motion that the prior was not made for, each with its truth."""

import numpy as np
import pytest

from pypcore.simulate.laws import LAWS, lawful_motion

from .simulated import PIXEL, SHAPE, correct, particles, usual

FRAMES = 24


@pytest.mark.parametrize("law", sorted(set(LAWS) - {"still"}))
def test_any_law_of_motion_is_followed_and_the_error_is_the_one_expected(law):
    outcome = correct(lawful_motion(law, SHAPE, FRAMES, pixel_size=PIXEL, seed=5))
    assert outcome.motion.static < 0.5 * outcome.motion.truth
    assert outcome.no_worse_than_uncorrected()
    assert outcome.frc[1] > 1.05 * outcome.frc_uncorrected[1]
    # Two dozen numbers an axis decide here: wider than what holds for whole movies (bench).
    assert 0.6 < outcome.motion.static / outcome.corrected.figures["motion_error"] < 1.6


def test_what_does_not_move_is_left_where_it_is(caplog):
    caplog.set_level("INFO", "pypcore.test")
    outcome = correct(lawful_motion("still", SHAPE, FRAMES, pixel_size=PIXEL, seed=5))
    assert outcome.motion.static < 0.15
    assert outcome.no_worse_than_uncorrected()
    assert "no motion is seen" in caplog.text


def test_a_jump_is_found_where_it_is(caplog):
    caplog.set_level("INFO", "pypcore.test")
    outcome = correct(lawful_motion("jump", SHAPE, FRAMES, pixel_size=PIXEL, seed=5))
    assert len(outcome.corrected.figures["strengths"]["steps"]) == 1
    assert "the specimen jumps between frames 12 and 13" in caplog.text
    # Nothing of the jump is taken for blur inside the two frames beside it.
    assert max(outcome.corrected.figures["motion_in_frame"]) < 2


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_the_expected_error_is_right_on_average(seed):
    """Calibration, and what the correction keeps, over several movies of the usual kind."""
    shape = (1024, 1088)
    motion = usual(24, shape=shape)
    outcome = correct(motion, particles(shape))
    figures = outcome.corrected.figures
    assert 0.7 < outcome.motion.static / figures["motion_error"] < 1.5
    assert figures["signal_kept"] > 3 * figures["signal_kept_uncorrected"]
    assert np.isfinite(figures["motion_error_per_frame"]).all()
