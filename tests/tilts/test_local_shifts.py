"""Specimens that bend: what patches say beyond the shifts of whole views, against simulated series that do."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pypcore.simulate.tilt_score import TiltScore, in_the_true_frame
from pypcore.simulate.tiltseries import bending, simulate_series
from pypcore.tilts import bending as model
from pypcore.tilts.settings import AlignSettings
from pypcore.tomogram.reconstruct import reconstruct
from pypcore.tomogram.settings import TomogramSettings

from .conftest import SMALL, aligned

PLAN = replace(SMALL, bend=5.0, dark=(), lost=(), shift=10)
WHOLE = AlignSettings(axis_search=False, offset_search=False)
PATCHES = replace(WHOLE, local=(3, 3))


@pytest.fixture(scope="module")
def bent():
    return simulate_series("cytosol", PLAN, seed=3)


@pytest.fixture(scope="module")
def whole(bent):
    return aligned(bent, PLAN.axis, WHOLE).alignment


@pytest.fixture(scope="module")
def local(bent):
    return aligned(bent, PLAN.axis, PATCHES)


def test_a_bent_specimen_is_followed(bent, whole, local):
    before, after = (TiltScore.of(found, bent).field for found in (whole, local.alignment))
    assert before > 1.2
    assert after < 0.6 * before
    assert local.local.shift > 5.0  # Å
    assert 0.3 < local.local.error / (after * PLAN.pixel_size) < 2


def test_its_tomogram_is_nearer_to_the_truth(bent, whole, local):
    truth = bent.truth()
    straight, followed = (_agreement(bent, in_the_true_frame(found, bent), truth) for found in (whole, local.alignment))
    assert followed > straight + 0.02


def _agreement(series, alignment, truth):
    settings = TomogramSettings(truth.shape, normalise="mean", cutoff=0.1)
    volume = -reconstruct(series.tilts, alignment, settings).volume
    inside = (slice(16, -16), slice(32, -32), slice(32, -32))
    return np.corrcoef(truth[inside].ravel(), volume[inside].ravel())[0, 1]


def test_where_nothing_bends_the_views_are_aligned_as_a_whole(series, caplog):
    other = aligned(series, PLAN.axis, PATCHES)
    assert other.local is None
    assert other.alignment.local is None
    assert "local shifts: the views tell of none" in caplog.text


@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_the_smooth_field_is_that_of_the_data_and_none_where_there_is_none(strength):
    """Data made by the model's own definition: quadratic likelihoods about known shifts."""
    rng = np.random.default_rng(2)
    angles = np.arange(-60.0, 61, 6)
    centres = np.stack(np.meshgrid([-80.0, 0, 80], [-80.0, 0, 80]), -1).reshape(-1, 2)
    points = np.column_stack([np.zeros(9), centres[:, ::-1]])
    plan = replace(PLAN, bend=strength)
    true = np.stack([bending(points, plan, float(angle)) for angle in angles], 1)  # [P, T, 2]
    count = len(angles)
    tied = 4.0 * (np.eye(count) - 1 / count)  # shifts relative to each other are known to half a px
    root = 2.0 * (np.eye(count) - 1 / count)
    patches = [model.Patch(tied @ one + root @ rng.normal(size=(count, 2)), np.stack([tied, tied])) for one in true]
    with threadpool_limits(1, user_api="blas"):
        found = model.fit(patches, centres, angles, 256.0, 32.0)
    if strength == 0:
        assert found is None
        return
    error = found.at(centres) - true
    t = np.radians(angles)
    for axis, free in enumerate((np.stack([np.cos(t), np.sin(t)], -1), np.ones((count, 1)))):
        basis = np.linalg.qr(free)[0]
        error[..., axis] -= error[..., axis] @ basis @ basis.T
    rms = np.sqrt((error**2).sum(-1).mean())
    assert rms < 0.35 * np.sqrt((true**2).sum(-1).mean())
    assert 0.5 < found.error / rms < 2
