"""A molecule without symmetry, its noise-free particles, and how alike two maps are."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from pypcore.reconstruct.particles import Ctf, Poses
from pypcore.simulate import particles as simulated

BOX, PIXEL = 48, 256 / 48


@dataclass(frozen=True)
class Case:
    """Particles with their truth."""

    truth: np.ndarray
    images: np.ndarray
    particles: simulated.Particles
    poses: Poses
    ctf: Ctf


def poses_of(given: simulated.Particles) -> Poses:
    return Poses(given.rot, given.tilt, given.psi, given.shift_y, given.shift_x)


def ctf_of(given: simulated.Particles) -> Ctf:
    return Ctf(given.defocus_u, given.defocus_v, given.angle, given.phase_shift, given.b_factor)


def molecule() -> simulated.Molecule:
    return simulated.chain(count=400, sigma=0.6 * PIXEL)


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    def make(count: int = 500, microscope: simulated.Microscope | None = None, **drawn: object) -> Case:
        given = simulated.random_particles(count, 1, **drawn)  # type: ignore[arg-type]
        images = simulated.images(molecule(), given, BOX, PIXEL, microscope or simulated.Microscope())
        return Case(simulated.density(molecule(), BOX, PIXEL), images, given, poses_of(given), ctf_of(given))

    return make


@pytest.fixture(scope="session")
def case(make_case) -> Case:
    return make_case(phase_shift=25.0)


def fourier_shells(a: np.ndarray, b: np.ndarray, radius: float = 80 / PIXEL) -> np.ndarray:
    """FSC of two maps under a soft sphere, by rounded radius in Fourier pixels."""
    n = len(a)
    z, y, x = (axis - n // 2 for axis in np.ogrid[:n, :n, :n])
    mask = np.clip(1 - (np.sqrt(z * z + y * y + x * x) - radius) / 3, 0, 1)
    first, second = (np.fft.fftn(v * mask) for v in (a, b))
    k = np.fft.fftfreq(n, 1 / n)
    shell = np.rint(np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)).astype(int).ravel()
    sums = [np.bincount(shell, v.ravel()) for v in ((first * second.conj()).real, abs(first) ** 2, abs(second) ** 2)]
    return (sums[0] / np.sqrt(sums[1] * sums[2]))[: n // 2 + 1]


def worst(a: np.ndarray, b: np.ndarray) -> float:
    """The least FSC from 0.1 to 0.9 Nyquist."""
    curve = fourier_shells(a, b)
    return float(curve[int(np.ceil(0.1 * len(a) / 2)) : int(0.9 * len(a) / 2) + 1].min())


@pytest.fixture(scope="session")
def maps() -> SimpleNamespace:
    """How alike two maps are, and the molecule and its particles' arrays."""
    return SimpleNamespace(
        shells=fourier_shells, worst=worst, molecule=molecule, poses_of=poses_of, ctf_of=ctf_of, box=BOX, pixel=PIXEL
    )
