"""Motion correction on GPUs, on virtual devices: known motion comes back, and what the CPU gives comes out."""

import importlib.util
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest

from pypcore.compute import Compute
from pypcore.kernels.gpu import memory
from pypcore.motion import MotionSettings, coarse, correct_movie
from pypcore.motion.gpu.spectra import reduced
from pypcore.motion.parallel import Threads
from pypcore.motion.small import SmallMovie

_made = importlib.util.spec_from_file_location("movies_made", Path(__file__).parents[1] / "motion/conftest.py")
assert _made is not None
assert _made.loader is not None
made = importlib.util.module_from_spec(_made)
_made.loader.exec_module(made)

DRIFT = np.stack([6 * (1 - np.exp(-np.arange(6) / 2)), -0.8 * np.arange(6)], 1)
MB = 1 << 20
EVERY = {"save_unweighted": True, "even_odd": True}


def movie(shape: tuple[int, int] = (192, 208)) -> Any:
    canvas = made.specimen(shape[0] + 40, shape[1] + 40)
    rng = np.random.default_rng(1)
    frames = [rng.poisson(9 * np.clip(1 + made.shifted(canvas, d)[20:-20, 20:-20], 0, None)) for d in DRIFT]
    return made.ArrayMovie(np.array(frames).astype(np.uint8))


def settings(**changes: Any) -> MotionSettings:
    return MotionSettings(**{"pixel_size": made.PIXEL, "dose": made.DOSE, "patches": (3, 3), **changes})


def a_gain(shape: tuple[int, int]) -> np.ndarray:
    found = np.random.default_rng(5).uniform(0.9, 1.1, shape).astype(np.float32)
    found[50, 60:70] = 0
    return found


@pytest.fixture(scope="module")
def on_cpu() -> Any:
    given = movie()
    return correct_movie(given, settings(**EVERY), gain=a_gain(given.shape[1:]))


def correct(devices: int, limit: int | None = None, gain: bool = True, **changes: Any) -> Any:
    fake_cupy.configure(devices, limit)
    given = movie()
    return correct_movie(
        given,
        settings(**{**EVERY, **changes}),
        gain=a_gain(given.shape[1:]) if gain else None,
        compute=Compute("cuda", tuple(range(devices))),
    )


def rms(found: np.ndarray, true: np.ndarray) -> float:
    error = (found - found.mean(0)) - (true - true.mean(0))
    return float(np.sqrt((error**2).sum(1).mean()))


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_known_motion_comes_back_and_the_images_are_the_cpus(cupy: ModuleType, on_cpu: Any, devices: int) -> None:
    found = correct(devices)
    assert rms(found.field.whole, DRIFT) < 0.1
    assert rms(found.field.whole, on_cpu.field.whole) < 0.005
    for image, expected in (
        (found.micrograph, on_cpu.micrograph),
        (found.unweighted, on_cpu.unweighted),
        (found.even, on_cpu.even),
        (found.odd, on_cpu.odd),
    ):
        assert np.abs(image - expected).max() < 0.02 * expected.std()
    assert found.estimate.error == pytest.approx(on_cpu.estimate.error, rel=0.05)
    assert not fake_cupy.used()
    assert set(fake_cupy.peak()) == set(range(devices))
    if devices == 2:
        assert np.array_equal(found.micrograph, correct(devices).micrograph)


def test_binning_and_the_power_spectrum_are_the_cpus(cupy: ModuleType) -> None:
    asked = {"binning": 2.0, "power_spectrum": True, "patches": (0, 0), "group": 2}
    expected, found = correct_movie(movie(), settings(**asked)), correct(1, gain=False, even_odd=False, **asked)
    assert np.abs(found.micrograph - expected.micrograph).max() < 0.02 * expected.micrograph.std()
    assert np.allclose(found.power_spectrum, expected.power_spectrum, rtol=0.02)


def test_with_little_memory_less_is_done_at_a_time_and_the_same_comes_out(cupy: ModuleType, on_cpu: Any) -> None:
    correct(1)
    usual = fake_cupy.peak()[0]
    found = correct(1, 3 * MB)
    assert fake_cupy.peak()[0] < 0.7 * usual
    assert np.abs(found.micrograph - on_cpu.micrograph).max() < 0.02 * on_cpu.micrograph.std()


def test_where_the_estimate_was_too_small_batches_are_halved_and_it_is_said(
    cupy: ModuleType, on_cpu: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "room", lambda: 2**40)  # as if there were no end of it
    with caplog.at_level(logging.WARNING):
        found = correct(1, 5 * MB // 2)
    assert "memory of the GPU ran out" in caplog.text
    assert np.abs(found.micrograph - on_cpu.micrograph).max() < 0.02 * on_cpu.micrograph.std()


def test_a_movie_too_large_for_the_device_says_what_it_takes(cupy: ModuleType) -> None:
    said = r"the small copy of 6 frames takes .* GB on device 0; .* GB are free there, of .* GB that may be used"
    with pytest.raises(memory.TooLarge, match=said):
        correct(1, MB * 3 // 4)


# ---- array code over xp, with NumPy in CuPy's place


@pytest.mark.parametrize("xp", ["numpy", "the stand-in"])
def test_batched_spectra_mean_what_the_cpus_do(cupy: ModuleType, xp: str) -> None:
    rng = np.random.default_rng(3)
    canvas = made.specimen(300, 300)
    frames = np.zeros((5, 256, 270), np.float32)
    for t in range(5):
        frames[t] = made.shifted(canvas, np.array([3.0 * t, -1.5 * t]))[20:276, 15:285] * 5 + rng.normal(
            size=(256, 270)
        )
    extent = (256, 270)
    module = np if xp == "numpy" else cupy
    ours, k = reduced(module, SmallMovie(module.asarray(frames), 1, extent), 4.0)
    with Threads(1) as threads:
        theirs, _ = coarse.reduced(SmallMovie(frames, 1, extent), 4.0, threads)
        d = rng.normal(size=(5, 2))
        low_pass = np.exp(-((k * 24.0) ** 2))
        left = np.ones(5)
        for size in (1, 2):
            one, other = ours.grouped(size), theirs.grouped(size)
            some = d[: len(other.data)]
            for found, expected in zip(
                (*one.against_the_others(low_pass, some), one.chain(low_pass)),
                (*other.against_the_others(low_pass, some), other.chain(low_pass)),
                strict=True,
            ):
                assert np.allclose(found, expected, atol=2e-3)
            assert one.power(some) == pytest.approx(other.power(some), rel=1e-5)
        assert np.allclose(ours.quality(low_pass, d, left), theirs.quality(low_pass, d, left), rtol=1e-4)
        assert ours.pattern(d) == pytest.approx(theirs.pattern(d), rel=1e-4)
        start = coarse.align(ours, k, left)
    true = np.stack([3.0 * np.arange(5), -1.5 * np.arange(5)], 1)
    assert rms(start.displacements, true) < 0.3


def test_frames_of_nothing_have_no_peak(cupy: ModuleType) -> None:
    nothing = SmallMovie(np.zeros((4, 64, 70), np.float32), 1, (64, 70))
    spectra, k = reduced(np, nothing, 4.0)
    steps, heights = spectra.against_the_others(np.exp(-((k * 24.0) ** 2)), np.zeros((4, 2)))
    assert not steps.any()
    assert not heights.any()
