"""Particles to maps and back on virtual devices: as on the CPU, the truth found, the same bits on one and several."""

from dataclasses import dataclass
from types import ModuleType

import fake_cupy
import numpy as np
import pytest

from pypcore.compute import CPU, Compute
from pypcore.kernels.gpu.memory import TooLarge
from pypcore.reconstruct.accumulator import Accumulator
from pypcore.reconstruct.arrays import backproject, project
from pypcore.reconstruct.device_sums import shares
from pypcore.reconstruct.particles import Ctf, DoseWeights, Ewald, Optics, Poses
from pypcore.simulate import particles as simulated

BOX, PIXEL, MB = 20, 12.0, 1 << 20
OPTICS = (Optics(PIXEL, beam_tilt=(0.3, -0.1)), Optics(PIXEL, images="phase_flipped", even_zernike=(0.0, 40.0)))


def gpus(count: int) -> Compute:
    return Compute("cuda", tuple(range(count)))


@dataclass(frozen=True)
class Case:
    truth: np.ndarray
    images: np.ndarray
    poses: Poses
    ctf: Ctf


@pytest.fixture(scope="module")
def case() -> Case:
    return simulate()


def simulate() -> Case:
    molecule = simulated.chain(count=150, sigma=0.8 * PIXEL)
    given = simulated.random_particles(150, 1)
    images = simulated.images(molecule, given, BOX, PIXEL, simulated.Microscope())
    poses = Poses(given.rot, given.tilt, given.psi, given.shift_y, given.shift_x)
    ctf = Ctf(given.defocus_u, given.defocus_v, given.angle, given.phase_shift, given.b_factor)
    return Case(simulated.density(molecule, BOX, PIXEL), images, poses, ctf)


def added(case: Case, compute: Compute, parts: tuple[slice, ...] = (slice(0, 40),), ewald: Ewald | None = None):
    sums = Accumulator(BOX, PIXEL, ewald=ewald, compute=compute)
    half, group = 1 + np.arange(150) % 2, np.arange(150) // 2 % 2
    weight = np.where(np.arange(150) % 5, 1.0, 0.0)
    for part in parts:
        dose = DoseWeights(np.linspace(1, 0.3, 2 * 11).reshape(2, 11).astype(np.float32), np.arange(150)[part] % 2)
        optics = {"optics": OPTICS if ewald is None else OPTICS[:1] * 2, "dose": dose, "group": group[part]}
        sums.add(case.images[part], case.poses[part], case.ctf[part], half=half[part], weight=weight[part], **optics)
    return sums


@pytest.mark.parametrize("ewald", [None, Ewald(200.0)], ids=["flat", "bent"])
def test_sums_are_those_of_the_cpu_and_as_many_gpus_as_there_are_change_no_bit(
    case: Case, cupy: ModuleType, ewald: Ewald | None
) -> None:
    fake_cupy.configure(3)
    here, one = added(case, CPU, ewald=ewald), added(case, gpus(1), ewald=ewald)
    assert np.abs(one.sums - here.sums).max() < 2e-5 * np.abs(here.sums).max()
    assert one.particles.tolist() == here.particles.tolist()
    for count in (2, 3):
        assert added(case, gpus(count), ewald=ewald).sums.tobytes() == one.sums.tobytes()


def test_sums_go_on_after_they_came_home(case: Case, cupy: ModuleType) -> None:
    whole = added(case, gpus(1))
    sums = added(case, gpus(1), (slice(0, 13),))
    kept = sums.sums.copy()
    sums.add(case.images[:0], case.poses[:0], case.ctf[:0], OPTICS, np.zeros(0))
    again = Accumulator(BOX, PIXEL, compute=gpus(1))
    again.sums[:] = kept
    assert again.sums.tobytes() == sums.sums.tobytes()
    parts = added(case, gpus(1), (slice(0, 13), slice(13, 40)))
    assert parts.sums.tobytes() == whole.sums.tobytes()
    assert not fake_cupy.used()


def test_little_memory_makes_small_batches_and_changes_no_bit(case: Case, cupy: ModuleType) -> None:
    whole = added(case, gpus(1)).sums
    fake_cupy.configure(1, int(0.5 * MB))
    assert added(case, gpus(1)).sums.tobytes() == whole.tobytes()
    assert fake_cupy.peak()[0] <= 0.45 * MB


def test_sums_that_do_not_fit_say_what_they_take(case: Case, cupy: ModuleType) -> None:
    fake_cupy.configure(2, int(0.2 * MB))
    with pytest.raises(TooLarge, match=r"1/1 of the sums, which GPUs share, takes 0\.00 GB on device 0"):
        added(case, gpus(1))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_all_planes_once_and_of_equal_work(count: int) -> None:
    planes, found = 259, shares(2, 259, count)
    flat = [(one.half, plane) for own in found for one in own for plane in range(planes)[one.planes]]
    assert flat == [(half, plane) for half in range(2) for plane in range(planes)]
    if count == 2:
        assert [(own[0].half, len(own)) for own in found] == [(0, 1), (1, 1)]
    work = [sum(1.2 - abs(plane - 129) / 129.5 for one in own for plane in range(planes)[one.planes]) for own in found]
    assert max(work) < 1.05 * min(work)


def test_the_map_is_the_truths(case: Case, cupy: ModuleType) -> None:
    fake_cupy.configure(2)
    made = backproject(case.images, case.poses, case.ctf, pixel_size=PIXEL, compute=gpus(2))
    assert np.corrcoef(made.ravel(), case.truth.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("count", [1, 2, 3])
def test_projections_are_those_of_the_cpu_and_of_the_truth(case: Case, cupy: ModuleType, count: int) -> None:
    fake_cupy.configure(count, 2 * MB)
    some = slice(0, 7)
    seen = [
        project(case.truth, case.poses[some], case.ctf[some], pixel_size=PIXEL, compute=compute)
        for compute in (CPU, gpus(count))
    ]
    assert np.abs(seen[1] - seen[0]).max() < 2e-5 * np.abs(seen[0]).max()
    assert np.corrcoef(seen[1].ravel(), case.images[some].ravel())[0, 1] > 0.99
