"""Back- and forward projection: what holds of every variant, beyond agreeing with the definition."""

import numpy as np
import pytest

from pypcore import kernels
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.reconstruct import project
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.stack import empty_stack, put
from pypcore.tomogram.views import Views

VARIANTS = ["reference", "numba", "cython"]


def random_case(rng: np.random.Generator, slices: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t = np.deg2rad([-71.0, -40, -3, 0, 0.5, 33, 60, 86, 90])
    a, b = np.cos(t), np.sin(t)
    lines = np.stack([a, b, 20 - a * 24.5 - b * 9.5], 1)
    images = rng.normal(size=(t.size, 41, slices)).astype(np.float32)
    return images, lines, rng.normal(size=(20, 50, slices)).astype(np.float32)


@pytest.mark.parametrize("variant", VARIANTS)
def test_projection_is_the_adjoint_of_back_projection(variant: str) -> None:
    images, lines, volume = random_case(np.random.default_rng(1))
    seen, back = np.zeros_like(images), np.zeros_like(volume)
    kernels.get("project", variant)(volume, lines, seen)
    kernels.get("backproject", variant)(images, lines, back)
    one, other = (float((a.astype(float) * b).sum()) for a, b in ((seen, images), (volume, back)))
    scale = np.linalg.norm(seen) * np.linalg.norm(images)
    assert abs(one - other) < 1e-6 * scale


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_extrapolated_beyond_the_edge_of_an_image(variant: str) -> None:
    images = np.full((1, 10, 64), 7, np.float32)
    u = np.array([-1.5, -1, -0.5, 0, 4.3, 9, 9.25, 10, 12])
    volume = np.zeros((1, u.size, 64), np.float32)
    for x, place in enumerate(u):
        one = np.zeros((1, 1, 64), np.float32)
        kernels.get("backproject", variant)(images, np.array([[1.0, 0.0, place]]), one)
        volume[0, x] = one[0, 0]
    expected = [0, 0, 3.5, 7, 7, 7, 5.25, 0, 0]
    assert np.allclose(volume[0], np.array(expected)[:, None], atol=1e-5)


@pytest.mark.parametrize("variant", ["numba", "cython"])
def test_what_is_there_is_added_to(variant: str) -> None:
    images, lines, volume = random_case(np.random.default_rng(2), slices=3)
    once, twice = volume.copy(), volume.copy()
    add = kernels.get("backproject", variant)
    add(images, lines, once)
    add(images, lines, twice)
    add(images, lines, twice)
    assert np.allclose(twice - volume, 2 * (once - volume), atol=1e-4)


def test_shapes_that_do_not_fit_are_refused() -> None:
    images, lines, volume = random_case(np.random.default_rng(3), slices=4)
    backproject = kernels.get("backproject", "cython")
    with pytest.raises(ValueError, match="slices"):
        backproject(images, lines, volume[:, :, :3].copy())
    with pytest.raises(ValueError, match="lines"):
        backproject(images, lines[:4], volume)
    with pytest.raises(ValueError, match="2 or more"):
        backproject(images[:, :1].copy(), lines, volume)
    with pytest.raises(ValueError, match="don't fit"):
        kernels.get("tile_to_planes", "cython")(volume, np.zeros((20, 9, 50), np.float32))


def test_tiles_hold_what_was_put_in_them() -> None:
    image = np.random.default_rng(4).normal(size=(100, 30)).astype(np.float32)
    stack = empty_stack(100, 3, 30)
    stack[:] = np.nan
    put(stack, 1, image)
    assert np.array_equal(np.concatenate([stack[0, 1].T, stack[1, 1].T])[:100], image)
    assert not stack[1, 1, :, 36:].any()


def test_projecting_a_volume_gives_the_tilts_that_were_simulated(specimen) -> None:
    alignment = TiltAlignment.of_axis(np.arange(-60, 61, 20.0), 0.0, None, (70, 96), 10.0)
    settings = TomogramSettings((40, 70, 96))
    blobs = specimen((24, 60, 60), sigma=2.0)
    volume = blobs.volume((40, 70, 96))
    found = project(volume, alignment, settings, threads=2)
    width = Views.of(alignment, settings).width
    expected = blobs.tilts(alignment)[:, :, (96 - width) // 2 : (96 + width) // 2]
    for t, angle in enumerate(alignment.angles):
        assert np.abs(found[t] - expected[t]).max() < 0.06 * expected[t].max(), angle
