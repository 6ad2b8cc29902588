"""Frames and patches unlike the others."""

import numpy as np
import pytest

from pypcore.motion.outliers import amplitudes, held_back, misfit, poor_frames, unlike
from pypcore.motion.patches import Evidence, Signal


def evidence(strange=()):
    """Pulls as large as the information lets them be by chance, but for ``strange`` patches: three times as large."""
    patches, frames = 40, 12
    rng = np.random.default_rng(0)
    information = 4.0 * (np.eye(frames) - 1 / frames)
    pull = rng.multivariate_normal(np.zeros(frames), information, (patches, 2), method="svd").transpose(0, 2, 1)
    pull[list(strange)] *= 3
    return Evidence(pull, information, np.ones(patches), Signal(np.ones(3), np.ones(patches)))


def test_patches_that_pull_by_chance_are_left_alone():
    data = evidence()
    misfits = misfit(data)
    assert np.median(misfits) == pytest.approx(1)
    assert not unlike(misfits).any()
    assert np.array_equal(held_back(data, misfits).gradient, data.gradient)


def test_a_patch_that_pulls_too_hard_is_named_and_held_back():
    data = evidence(strange=[7])
    misfits = misfit(data)
    assert np.flatnonzero(unlike(misfits)).tolist() == [7]
    held = held_back(data, misfits)
    assert held.share[7] < 0.5
    assert np.allclose(held.gradient[7], data.gradient[7] * held.share[7])
    assert (held.share[:7] == 1).all()


def test_a_frame_is_poor_only_if_that_is_sure():
    quality = np.array([1.0, 0.9, 0.55, 0.02, -0.1, 1.1])
    assert np.flatnonzero(poor_frames(quality, 40.0)).tolist() == [2, 3, 4]
    assert np.flatnonzero(poor_frames(quality, 7.5)).tolist() == [3, 4], "at 7.5 deviations 0.55 may be chance"
    assert not poor_frames(quality, 5.0)[:4].any()
    assert amplitudes(quality, poor_frames(quality, 40.0)).tolist() == [1, 1, 0.55, 0.05, 0.05, 1]
