"""From beads in views to the views' geometry, against series whose every shift is known."""

from dataclasses import replace

import numpy as np
import pytest
from beads_made import LOG, PLAN, gold, settings

from pypcore.beads.align import align_on_beads, find_beads
from pypcore.errors import InputError, UsageError
from pypcore.simulate.tilt_score import TiltScore


def matched(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return which true bead [J] each found one is, by places along x and y alone, apart from a common move."""
    away = found[:, None, :2] - true[None, :, :2]
    return np.linalg.norm(
        away - np.median(away[np.arange(len(found)), np.linalg.norm(away, axis=2).argmin(1)], 0), axis=2
    ).argmin(1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shifts_and_axis_are_found_to_a_tenth_of_a_pixel_from_a_start_two_off(threads, seed):
    made = gold(seed=seed)
    start = made.start(1.5, seed)
    found = align_on_beads(made.series.tilts, start, settings(), threads, LOG)
    score = TiltScore.of(found.alignment, made.series)
    assert TiltScore.of(start, made.series).shift > 1.5
    assert score.shift < 0.15
    assert score.field < 0.15
    assert abs(score.axis) < 0.1
    assert len(found.beads.places) == 12
    assert found.beads.dark
    assert not found.bad
    expected = np.sqrt(np.mean(found.error**2))
    assert 0.5 < score.shift / expected < 2
    assert 0.15 < found.foretold < 0.45  # px: what noise at 3 e-/Å² leaves of a bead of 10 px


def test_depths_are_found(threads, beads_in_ice):
    found = find_beads(beads_in_ice.series.tilts, beads_in_ice.true, settings(), threads, LOG)
    which = matched(found.places, beads_in_ice.places)
    assert sorted(which) == list(range(12))
    assert np.abs(found.places - beads_in_ice.places[which]).max() < 0.5


def test_light_beads_in_normalised_views_are_found_too(threads):
    made = gold(8, light=True)
    tilts = (made.series.tilts - made.series.tilts.mean((1, 2), keepdims=True)) / made.series.tilts.std()
    found = align_on_beads(tilts, made.start(1.0), settings(), threads, LOG)
    assert not found.beads.dark
    assert TiltScore.of(found.alignment, made.series).shift < 0.2


def test_a_bead_that_moves_has_little_say_and_is_marked(threads):
    made = gold(10, moving=1)
    found = align_on_beads(made.series.tilts, made.start(1.0), settings(), threads, LOG)
    assert TiltScore.of(found.alignment, made.series).shift < 0.2
    assert found.beads.steady.sum() >= 8
    still = found.beads.places[found.beads.steady]
    away = np.linalg.norm(still[:, None, :2] - made.moved[0][10, :2], axis=2).min()
    assert away > 5  # what holds still is not it


def test_a_view_whose_beads_are_elsewhere_is_left_out_and_said_why(threads):
    made = gold(10)
    tilts = made.series.tilts.copy()
    tilts[4] = tilts[4][:, ::-1]
    found = align_on_beads(tilts, made.start(1.0), settings(), threads, LOG)
    assert [one.view for one in found.bad] == [4]
    assert "gold bead" in found.bad[0].reason
    assert not found.alignment.used[4]
    assert np.isnan(found.error[4])
    assert TiltScore.of(found.alignment, made.series).shift < 0.2


def test_missing_views_and_beads_that_leave_the_field_are_no_trouble(threads):
    made = gold(14, replace(PLAN, shift=50))
    kept = np.array([t for t in range(len(made.series.angles)) if t not in (5, 6, 15)])
    found = align_on_beads(made.series.tilts[kept], made.start(1.0).select(kept), settings(), threads, LOG)
    seen = np.isfinite(found.beads.points[..., 0])
    assert (seen.sum(0) < len(kept)).any()
    series = replace(
        made.series, tilts=made.series.tilts[kept], angles=made.series.angles[kept], shifts=made.series.shifts[kept]
    )
    assert TiltScore.of(found.alignment, series).shift < 0.2


@pytest.mark.parametrize(("count", "says"), [(0, "gold bead"), (2, "2 gold beads hold still.*3 or more are needed")])
def test_too_few_beads_are_one_clear_line(threads, count, says):
    made = gold(count)
    with pytest.raises(InputError, match=says) as raised:
        align_on_beads(made.series.tilts, made.start(0.5), settings(), threads, LOG)
    assert "\n" not in str(raised.value)


def test_beads_too_small_to_be_told_from_noise_are_refused():
    with pytest.raises(UsageError, match=r"2\.0 px across; 4 or more"):
        settings(diameter=2.0)
