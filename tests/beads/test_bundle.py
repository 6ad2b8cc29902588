"""The solver alone, on points made from a known geometry."""

import numpy as np
import pytest

from pypcore.beads.bundle import State, adjust, adjust_by_evidence
from pypcore.beads.freedom import Freedom

ANGLES = np.radians(np.arange(-60, 61, 10.0))


def state(beads: int = 10, seed: int = 0, **varied: np.ndarray) -> State:
    rng = np.random.default_rng(seed)
    places = rng.uniform(-200, 200, (beads, 3)) * (1, 1, 0.3)
    numbers = {"axis": np.full(len(ANGLES), 1.5), "tilt": ANGLES, "scale": np.zeros(len(ANGLES))} | varied
    return State(rng.uniform(-20, 20, (len(ANGLES), 2)), places=places, **numbers)


def points_of(true: State, noise: float = 0.2, seed: int = 1) -> np.ndarray:
    seen = true.seen()
    return seen + np.random.default_rng(seed).normal(0, noise, seen.shape)


def start_of(true: State, seed: int = 2) -> State:
    rng = np.random.default_rng(seed)
    return State(
        true.d + rng.normal(0, 1, true.d.shape),
        np.full(len(ANGLES), 1.48),
        ANGLES,
        np.zeros(len(ANGLES)),
        true.places + rng.normal(0, 2, true.places.shape),
    )


def test_derivatives_are_those_of_differences():
    one = state(4, scale=np.linspace(-0.02, 0.02, len(ANGLES)))
    views, places = one.derivatives()
    for k in range(5):
        step = np.zeros((len(ANGLES), 5))
        step[:, k] = 1e-6
        nothing = np.zeros_like(one.places)
        slope = (one.stepped(step, nothing).seen() - one.stepped(-step, nothing).seen()) / 2e-6
        assert np.allclose(views[..., k], slope, atol=1e-4)
    for k in range(3):
        step = np.zeros_like(one.places)
        step[:, k] = 1e-3
        still = np.zeros((len(ANGLES), 5))
        slope = (one.stepped(still, step).seen() - one.stepped(still, -step).seen()) / 2e-3
        assert np.allclose(places[:, None, :, k], slope, atol=1e-8)


def test_points_without_noise_are_fitted_to_nothing():
    true = state()
    fit = adjust(points_of(true, 0), np.ones((len(ANGLES), 10), bool), start_of(true), Freedom())
    assert np.abs(fit.residual).max() < 1e-2
    assert np.degrees(fit.state.axis[0] - 1.5) == pytest.approx(0, abs=1e-3)


def test_outliers_and_gaps_hardly_matter():
    true = state()
    points = points_of(true)
    rng = np.random.default_rng(5)
    wrong = rng.random(points.shape[:2]) < 0.08
    counted = rng.random(points.shape[:2]) < 0.8
    clean = adjust(points, counted, start_of(true), Freedom())
    points[wrong] += rng.uniform(5, 20, (wrong.sum(), 2))
    fit = adjust(points, counted, start_of(true), Freedom())
    assert np.degrees(abs(fit.state.axis[0] - 1.5)) < 0.05
    assert fit.noise < 1.6 * clean.noise


def test_residuals_left_out_are_those_of_fits_without_the_point():
    true = state(5)
    points, counted = points_of(true), np.ones((len(ANGLES), 5), bool)
    fit = adjust(points, counted, start_of(true), Freedom())
    foretold, really = [], []
    for t, j in ((0, 3), (3, 1), (5, 0), (7, 2), (12, 4), (11, 0)):
        fewer = counted.copy()
        fewer[t, j] = False
        other = adjust(points, fewer, fit.state, Freedom())
        foretold.append(fit.left_out[t, j])
        really.append(points[t, j] - other.state.seen()[t, j])
    off = np.linalg.norm(np.subtract(foretold, really), axis=1)  # weights of the others change a little too
    kept = np.linalg.norm([fit.residual[t, j] for t, j in ((0, 3), (3, 1), (5, 0), (7, 2), (12, 4), (11, 0))], axis=1)
    missed = np.abs(kept - np.linalg.norm(really, axis=1))
    assert np.sqrt((off**2).mean()) < 0.4 * np.sqrt((np.square(really)).sum(1).mean())
    assert np.mean(np.abs(np.linalg.norm(foretold, axis=1) - np.linalg.norm(really, axis=1))) < 0.7 * missed.mean()


def test_expected_errors_are_those_that_are_made():
    squares, expected = [], []
    for seed in range(4):
        true = state(8, seed)
        fit = adjust(points_of(true, seed=seed), np.ones((len(ANGLES), 8), bool), start_of(true), Freedom())
        off = (fit.state.d - true.d)[:, :]
        cos, sin = np.cos(1.5), np.sin(1.5)
        along = off @ np.array([[cos, -sin], [sin, cos]])  # across the axis, and along it
        for k, basis in ((0, np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1)), (1, np.ones((len(ANGLES), 1)))):
            along[:, k] -= basis @ np.linalg.lstsq(basis, along[:, k], rcond=None)[0]
        squares.append((along**2).sum(1).mean())
        expected.append((fit.error**2).sum(1).mean())
    assert 0.6 < np.sqrt(np.mean(squares) / np.mean(expected)) < 1.6


def test_what_varies_is_told_from_what_does_not():
    counted = np.ones((len(ANGLES), 8), bool)
    plain = state(8)
    assert adjust_by_evidence(points_of(plain), counted, start_of(plain)).freedom == Freedom()
    rng = np.random.default_rng(7)
    grown = state(8, scale=rng.normal(0, 0.01, len(ANGLES)))
    fit = adjust_by_evidence(points_of(grown), counted, start_of(grown))
    assert fit.freedom.scale == "each"
    turned = state(8, axis=1.5 + 0.02 * ANGLES**2)
    assert adjust_by_evidence(points_of(turned), counted, start_of(turned)).freedom.axis == "smooth"
