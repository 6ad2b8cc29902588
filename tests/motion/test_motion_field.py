import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from pypcore.motion import MotionField

SHAPE = (500, 700)


def relion(whole, coefficients, ys, xs):
    """RELION's model, written out: displacement [T, 2, ny, nx]."""
    z = np.arange(len(whole))[:, None, None]
    y, x = ys[:, None] / SHAPE[0] - 0.5, xs[None, :] / SHAPE[1] - 0.5
    basis = [np.ones_like(y * x), x + 0 * y, x * x + 0 * y, y + 0 * x, y * y + 0 * x, x * y]
    parts = []
    for c in (coefficients[18:], coefficients[:18]):  # y, then x
        parts.append(sum(b * (c[3 * n] * z + c[3 * n + 1] * z**2 + c[3 * n + 2] * z**3) for n, b in enumerate(basis)))
    return whole[:, :, None, None] + np.stack(parts, 1)


def field_of(displacement, ys, xs):
    mean = displacement.mean((2, 3))
    return MotionField(mean - mean[0], displacement - mean[:, :, None, None], ys, xs, SHAPE)


def make(frames, seed=0):
    rng = np.random.default_rng(seed)
    ys, xs = np.linspace(0, SHAPE[0] - 1, 18), np.linspace(0, SHAPE[1] - 1, 25)
    whole = rng.normal(size=(frames, 2)).cumsum(0)
    scale = np.tile(float(frames) ** -np.arange(1, 4), 12)
    inside = relion(whole - whole[0], rng.normal(size=36) * scale, ys, xs)
    return field_of(inside - inside[:1].mean((2, 3), keepdims=True), ys, xs)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 25])
def test_the_field_between_its_nodes_is_the_spline_that_scipy_has(nodes):
    grid = np.linspace(0, 499, nodes) if nodes > 1 else np.zeros(1)
    values = np.random.default_rng(nodes).normal(size=nodes)
    field = MotionField(np.zeros((1, 2)), np.tile(values[:, None], (1, 2, 1, 1)), grid, np.zeros(1), SHAPE)
    ys = np.array([-3.0, 0.0, 7.5, 250.3, 499.0, 505.0])
    expected = make_interp_spline(grid, values, k=min(3, nodes - 1))(ys) if nodes > 1 else np.full(6, values[0])
    assert np.allclose(field.on_grid(ys, [0.0])[0, 0, :, 0], expected, atol=1e-9)


@pytest.mark.parametrize("frames", [4, 16, 60])
def test_a_motion_inside_relions_model_is_projected_exactly(frames):
    field = make(frames)
    ys, xs = np.linspace(20, 480, 7), np.linspace(10, 690, 9)
    whole, coefficients = field.relion_model()
    assert coefficients.shape == (36,)
    assert np.allclose(whole[0], 0)
    found, true = relion(whole, coefficients, ys, xs), field.on_grid(ys, xs)
    assert np.allclose(found - found[0], true - true[0], atol=1e-6)


def test_another_motion_is_projected_to_the_nearest_and_the_rest_is_moving_detail():
    field = make(20)
    bumps = 0.3 * np.sin(np.arange(20) / 2)[:, None, None, None] * np.sin(field.grid_x / 60)
    other = MotionField(field.whole, field.local + bumps - bumps.mean(3, keepdims=True), *grid(field), SHAPE)
    whole, coefficients = other.relion_model()
    error = relion(whole, coefficients, *grid(other)) - other.on_grid(*grid(other))
    assert np.sqrt((error - error.mean(0)).var()) < 0.3


def grid(field):
    return field.grid_y, field.grid_x


@pytest.mark.parametrize("frames", [2, 3])
def test_few_frames_still_have_a_projection(frames):
    field = make(frames)
    whole, coefficients = field.relion_model()
    found = relion(whole, coefficients, *grid(field))
    error = (found - found[0]) - (field.on_grid(*grid(field)) - field.on_grid(*grid(field))[0])
    assert np.abs(error).max() < 1e-6


def test_a_whole_frame_motion_has_no_coefficients():
    field = MotionField(np.arange(10.0).reshape(5, 2), np.zeros((5, 2, 1, 1)), np.zeros(1), np.zeros(1), SHAPE)
    whole, coefficients = field.relion_model()
    assert np.array_equal(whole, field.whole)
    assert not coefficients.any()


def test_points_and_grid_agree_and_points_broadcast():
    field = make(6)
    ys, xs = np.array([3.0, 250.0, 499.0]), np.array([0.0, 333.3, 600.0, 699.0])
    points = field.at(4, ys[:, None], xs[None, :])
    assert points.shape == (2, 3, 4)
    assert np.allclose(points, field.on_grid(ys, xs)[4])
    assert np.allclose(field.at(4, 250.0, 333.3), points[:, 1, 1])


def test_values_at_the_grids_nodes_are_kept():
    field = make(5)
    at_nodes = field.on_grid(*grid(field))
    assert np.allclose(at_nodes, field.whole[:, :, None, None] + field.local)
