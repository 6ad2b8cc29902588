"""The parts of the fit: information, gradient, prior."""

import numpy as np
import pytest

from pypcore.motion.marginal import errors
from pypcore.motion.parallel import Threads
from pypcore.motion.patches import DamageCurve, Patches, Signal
from pypcore.motion.prior import Layout, Prior, Strengths
from pypcore.motion.small import SmallMovie, fade, group_of, small_shape
from pypcore.motion.strengths import choose

PIXEL, STEP = 1.0, 4


def noise_movie(extent, frames=6, seed=0):
    rng = np.random.default_rng(seed)
    data = np.zeros((frames, *small_shape(extent[0] * STEP, extent[1] * STEP, STEP)), np.float32)
    rim = np.outer(fade(extent[0], STEP), fade(extent[1], STEP))
    data[:, : extent[0], : extent[1]] = rng.normal(size=(frames, *extent)) * rim
    return SmallMovie(data, STEP, extent)


def curve(frames):
    return DamageCurve(2.0 * np.arange(frames), np.ones(frames, int), 300.0)


@pytest.fixture
def threads():
    with Threads(2) as pool:
        yield pool


@pytest.mark.parametrize("numbers", [(3, 3), (6, 4)])
def test_the_information_of_all_patches_is_the_whole_frames(numbers, threads):
    movie = noise_movie((180, 200))
    totals = []
    for layout in ((0, 0), numbers):
        patches = Patches(movie, layout, PIXEL, curve(6), threads)
        count = len(patches.centres)
        signal = Signal(np.full(patches.k.size, 0.02), np.ones(count))
        data = patches.evaluate(np.zeros((count, 6, 2)), signal)
        totals.append(np.trace(data.information) * data.share.sum())
    assert totals[1] == pytest.approx(totals[0], rel=0.05)


def test_information_knows_nothing_of_a_shift_common_to_all_frames(threads):
    patches = Patches(noise_movie((100, 120)), (2, 3), PIXEL, curve(6), threads)
    data = patches.evaluate(np.zeros((6, 6, 2)), Signal(np.full(patches.k.size, 0.1), np.ones(6)))
    assert np.allclose(data.information.sum(1), 0, atol=1e-9 * np.trace(data.information))
    assert np.allclose(data.gradient.sum(1), 0, atol=1e-3 * np.abs(data.gradient).max())


def test_the_variance_of_the_gradient_under_noise_and_signal_is_the_information(threads):
    """The data are drawn from the model itself: E[g g^T] = J, which holds gradient and curvature to one scale."""
    frames, extent, spectrum = 5, (160, 180), 0.3
    sizes = np.ones(frames, int)
    flat = DamageCurve(None, sizes, 300.0)
    squares, expected = [], None
    for seed in range(6):
        movie = noise_movie(extent, frames, seed)
        rim = np.outer(fade(extent[0], STEP), fade(extent[1], STEP))
        signal = np.random.default_rng(100 + seed).normal(size=extent) * np.sqrt(spectrum) * rim
        movie.frames[:, : extent[0], : extent[1]] += signal.astype(np.float32)
        patches = Patches(movie, (4, 4), PIXEL, flat, threads)
        d = np.zeros((16, frames, 2))
        data = patches.evaluate(d, Signal(np.full(patches.k.size, spectrum), np.ones(16)))
        inner = [5, 6, 9, 10]  # patches that lie inside
        squares.append((data.gradient[inner] ** 2).mean((0, 2)))
        expected = np.diag(data.information)
    # A window counts data by w^2, so variances by w^4; for half-overlapping cosines that is 3/4 of w^2 an axis.
    # The rest is in the correlation with the neighbours, whose information adds up.
    assert np.mean(squares) == pytest.approx(np.mean(expected) * 9 / 16, rel=0.25)


def test_the_measured_signal_is_the_one_put_in(threads):
    frames, extent, spectrum = 8, (200, 200), 0.2
    movie = noise_movie(extent, frames)
    rim = np.outer(fade(extent[0], STEP), fade(extent[1], STEP))
    signal = np.random.default_rng(9).normal(size=extent) * np.sqrt(spectrum) * rim
    movie.frames[:, : extent[0], : extent[1]] += signal.astype(np.float32)
    patches = Patches(movie, (4, 4), PIXEL, DamageCurve(None, np.ones(frames, int), 300.0), threads)
    found = patches.measure(np.zeros((16, frames, 2)))
    assert found.spectrum[5:-3].mean() == pytest.approx(spectrum, rel=0.05)
    assert found.level.mean() == pytest.approx(1, abs=0.1)


def test_noise_has_no_signal(threads):
    patches = Patches(noise_movie((200, 200), 8), (4, 4), PIXEL, curve(8), threads)
    assert patches.measure(np.zeros((16, 8, 2))).spectrum[5:].mean() < 0.01


class Data:
    """A likelihood whose information is the same on each of T frames about their mean."""

    def __init__(self, target, strength):
        patches, frames, _ = target.shape
        centre = np.eye(frames) - 1 / frames
        self.information = strength * centre
        self.share = np.ones(patches)
        self.gradient = strength * np.einsum("tu,puc->ptc", centre, target)


def layout(frames=12, side=5):
    grid = np.linspace(0, 1000, side)
    return Layout(1.0 + 2.0 * np.arange(frames), np.array([(y, x) for y in grid for x in grid]), 1000.0, local=True)


def test_with_strong_data_the_fit_follows_them_and_with_none_it_stays_at_rest():
    where = layout()
    log_time = np.log1p(where.exposures / 4)
    target = np.zeros((25, 12, 2))
    target[:, :, 0] = 3 * log_time + 0.5 * np.outer(where.centres[:, 1] / 1000, log_time)
    target[:, :, 1] = -0.1 * where.exposures
    rest = np.zeros_like(target)
    strong = Prior(where, Strengths()).solve(Data(target, 1e4), rest)
    found = strong.whole_at(where.exposures) + strong.local_at(where.exposures, where.centres)
    error = (found - found.mean(1, keepdims=True)) - (target - target.mean(1, keepdims=True))
    assert np.abs(error).max() < 0.05
    none = Prior(where, Strengths()).solve(Data(target, 1e-9), rest)
    assert np.abs(none.whole_at(where.exposures)).max() < 1e-3


def test_the_local_part_has_no_mean_over_time():
    where = layout()
    rng = np.random.default_rng(0)
    fit = Prior(where, Strengths()).solve(Data(rng.normal(size=(25, 12, 2)), 10.0), np.zeros((25, 12, 2)))
    assert np.allclose(fit.local_at(where.exposures, where.centres).mean(1), 0, atol=1e-9)


def test_the_evidence_prefers_the_strength_that_made_the_motion():
    where = layout(20, 6)
    for walk in (0.06, 1.2):
        made = Prior(where, Strengths(walk=walk, trend=1.0, local=0.07))
        rng = np.random.default_rng(3)
        whole = made.whole_basis(where.exposures) @ rng.normal(size=(20, 2))
        target = np.repeat(whole[None], 36, 0)
        noisy = target + 0.3 * rng.normal(size=target.shape)
        chosen = choose(where, Strengths(), Data(noisy, 1 / 0.3**2), np.zeros_like(target))
        assert 0.4 < chosen.prior.strengths.walk / walk < 2.6


def test_the_posterior_error_falls_with_more_data():
    where = layout()
    target = np.zeros((25, 12, 2))
    errors = [
        Prior(where, Strengths()).solve(Data(target, strength), target).error(where.exposures, where.centres)
        for strength in (0.1, 10.0)
    ]
    assert errors[0].shape == (12,)
    assert (errors[1] < errors[0]).all()


def test_the_error_knows_that_the_strengths_are_not_known():
    """With much data the strengths hardly matter; with little they do, and the error is larger than the best fit's."""
    where = layout()
    rng = np.random.default_rng(1)
    field = (where.centres, np.full(25, 1 / 25))
    more = []
    for noise in (3.0, 0.01):
        target = np.cumsum(0.2 * rng.normal(size=(1, 12, 2)), 1) + noise * rng.normal(size=(25, 12, 2))
        data, rest = Data(target, noise**-2), np.zeros_like(target)
        fit = choose(where, Strengths(), data, rest)
        known = fit.error(where.exposures, where.centres)
        (found,) = errors(fit, data, rest, where.exposures, field, [np.ones(12)])
        more.append(np.sqrt((found**2).mean() / (known**2).mean()))
    assert more[0] > 1.1
    assert more[1] == pytest.approx(1, abs=0.05)


def test_groups_are_even_and_a_short_last_one_joins_its_neighbour():
    assert group_of(7, 3).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert group_of(4, 1).tolist() == [0, 1, 2, 3]
    assert group_of(2, 5).tolist() == [0, 0]
