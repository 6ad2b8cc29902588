"""The motion in full: what is written is read again."""

import dataclasses

import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.formats.motion_field import FullMotion, read_field, write_field


def full(nodes=(4, 5)):
    rng = np.random.default_rng(0)
    return FullMotion(
        movie="movies/a b.tif",
        shape=(300, 400),
        pixel_size=0.83,
        first=3,
        whole=rng.normal(size=(6, 2)).round(4),
        grid_y=np.linspace(0, 299, nodes[0]).round(4),
        grid_x=np.linspace(0, 399, nodes[1]).round(4),
        local=rng.normal(size=(6, 2, *nodes)).round(4),
        error=np.full(6, 0.2),
        travel=np.full(6, 0.3),
        quality=np.ones(6),
        patches=rng.uniform(size=(9, 4)).round(4),
    )


@pytest.mark.parametrize("nodes", [(4, 5), (1, 1)])
def test_what_is_written_is_read(tmp_path, nodes):
    motion = full(nodes)
    write_field(tmp_path / "m_field.star", motion)
    again = read_field(tmp_path / "m_field.star")
    for field in dataclasses.fields(FullMotion):
        one, other = (getattr(m, field.name) for m in (motion, again))
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name


def test_a_motion_without_an_error_says_nan(tmp_path):
    motion = dataclasses.replace(full(), error=np.full(6, np.nan), patches=np.zeros((0, 4)))
    write_field(tmp_path / "m_field.star", motion)
    again = read_field(tmp_path / "m_field.star")
    assert np.isnan(again.error).all()
    assert again.patches.shape == (0, 4)


def test_something_else_is_refused(tmp_path):
    (tmp_path / "other.star").write_text("data_general\n\n_rlnImageSizeX 3\n")
    with pytest.raises(InputError, match="not a motion field"):
        read_field(tmp_path / "other.star")
