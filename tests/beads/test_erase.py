"""Views without their beads, and what that leaves of a tomogram's streaks."""

from dataclasses import replace

import numpy as np
from beads_made import LOG, PLAN, gold, settings

from pypcore.beads.align import find_beads
from pypcore.beads.erase import Erased
from pypcore.tomogram.reconstruct import reconstruct
from pypcore.tomogram.settings import TomogramSettings


def test_erasing_takes_the_streaks_and_nothing_else(threads):
    plan = replace(PLAN, shape=(160, 160), depth=48, shift=8)
    noisy = gold(5, plan, seed=4)
    beads = find_beads(noisy.series.tilts, noisy.true, settings(plan), threads, LOG)
    # Erased from views that show nothing but beads: noise and matter would hide how much is left of them.
    made = gold(5, replace(plan, dose=0.0), seed=4, matter=0)
    erased = Erased(made.series.tilts, beads, [1])
    shape = TomogramSettings((48, 160, 160), normalise="mean")
    with_beads, cleaned, without = (
        reconstruct(tilts, made.true, shape).volume for tilts in (made.series.tilts, list(erased), made.without)
    )
    z, y, x = (np.arange(n) - n / 2 + 0.5 for n in with_beads.shape)
    beside = np.ones(with_beads.shape, bool)
    for bx, by, bz in made.places:
        beside &= (x - bx) ** 2 + (y[:, None] - by) ** 2 + (z[:, None, None] - bz) ** 2 > 10**2
    rows = (np.abs(y[:, None] - made.places[:, 1]) < 4).any(1)  # where the streaks are
    streaked = beside & rows[None, :, None]
    streaks, left = (float(((one - without)[streaked] ** 2).mean()) for one in (with_beads, cleaned))
    assert left < 0.1 * streaks
    away = np.abs(y[:, None] - made.places[:, 1]).min(1) > 14
    before, after = (
        reconstruct(tilts, made.true, shape).volume[:, away]
        for tilts in (noisy.series.tilts, list(Erased(noisy.series.tilts, beads, [1])))
    )
    assert ((after - before) ** 2).mean() < 1e-3 * (before**2).mean()


def test_a_view_is_the_same_outside_discs_and_like_its_surroundings_inside(threads, beads_in_ice):
    tilts = beads_in_ice.series.tilts
    beads = find_beads(tilts, beads_in_ice.true, settings(), threads, LOG)
    erased = Erased(tilts, beads, [7, 0])
    changed = erased[10] != tilts[10]
    assert 0 < changed.mean() < 12 * np.pi * (erased.radius + 1) ** 2 / changed.size
    assert abs(erased[10][changed].mean() - beads_in_ice.without[10][changed].mean()) < 4
    assert 0.8 < erased[10][changed].std() / beads_in_ice.without[10][changed].std() < 1.25
    assert np.array_equal(erased[10], Erased(tilts, beads, [7, 0])[10])
    assert not np.array_equal(erased[10], Erased(tilts, beads, [7, 1])[10])
    assert np.array_equal(erased[3:5][1], erased[4])
