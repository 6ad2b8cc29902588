"""Specimens: contrast images c [y, x], so that a frame expects ``dose * (1 + c)`` electrons.

A contrast image is larger than the frame made from it, the frame in its middle, so that what moves into the
frame is there to be seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore.kernels.cpu.simulate import deposit
from pypcore.simulate.physics import electron_wavelength

MARGIN = 64
"""Pixels of specimen beyond each edge of the frame."""

# Electron scattering factor of carbon, Peng et al. 1996 (Acta Cryst. A52, 257): sum of A exp(-B s²), s = k/2.
_CARBON_A = (0.0893, 0.2563, 0.7570, 1.0487, 0.3575)
_CARBON_B = (0.2465, 1.7100, 6.4094, 18.6113, 50.2523)
_ATOMS_PER_A3 = 0.058


@dataclass(frozen=True)
class Optics:
    """How the microscope shows a specimen."""

    pixel_size: float  # Å
    voltage: float = 300.0  # kV
    defocus: float = 1.5  # µm
    spherical_aberration: float = 2.7  # mm
    amplitude_contrast: float = 0.07
    b_factor: float = 60.0  # Å²


def particle_contrast(
    shape: tuple[int, int],
    optics: Optics,
    *,
    seed: int,
    diameter: float = 180.0,
    coverage: float = 0.4,
    ice_contrast: float = 0.02,
) -> NDArray[np.float32]:
    """Simulate protein particles in vitreous ice under a contrast transfer function.

    Args:
        shape: height and width of the frame, px; the contrast is larger by at least ``MARGIN`` at each edge.
        optics: microscope.
        seed: decides particles, places and ice.
        diameter: of a particle, Å.
        coverage: share of the area under particles.
        ice_contrast: rms contrast of the smooth ice thickness.

    Returns:
        Periodic contrast [y, x], about 3 % rms at the defaults.
    """
    rng = np.random.default_rng([seed, 0])
    canvas = (_good_size(shape[0] + 2 * MARGIN), _good_size(shape[1] + 2 * MARGIN))
    atoms = np.zeros(canvas, np.float32)
    pixel = optics.pixel_size
    models = [_particle(rng, diameter * scale) for scale in (0.8, 1.0, 1.15)]
    wanted = max(4, round(coverage * canvas[0] * canvas[1] * pixel**2 / (np.pi * (diameter / 2) ** 2)))
    for n, (y, x) in enumerate(_scatter(rng, canvas, wanted, 0.9 * diameter / pixel)):
        points = models[n % len(models)] @ _rotation(rng).T / pixel
        deposit(atoms, (points[:, 0] + y).astype(np.float32), (points[:, 1] + x).astype(np.float32))

    spectrum = scipy.fft.rfft2(atoms)
    _image(spectrum, canvas, optics)
    noise = scipy.fft.rfft2(rng.standard_normal(canvas, dtype=np.float32))
    for rows, k2 in _frequencies_squared(canvas, pixel):
        noise[rows] *= ((k2 + 1500.0**-2) ** -0.75 * np.exp(-k2 * 60.0**2)).astype(np.float32)
    noise[0, 0] = 0
    ice = scipy.fft.irfft2(noise, s=canvas)
    contrast = scipy.fft.irfft2(spectrum, s=canvas)
    contrast -= ice * np.float32(ice_contrast / ice.std())
    return contrast


def micrograph_contrast(micrograph: NDArray[np.generic]) -> NDArray[np.float32]:
    """Take a real micrograph, as it is, for a specimen.

    Its own shot noise is part of what is seen, and moves with it: finer detail than a specimen has, which makes a
    movie of it easier to align than the specimen's own would be.

    Args:
        micrograph: [y, x] counts, any type, not flattened.

    Returns:
        Contrast [y, x] with mean 0, of the micrograph's shape.
    """
    image = np.asarray(micrograph, np.float32)
    mean = image.mean()
    # X-rays and hot pixels: nothing in ice is 6 standard deviations from the mean in one pixel.
    contrast = np.clip(image / mean - 1, *(np.array([-6, 6]) * image.std() / mean)).astype(np.float32)
    contrast -= contrast.mean()
    return contrast


def _image(spectrum: NDArray[np.complex64], canvas: tuple[int, int], optics: Optics) -> None:
    """Turn the spectrum of atom positions into that of contrast, in place: scattering, CTF, envelope."""
    pixel, wavelength = optics.pixel_size, electron_wavelength(optics.voltage)
    ky, kx = np.fft.fftfreq(canvas[0]), np.fft.rfftfreq(canvas[1])
    for rows, k2 in _frequencies_squared(canvas, pixel):
        scattering = sum(a * np.exp(-b * k2 / 4) for a, b in zip(_CARBON_A, _CARBON_B, strict=True))
        scattering = 1.2 * scattering * (1 - 0.54 * np.exp(-k2 * 8.0**2))  # ice is displaced
        deposited = (np.sinc(ky[rows])[:, None] * np.sinc(kx)[None]) ** 4
        phase = np.pi * wavelength * optics.defocus * 1e4 * k2
        phase -= 0.5 * np.pi * optics.spherical_aberration * 1e7 * wavelength**3 * k2**2
        transfer = np.sin(phase + np.arcsin(optics.amplitude_contrast))
        nyquists = np.sqrt(k2) * 2 * pixel
        envelope = np.exp(-optics.b_factor * k2 / 4) * (1 - 0.35 * np.clip(nyquists, 0, 1.2) ** 2)
        envelope *= np.exp(-((np.clip(nyquists - 0.98, 0, None) / 0.05) ** 2))
        factor = -2 * wavelength * scattering * transfer * envelope / (np.maximum(deposited, 0.02) * pixel**2)
        spectrum[rows] *= factor.astype(np.float32)
    spectrum[0, 0] = 0


def _frequencies_squared(shape: tuple[int, int], pixel_size: float) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """k² in 1/Å² of a half spectrum, by blocks of rows (a K3 canvas in one piece would take gigabytes)."""
    ky, kx = np.fft.fftfreq(shape[0], pixel_size), np.fft.rfftfreq(shape[1], pixel_size)
    for start in range(0, shape[0], 256):
        rows = slice(start, min(start + 256, shape[0]))
        yield rows, ky[rows, None] ** 2 + kx[None] ** 2


def _particle(rng: np.random.Generator, diameter: float) -> NDArray[np.float64]:
    """Atoms [n, 3] (Å, around the origin) of a globular particle of five lobes."""
    radius = diameter / 2
    centres = rng.normal(size=(5, 3))
    centres *= 0.55 * radius / np.linalg.norm(centres, axis=1, keepdims=True)
    radii = radius * rng.uniform(0.38, 0.52, 5)
    points = rng.uniform(-radius, radius, (int(_ATOMS_PER_A3 * diameter**3), 3))
    inside = [((points - centre) ** 2).sum(1) < r * r for centre, r in zip(centres, radii, strict=True)]
    return points[np.any(inside, axis=0)]


def _rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random rotation, uniform over all of them (from a random unit quaternion)."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _scatter(
    rng: np.random.Generator, canvas: tuple[int, int], wanted: int, distance: float
) -> list[tuple[float, float]]:
    """Up to ``wanted`` random places (y, x) at least ``distance`` px apart, with 60 tries for each."""
    places: list[tuple[float, float]] = []
    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for _ in range(60 * wanted):
        y, x = rng.uniform(0, canvas[0]), rng.uniform(0, canvas[1])
        cy, cx = int(y // distance), int(x // distance)
        near = (p for dy in (-1, 0, 1) for dx in (-1, 0, 1) for p in cells.get((cy + dy, cx + dx), ()))
        if all((py - y) ** 2 + (px - x) ** 2 >= distance**2 for py, px in near):
            places.append((y, x))
            cells.setdefault((cy, cx), []).append((y, x))
            if len(places) == wanted:
                break
    return places


def _good_size(n: int) -> int:
    """The next even size that has no prime factor above 5."""
    return 2 * scipy.fft.next_fast_len((n + 1) // 2, real=True)
