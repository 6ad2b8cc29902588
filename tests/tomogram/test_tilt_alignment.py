"""The geometry of a series: signs, origins, and the way there and back."""

import numpy as np
import pytest

from pypcore import geometry
from pypcore.errors import InputError
from pypcore.tilts.alignment import LocalShifts, TiltAlignment
from pypcore.tomogram.resample import Aligner
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.views import Views


def test_the_axis_is_counted_from_y_counter_clockwise() -> None:
    """A raw point on an axis at 30 degrees goes onto +y."""
    on_axis = np.array([-np.sin(np.deg2rad(30)), np.cos(np.deg2rad(30))])
    assert np.allclose(geometry.tilt_rotation(30) @ on_axis, [0, 1])
    assert np.allclose(geometry.tilt_axis_of(geometry.tilt_rotation([30, -85, 179])), [30, -85, 179])
    assert np.isclose(geometry.tilt_axis_of(1.3 * geometry.tilt_rotation(30)), 30)


def test_a_point_towards_positive_z_moves_to_positive_u_at_positive_tilt() -> None:
    assert np.allclose(geometry.tilt_project([0, 5, 10], 30), [5, 5])
    assert np.allclose(geometry.tilt_depth([10, 0, 0], 30), -5)
    u, v = geometry.tilt_project([0, 0, 10], 30, x_tilt=90)
    assert np.allclose([u, v], [0, -10])


def test_transforms_compose_and_invert() -> None:
    rng = np.random.default_rng(0)
    first, second = ((rng.normal(size=(4, 2, 2)), rng.normal(size=(4, 2))) for _ in range(2))
    point = rng.normal(size=(4, 2, 1))
    by_hand = second[0] @ (first[0] @ point + first[1][..., None]) + second[1][..., None]
    a, d = geometry.tilt_then(first, second)
    assert np.allclose(a @ point + d[..., None], by_hand)
    a, d = geometry.tilt_then(first, geometry.tilt_inverse(*first))
    assert np.allclose(a, np.eye(2))
    assert np.allclose(d, 0)


def test_imods_orientation_is_a_proper_rotation() -> None:
    volume = np.arange(24.0).reshape(2, 3, 4)
    stored = geometry.tilt_oriented(volume, "xzy")
    assert stored.shape == (3, 2, 4)
    assert stored[2, 0, 3] == volume[1, 2, 3]
    for name in geometry.TILT_ORIENTATIONS:
        assert np.array_equal(geometry.tilt_unoriented(geometry.tilt_oriented(volume, name), name), volume)
    axes, flipped = geometry.TILT_ORIENTATIONS["xzy"]
    turn = np.eye(3)[list(axes)] * np.where(np.isin(range(3), flipped), -1, 1)[:, None]
    assert np.isclose(np.linalg.det(turn), 1)


@pytest.mark.parametrize("axis", [0.0, 85.3, -93.0])
def test_raw_and_aligned_pixels_are_each_others(axis: float) -> None:
    alignment = TiltAlignment.of_axis([-10.0, 20], axis, [[3, -7], [0.5, 2]], (60, 100), 1.0)
    points = np.array([[3.0, 4], [50, 29.5], [80, 10]])
    assert np.allclose(alignment.to_aligned(1, alignment.to_raw(1, points)), points)
    assert alignment.aligned_shape == ((60, 100) if axis == 0 else (100, 60))
    centre = alignment.to_raw(0, geometry.tilt_centre(alignment.aligned_shape[::-1]) + np.array([3, -7]))
    assert np.allclose(centre, [49.5, 29.5])


def test_local_shifts_go_from_edge_to_edge() -> None:
    nodes = np.zeros((1, 2, 2, 3))
    nodes[0, 0] = [[0, 1, 2], [10, 11, 12]]
    local = LocalShifts(nodes)
    assert np.allclose(local.at(0, [0, 50, 100], [0, 0, 40], (41, 101))[0], [0, 1, 12])
    assert np.allclose(local.at(0, 25, 20, (41, 101)), [5.5, 0])


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"matrices of shape \(2, 2, 2\) for 3 angles"):
        TiltAlignment(np.zeros(3), np.zeros((2, 2, 2)), np.zeros((3, 2)), (4, 4), 1.0)
    with pytest.raises(InputError, match="NaN"):
        TiltAlignment.of_axis([0, np.nan], 0.0, None, (4, 4), 1.0)


def test_an_xf_gives_the_stack_that_was_simulated_aligned(specimen) -> None:
    """Correlation 1.0000 of raw tilts taken through their transforms with tilts simulated without any."""
    shape = (128, 128)
    blobs = specimen((20, 60, 60))
    angles = np.array([-51.0, 0, 48])
    turned = TiltAlignment.of_axis(angles, [85.3, 85, 86], [[6.3, -2.2], [0, 4], [-9.75, 1]], shape, 10.0)
    straight = TiltAlignment.of_axis(angles, 0.0, None, shape, 10.0)
    aligner = Aligner(Views.of(turned, TomogramSettings((128, *shape))))
    for t in range(3):
        found, expected = aligner(t, blobs.image(turned, t)), blobs.image(straight, t)
        assert found.shape == expected.shape
        inner = (slice(16, -16), slice(16, -16))  # what turned out of the field is 0, the mean
        assert np.corrcoef(found[inner].ravel(), expected[inner].ravel())[0, 1] > 0.99999


def test_whole_pixels_are_moved_and_nothing_else() -> None:
    image = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    alignment = TiltAlignment.of_axis([0.0], 0.0, [[4, -7]], (40, 50), 10.0)
    found = Aligner(Views.of(alignment, TomogramSettings((8, 40, 50))))(0, image)
    mean = np.float32(image.mean(dtype=np.float64))
    assert np.array_equal(found[:-7, 4:], image[7:, :-4] - mean)
    assert not found[-7:].any()
    assert not found[:, :4].any()


def test_dose_weights_leave_what_the_exposure_left() -> None:
    """Grant and Grigorieff 2015, at the exposure given for the tilt."""
    from pypcore.motion.weights import damage

    image = np.cos(2 * np.pi * 12 * np.arange(96) / 96) * np.ones((96, 1))
    image = image.astype(np.float32)
    alignment = TiltAlignment.of_axis([0.0], 0.0, None, (96, 96), 2.0)
    views = Views.of(alignment, TomogramSettings((8, 96, 96)))
    found = Aligner(views, np.array([20.0]), 300.0)(0, image)
    left = damage(np.array([20.0]), np.array([12 / 96 / 2.0]), 300.0)[0, 0]
    assert np.isclose(found[40:56, 24:72].std() / image[40:56, 24:72].std(), left, rtol=0.01)
