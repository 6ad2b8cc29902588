"""Signs, places and gauges of known motion, checked by hand-made cases."""

import numpy as np
import pytest

from pypcore.simulate.motion import KnownMotion, typical_motion, whole_frame_motion

SHAPE = (96, 160)


def sheared(slope: float) -> KnownMotion:
    """Frame 1 moves down by ``slope`` times the column: easy to check by hand."""
    columns = np.linspace(0, SHAPE[1] - 1, 5)
    local = np.zeros((2, 2, 4, 5))
    local[1, 0] = slope * columns
    return KnownMotion(SHAPE, np.zeros((2, 2)), local)


def test_displacement_is_whole_plus_local_in_the_order_y_x():
    motion = sheared(0.01)
    motion = KnownMotion(SHAPE, np.array([[0.0, 0.0], [2.0, -3.0]]), motion.local)
    assert motion.at(1, 10.0, 100.0) == pytest.approx([2 + 1.0, -3.0])
    field = motion.on_grid([10.0, 20.0], [0.0, 50.0, 100.0])
    assert field.shape == (2, 2, 2, 3)
    assert field[1, 0] == pytest.approx(np.array([[2.0, 2.5, 3.0]] * 2))
    assert field[1, 1] == pytest.approx(np.full((2, 3), -3.0))


def test_origin_plus_its_displacement_is_the_place_seen():
    motion = typical_motion(SHAPE, 8, pixel_size=1.0, dose=2.0, seed=5, local=1.5)
    ys, xs = np.meshgrid(np.linspace(20, 70, 6), np.linspace(20, 130, 6), indexing="ij")
    origins = motion.origins(7, ys, xs)
    assert origins + motion.at(7, *origins) == pytest.approx(np.stack([ys, xs]), abs=1e-4)


def test_typical_motion_starts_at_zero_and_keeps_its_mean_in_the_whole_frame_part():
    motion = typical_motion(SHAPE, 12, pixel_size=1.3, dose=2.0, seed=3)
    ys, xs = ((np.arange(32) + 0.5) * n / 32 - 0.5 for n in SHAPE)
    field = motion.on_grid(ys, xs)
    assert field[0] == pytest.approx(0)
    assert field.mean((2, 3)) == pytest.approx(motion.whole, abs=1e-9)


def test_local_motion_has_the_size_asked_for_in_the_last_frame():
    motion = typical_motion(SHAPE, 12, pixel_size=2.0, dose=2.0, seed=3, local=6.0)
    spread = np.ptp(motion.on_grid(np.arange(SHAPE[0]), np.arange(SHAPE[1]))[-1], axis=(1, 2))
    assert spread.max() == pytest.approx(6.0 / 2.0, rel=0.02)


def test_blur_is_the_way_of_the_whole_frame_during_a_frame():
    motion = whole_frame_motion([[0, 0], [1, -2], [2, -4]], SHAPE)
    assert motion.blur(1) == pytest.approx([1, -2])
    assert whole_frame_motion([[0, 0]], SHAPE).blur(0) == pytest.approx([0, 0])
