"""Tomograms on virtual devices: as on the CPU, the specimen found, the same bits on one device and on several."""

from types import ModuleType

import fake_cupy
import numpy as np
import pytest

from pypcore import kernels
from pypcore.compute import CPU, Compute
from pypcore.kernels.gpu.memory import TooLarge
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram import weighting
from pypcore.tomogram.reconstruct import Tomogram, reconstruct
from pypcore.tomogram.settings import TomogramSettings

SHAPE, MB = (8, 70, 24), 1 << 20  # two tiles of slices
SERIES = TiltAlignment.of_axis(np.arange(-60.0, 61, 20), 0.0, None, (70, 24), 10.0)


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    return simulate()


def simulate() -> tuple[np.ndarray, np.ndarray]:
    """Blobs and their projections: these are Gaussians too, whatever the tilt."""
    rng = np.random.default_rng(4)
    points = rng.uniform(-0.4, 0.4, (30, 3)) * np.array(SHAPE) * (0.6, 1, 0.8)
    z, y, x = (np.arange(n) - n // 2 for n in SHAPE)

    def profile(at: np.ndarray, places: np.ndarray) -> np.ndarray:
        return np.exp(-((places[:, None] - at) ** 2) / 8)

    truth = np.einsum("zb,yb,xb->zyx", *(profile(p, axis) for p, axis in zip(points.T, (z, y, x), strict=True)))
    t = np.deg2rad(SERIES.angles)[:, None]
    seen = points[:, 2] * np.cos(t) + points[:, 0] * np.sin(t)
    tilts = np.stack([profile(points[:, 1], y) @ profile(u, x).T for u in seen]) * np.sqrt(8 * np.pi)
    return truth.astype(np.float32), tilts.astype(np.float32)


def made(tilts: np.ndarray, compute: Compute, **how: object) -> Tomogram:
    second = tilts[:, ::-1] if how.get("halves") == "frames" else None
    return reconstruct(tilts, SERIES, TomogramSettings(SHAPE, **how), second=second, compute=compute)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "how",
    [
        {"halves": "tilts"},
        {"method": "sirt", "iterations": 2, "halves": "frames", "nonnegative": True},
        {"method": "sirt", "iterations": 1, "subsets": 3, "halves": "tilts"},
    ],
    ids=["wbp", "sirt", "subsets"],
)
def test_as_on_the_cpu_and_the_same_bits_on_several(
    blobs: tuple[np.ndarray, np.ndarray], cupy: ModuleType, how: dict[str, object]
) -> None:
    fake_cupy.configure(3)
    expected = made(blobs[1], CPU, **how)
    for count in (1, 2, 3) if how.get("method") != "sirt" else (1, 3):
        found = made(blobs[1], Compute("cuda", tuple(range(count))), **how)
        for name in ("volume", "half1", "half2"):
            one, other = getattr(found, name), getattr(expected, name)
            assert np.abs(one - other).max() < 2e-5 * np.abs(other).max(), name
        if count == 1:
            first = found.volume.tobytes()
        assert found.volume.tobytes() == first
    assert not fake_cupy.used()


def test_the_specimen_is_found(blobs: tuple[np.ndarray, np.ndarray], cupy: ModuleType) -> None:
    truth, tilts = blobs
    found = made(tilts, Compute("cuda", (0,)), method="sirt", iterations=5, nonnegative=True)
    assert np.corrcoef(found.volume.ravel(), truth.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("how", [{}, {"method": "sirt", "iterations": 1}], ids=["wbp", "sirt"])
def test_little_memory_changes_no_bit_and_too_little_is_said(
    blobs: tuple[np.ndarray, np.ndarray], cupy: ModuleType, how: dict[str, object]
) -> None:
    expected = made(blobs[1], Compute("cuda", (0,)), **how).volume
    fake_cupy.configure(1, int(0.8 * MB))
    assert made(blobs[1], Compute("cuda", (0,)), **how).volume.tobytes() == expected.tobytes()
    assert fake_cupy.peak()[0] <= 0.8 * MB
    fake_cupy.configure(1, 6_000)
    with pytest.raises(TooLarge, match="on device 0"):
        made(blobs[1], Compute("cuda", (0,)), **how)


def test_weights_of_a_tile_are_those_of_its_images() -> None:
    tile = np.random.default_rng(5).normal(size=(4, 30, 64)).astype(np.float32)
    factors = weighting.weights(SERIES.angles[:4], 30, TomogramSettings(SHAPE))
    found = weighting.apply_to_tile(np, tile, factors)
    assert found.dtype == np.float32
    for image, factor, one in zip(tile, factors, found, strict=True):
        assert np.allclose(one.T, weighting.apply(np.ascontiguousarray(image.T), factor), atol=1e-5)


def test_projection_is_the_adjoint_of_back_projection(cupy: ModuleType) -> None:
    rng, t = np.random.default_rng(1), np.deg2rad([-71.0, -3, 0, 33, 86, 90])
    lines = np.stack([np.cos(t), np.sin(t), 11 - np.cos(t) * 13.5 - np.sin(t) * 4.5], 1)
    images = rng.normal(size=(len(t), 23, 5)).astype(np.float32)
    volume = rng.normal(size=(10, 28, 5)).astype(np.float32)
    seen, back = np.zeros_like(images), np.zeros_like(volume)
    kernels.get("project", "cupy")(volume, lines, seen)
    kernels.get("backproject", "cupy")(images, lines, back)
    one, other = (float((a.astype(float) * b).sum()) for a, b in ((seen, images), (volume, back)))
    assert abs(one - other) < 1e-6 * np.linalg.norm(seen) * np.linalg.norm(images)
