"""From raw views to their geometry: against simulated series whose every shift is known."""

from dataclasses import replace

import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.simulate.tilt_score import TiltScore, in_the_true_frame
from pypcore.simulate.tiltseries import TiltPlan, simulate_series
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tilts.settings import AlignSettings

from .conftest import SMALL, aligned


def test_shifts_and_axis_are_found_from_a_guess_two_degrees_off(series, found):
    score = TiltScore.of(found.alignment, series)
    assert score.shift < 0.6  # px of 10 Å; 0.3 to 0.4 as a rule at this small size
    assert abs(score.axis) < 0.6
    assert np.abs(series.shifts).max() > 20


def test_bad_views_are_left_out_and_said_why(series, found):
    reasons = {one.view: one.reason for one in found.bad}
    assert set(reasons) == {2, 14}
    assert reasons[2].startswith("dark")
    assert "something else" in reasons[14] or "no other view" in reasons[14]
    assert not found.alignment.used[[2, 14]].any()
    assert found.alignment.used.sum() == len(series.angles) - 2


def test_expected_errors_are_those_that_are_made(series, found):
    used = found.alignment.used
    expected = np.sqrt(np.nanmean(found.error**2)) / series.plan.pixel_size
    assert 0.4 < TiltScore.of(found.alignment, series).shift / expected < 2.5
    assert np.isfinite(found.error[used]).all()
    assert np.isnan(found.error[~used]).all()


def test_the_order_of_views_does_not_matter(series, found):
    order = np.random.default_rng(5).permutation(len(series.angles))
    other = aligned(series, 83.0, angles=series.angles[order], tilts=series.tilts[order])
    assert np.abs(other.alignment.shifts - found.alignment.shifts[order])[other.alignment.used].max() < 0.2
    assert other.alignment.axes[0] == pytest.approx(found.alignment.axes[0], abs=0.1)


def test_the_axis_is_found_without_a_guess():
    series = simulate_series("cytosol", replace(SMALL, axis=-33.0, lost=(), dark=()), seed=4)
    found = aligned(series, None)
    assert TiltScore.of(found.alignment, series).axis == pytest.approx(0, abs=0.8)
    assert len(found.scanned) > 10


def test_the_tilt_offset_lays_the_slab_flat():
    series = simulate_series("cytosol", replace(SMALL, tilt_offset=6.0, lost=(), dark=()), seed=2)
    found = aligned(series, 85.3)
    assert found.alignment.angle_offset == pytest.approx(6.0, abs=1.5)


def test_a_first_view_of_another_place_does_not_spoil_the_rest():
    series = simulate_series("cytosol", replace(SMALL, lost=(10,), dark=()), seed=6)  # view 10 is the untilted one
    found = aligned(series, 85.3, AlignSettings(offset_search=False))
    assert [one.view for one in found.bad] == [10]
    assert TiltScore.of(found.alignment, series).shift < 0.6


def test_normalised_views_align_like_counts(series, found):
    tilts = series.tilts.copy()
    for t, view in enumerate(tilts):
        if t != 2:
            tilts[t] = (view - view.mean()) / view.std()
    tilts[2] = 0
    other = aligned(series, 83.0, tilts=tilts)
    assert {one.view for one in other.bad} == {2, 14}
    assert TiltScore.of(other.alignment, series).shift < 0.6


def test_the_score_of_the_truth_is_nothing_wherever_the_specimen_is(series):
    plan = series.plan
    t = np.radians(series.angles)
    moved = series.shifts + np.stack([3 * np.cos(t) - 5 * np.sin(t), np.full(len(t), 2.0)], -1)
    true = TiltAlignment.of_axis(series.angles, plan.axis, moved, plan.shape, plan.pixel_size)
    score = TiltScore.of(true, series)
    assert score.shift < 1e-9
    assert score.field < 1e-9
    assert np.abs(in_the_true_frame(true, series).shifts - series.shifts).max() < 1e-9


def test_an_error_of_one_view_is_seen_by_the_score(series):
    plan = series.plan
    wrong = series.shifts.copy()
    wrong[7, 1] += 3.0
    true = TiltAlignment.of_axis(series.angles, plan.axis, wrong, plan.shape, plan.pixel_size)
    assert TiltScore.of(true, series).shift == pytest.approx(3 / np.sqrt(len(wrong)), rel=0.05)


NOISE = np.random.default_rng(0).normal(100, 10, (5, 96, 96)).astype(np.float32)
FEW = np.array([-20.0, -10, 0, 10, 20])


@pytest.mark.parametrize(
    ("tilts", "angles", "says"),
    [
        (NOISE, FEW[:4], "4 tilt angles"),
        (NOISE, np.zeros(5), "all 5 tilt angles are 0"),
        (NOISE, np.array([0, 1, 2, 3, np.nan]), "NaN"),
        (NOISE[:, :32], FEW, "64 or more"),
        (NOISE, FEW, "only"),
        (NOISE * np.float32(np.nan), FEW, "NaN, infinite or empty"),
        (NOISE * 0 + 7, FEW, "all pixels are the same"),
    ],
    ids=["numbers", "zero", "nan angle", "small", "noise", "nan", "flat"],
)
def test_bad_input_is_one_clear_line(series, tilts, angles, says):
    with pytest.raises(InputError, match=says):
        aligned(series, 0.0, angles=angles, tilts=tilts)


def test_simulated_views_are_the_specimen_that_is_said():
    series = simulate_series("gold", TiltPlan(shape=(96, 96), depth=32, angles=(-50, 50, 50), shift=5, dose=0), seed=1)
    untilted = np.log(series.tilts[1])
    truth = series.truth().sum(0)
    # The truth, turned by the axis and moved: compared by its mean, which turning keeps.
    assert series.truth().shape == (32, 96, 96)
    assert np.corrcoef(np.sort(untilted.ravel()), np.sort(-truth.ravel()))[0, 1] > 0.9
