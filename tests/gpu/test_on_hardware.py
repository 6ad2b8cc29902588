"""On a GPU: what the emulator and the stand-in check elsewhere, by the real CuPy. ``make gpu-test`` runs it.

It has never run on hardware; where it was run, CuPy was the stand-in.
"""

import logging

import numpy as np
import pytest
import test_alignment_on_a_gpu as alignment
import test_motion_on_devices as motion
import test_particles_on_gpus as particles
import test_tomogram_on_gpus as tomogram
from parity import SIZES, assert_agrees

from pypcore import kernels
from pypcore.compute import Compute
from pypcore.cuda import cuda_here
from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.copies import Copies
from pypcore.motion import correct_movie
from pypcore.reconstruct.arrays import backproject

pytestmark = pytest.mark.gpu

NAMES = [name for name in kernels.names() if "cupy" in kernels.variants(name)]


@pytest.fixture(scope="module", autouse=True)
def count() -> int:
    """How many GPUs there are; that there is none is an error here."""
    here = cuda_here()
    assert here.devices, here.reason
    return here.devices


def correct(ordinals: tuple[int, ...]):
    given = motion.movie()
    asked = motion.settings(**motion.EVERY)
    return correct_movie(given, asked, gain=motion.a_gain(given.shape[1:]), compute=Compute("cuda", ordinals))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_agrees_with_the_definition(name: str, size: int) -> None:
    assert_agrees(name, kernels.get(name, "cupy"), size)


def test_known_motion_comes_back_on_each_number_of_devices(count: int) -> None:
    given = motion.movie()
    expected = correct_movie(given, motion.settings(**motion.EVERY), gain=motion.a_gain(given.shape[1:]))
    for some in range(1, count + 1):
        found = correct(tuple(range(some)))
        assert motion.rms(found.field.whole, motion.DRIFT) < 0.1
        assert motion.rms(found.field.whole, expected.field.whole) < 0.01
        assert np.abs(found.micrograph - expected.micrograph).max() < 0.02 * expected.micrograph.std()
        assert np.array_equal(found.micrograph, correct(tuple(range(some))).micrograph)


def test_sums_of_particles_are_the_same_bits_on_each_number_of_devices(count: int) -> None:
    case = particles.simulate()
    here, one = (particles.added(case, compute).sums for compute in (particles.CPU, particles.gpus(1)))
    assert np.abs(one - here).max() < 1e-4 * np.abs(here).max()
    for some in range(2, count + 1):
        assert np.array_equal(particles.added(case, particles.gpus(some)).sums, one)
    made = backproject(case.images, case.poses, case.ctf, pixel_size=particles.PIXEL, compute=particles.gpus(count))
    assert np.corrcoef(made.ravel(), case.truth.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("method", ["wbp", "sirt"])
def test_tomograms_are_the_same_bits_on_each_number_of_devices(count: int, method: str) -> None:
    _, tilts = tomogram.simulate()
    here = tomogram.made(tilts, Compute(), method=method, halves="tilts").volume
    one = tomogram.made(tilts, Compute("cuda", (0,)), method=method, halves="tilts").volume
    assert np.abs(one - here).max() < 1e-4 * np.abs(here).max()
    for some in range(2, count + 1):
        found = tomogram.made(tilts, Compute("cuda", tuple(range(some))), method=method, halves="tilts")
        assert np.array_equal(found.volume, one)


def test_a_tilt_series_is_aligned(count: int) -> None:
    assert alignment.error_on_gpu(alignment.simulate()) < 1.0


def test_where_memory_runs_out_it_goes_on_with_less(count: int, caplog: pytest.LogCaptureFixture) -> None:
    import cupy

    expected = correct((0,))
    with cupy.cuda.Device(0):
        pool = cupy.get_default_memory_pool()
        memory.free()
        before = pool.get_limit()
        pool.set_limit(size=6 * motion.MB)
    try:
        with caplog.at_level(logging.WARNING):
            found = correct((0,))
    finally:
        with cupy.cuda.Device(0):
            pool.set_limit(size=before)
    assert np.abs(found.micrograph - expected.micrograph).max() < 0.02 * expected.micrograph.std()


def test_copies_arrive_while_the_device_computes(count: int) -> None:
    import cupy

    frames = [np.full((2048, 2048), k, np.uint8) for k in range(20)]
    with devices.on(0):
        sums = cupy.zeros((2048, 2048), np.float32)
        for frame in Copies((2048, 2048), np.uint8).each(frames):
            sums += cupy.sqrt(frame.astype(np.float32)) ** 2
        found = sums.get()
    assert np.allclose(found, sum(range(20)), rtol=1e-4)
