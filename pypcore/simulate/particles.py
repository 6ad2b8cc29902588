"""Simulated single particles with everything known: density, poses, CTF, noise; in memory or as RELION's files.

The molecule is a sum of Gaussians. Its images are gridded straight from the projected atoms, so they carry no error of
interpolation in Fourier space, and share no formula with the code under test. Arrays are [z, y, x], the middle is
voxel N // 2; atoms are (x, y, z) in Å.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore.simulate.physics import electron_wavelength

Array = NDArray[np.float64]
Phase = Callable[[Array, Array], Array]

_HALF_WIDTH, _FINER = 3, 2  # of the gridding kernel, cells; the grid is that many times finer than the image


@dataclass(frozen=True)
class Molecule:
    """Gaussian atoms: places [n, (x, y, z)] and standard deviation in Å, weights [n]."""

    atoms: Array
    weights: Array
    sigma: float


@dataclass(frozen=True)
class Microscope:
    """What is the same for all images. Phases are functions of (kx, ky) in 1/Å, in radians."""

    voltage: float = 300.0  # kV
    cs: float = 2.7  # mm
    amplitude_contrast: float = 0.1
    even: Phase | None = None  # subtracted from the phase of the CTF
    odd: Phase | None = None  # of the image
    magnification: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))  # k_true = M k_image
    curved: int = 0  # +1 or -1: depth of focus is simulated, an atom at height z seen at defocus dz + curved z


@dataclass(frozen=True)
class Particles:
    """Poses (RELION's) and CTF of particles, one value each."""

    rot: Array  # degrees
    tilt: Array
    psi: Array
    shift_y: Array  # Å, to the middle of the box
    shift_x: Array
    defocus_u: Array  # Å
    defocus_v: Array
    angle: Array  # degrees
    phase_shift: Array  # degrees
    b_factor: Array  # Å²

    def __len__(self) -> int:
        return self.rot.size


def chain(seed: int = 12345, *, count: int = 1500, radius: float = 70.0, sigma: float = 1.2) -> Molecule:
    """Make a protein-like molecule without symmetry: four domains, each a random walk of 3.8 Å steps in a ball."""
    rng = np.random.default_rng(seed)
    domains = (
        ((0.10, 0.05, -0.35), 0.52, 0.40), ((0.45, 0.30, 0.25), 0.40, 0.27),
        ((-0.50, 0.10, 0.30), 0.35, 0.20), ((-0.05, -0.55, 0.20), 0.28, 0.13),
    )  # fmt: skip
    walks = [
        _walk(rng, round(count * share), size * radius) + np.array(centre) * radius for centre, size, share in domains
    ]
    atoms = np.concatenate(walks)
    atoms -= atoms.mean(0)
    atoms *= min(1.0, radius / np.linalg.norm(atoms, axis=1).max())
    return Molecule(atoms, rng.uniform(0.7, 1.3, len(atoms)), sigma)


def repeated(molecule: Molecule, rotations: Array, offset: tuple[float, float, float] = (0, 0, 0)) -> Molecule:
    """Repeat a molecule, moved by ``offset`` Å first, at each of ``rotations`` [n, 3, 3]."""
    moved = molecule.atoms + np.array(offset)
    atoms = np.concatenate([moved @ rotation.T for rotation in rotations])
    return Molecule(atoms, np.tile(molecule.weights, len(rotations)), molecule.sigma)


def random_particles(
    count: int,
    seed: int,
    *,
    views: Literal["uniform", "preferred", "side"] = "uniform",
    shift: float = 4.0,
    defocus: tuple[float, float] = (8000.0, 22000.0),
    astigmatism: float = 400.0,
    phase_shift: float = 0.0,
    b_factor: float = 0.0,
) -> Particles:
    """Draw poses and CTFs.

    Args:
        count: how many.
        seed: decides all.
        views: "uniform" over all directions; "preferred": four of five within some 15 degrees of the poles of the
            map; "side": near its equator.
        shift: standard deviation of each component, Å.
        defocus: range of the mean defocus, Å.
        astigmatism: most of U - V, Å.
        phase_shift: degrees.
        b_factor: Å².
    """
    rng = np.random.default_rng([seed, 1])
    rot, psi = rng.uniform(-180, 180, (2, count))
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, count)))
    if views == "preferred":
        polar = np.abs(rng.normal(0, 15, count)) % 180
        polar = np.where(rng.random(count) < 0.5, polar, 180 - polar)
        tilt = np.where(rng.random(count) < 0.8, polar, tilt)
    elif views == "side":
        tilt = np.clip(rng.normal(90, 5, count), 0, 180)
    shift_y, shift_x = rng.normal(0, shift, (2, count))
    mean, half = rng.uniform(*defocus, count), rng.uniform(0, astigmatism / 2, count)
    angle = rng.uniform(-90, 90, count)
    same = np.ones(count)
    return Particles(
        rot, tilt, psi, shift_y, shift_x, mean + half, mean - half, angle, phase_shift * same, b_factor * same
    )


def density(molecule: Molecule, box: int, pixel_size: float) -> NDArray[np.float32]:
    """Return the true map [z, y, x], whose sums along lines are the images without CTF."""
    grid, kernel = _spread(molecule.atoms[:, ::-1] / pixel_size, molecule.weights, box)
    spectrum = scipy.fft.rfftn(grid)
    for axis in (0, 1):
        spectrum = np.take(spectrum, _inner(box), axis)
    spectrum = spectrum[..., : box // 2 + 1]
    k = np.fft.fftfreq(box, pixel_size)
    full = np.exp(-2 * np.pi**2 * molecule.sigma**2 * k**2) / kernel * (-1.0) ** np.arange(box)
    half = full[: box // 2 + 1]
    spectrum = spectrum * full[:, None, None] * full[:, None] * half
    return scipy.fft.irfftn(spectrum, (box,) * 3).astype(np.float32)


def images(
    molecule: Molecule,
    particles: Particles,
    box: int,
    pixel_size: float,
    microscope: Microscope | None = Microscope(),
) -> NDArray[np.float32]:
    """Image particles without noise: [N, y, x], protein white. ``microscope`` None: plain projections."""
    result = np.empty((len(particles), box, box), np.float32)
    for number in range(len(particles)):
        result[number] = scipy.fft.irfft2(_image(molecule, particles, number, box, pixel_size, microscope), (box, box))
    return result


def with_noise(
    clean: NDArray[np.float32], snr: float, radius: float, seed: int, *, like: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Add white noise. ``snr``: variance of the signal within ``radius`` px of the middle, over that of the noise.

    The signal's variance is taken from ``like`` (default: of the first 64 of ``clean``).
    """
    side = clean.shape[1]
    y, x = np.mgrid[:side, :side] - side // 2
    inside = y * y + x * x < radius**2
    signal = np.mean([image[inside].var() for image in (clean if like is None else like)[:64]])
    noise = np.random.default_rng([seed, 2]).standard_normal(clean.shape, dtype=np.float32)
    return clean + noise * np.float32(np.sqrt(signal / snr))


def write_particles(
    folder: Path,
    stacks: Iterator[NDArray[np.float32]] | list[NDArray[np.float32]],
    particles: Particles,
    pixel_size: float,
    microscope: Microscope | None = None,
    *,
    optics: dict[str, float | str] | None = None,
    float16: bool = False,
) -> Path:
    """Write one stack for each micrograph, in order, and ``particles.star`` (RELION 3.1); return the latter.

    ``optics``: further columns of the table of optics, such as ``rlnBeamTiltX``. ``float16``: stacks of mode 12.
    """
    from pypcore.formats.mrc import write_mrc
    from pypcore.formats.star import write_star

    microscope = microscope or Microscope()
    (folder / "particles").mkdir(parents=True, exist_ok=True)
    names, micrographs, box = [], [], 0
    for number, stack in enumerate(stacks, 1):
        box = stack.shape[1]
        write_mrc(folder / f"particles/mic{number:04d}.mrcs", stack, pixel_size, float16=float16)
        names += [f"{n:06d}@particles/mic{number:04d}.mrcs" for n in range(1, len(stack) + 1)]
        micrographs += [f"micrographs/mic{number:04d}.mrc"] * len(stack)
    count = len(particles)
    table: dict[str, list[float | str]] = {
        "rlnOpticsGroup": [1], "rlnOpticsGroupName": ["opticsGroup1"], "rlnVoltage": [microscope.voltage],
        "rlnSphericalAberration": [microscope.cs], "rlnAmplitudeContrast": [microscope.amplitude_contrast],
        "rlnImagePixelSize": [pixel_size], "rlnImageSize": [box], "rlnImageDimensionality": [2],
        **{name: [value] for name, value in (optics or {}).items()},
    }  # fmt: skip
    rows = {
        "rlnImageName": names, "rlnMicrographName": micrographs, "rlnOpticsGroup": [1] * count,
        "rlnAngleRot": particles.rot.tolist(), "rlnAngleTilt": particles.tilt.tolist(),
        "rlnAnglePsi": particles.psi.tolist(), "rlnOriginXAngst": particles.shift_x.tolist(),
        "rlnOriginYAngst": particles.shift_y.tolist(), "rlnDefocusU": particles.defocus_u.tolist(),
        "rlnDefocusV": particles.defocus_v.tolist(), "rlnDefocusAngle": particles.angle.tolist(),
        "rlnPhaseShift": particles.phase_shift.tolist(), "rlnCtfBfactor": particles.b_factor.tolist(),
        "rlnRandomSubset": [1 + n % 2 for n in range(count)],
    }  # fmt: skip
    path = folder / "particles.star"
    write_star(path, {"optics": table, "particles": rows})
    return path


def _walk(rng: np.random.Generator, count: int, radius: float) -> Array:
    """Places of a chain of 3.8 Å steps that keeps its direction for a while and stays within ``radius`` Å."""
    places = np.empty((count, 3))
    place, direction = np.zeros(3), np.array([0.0, 0.0, 1.0])
    for step in range(count):
        for _ in range(50):
            new = 0.75 * direction + 0.52 * rng.normal(size=3)
            new /= np.linalg.norm(new)
            there = place + 3.8 * new
            if there @ there < radius * radius:
                break
        else:
            there, new = 0.9 * place, -place / (np.linalg.norm(place) + 1e-9)
        place, direction = there, new
        places[step] = place
    return places


def _image(
    molecule: Molecule, particles: Particles, number: int, box: int, pixel_size: float, microscope: Microscope | None
) -> NDArray[np.complex128]:
    """The spectrum of one image, moved to where the particle is."""
    points = molecule.atoms @ _view(particles.rot[number], particles.tilt[number], particles.psi[number]).T
    kx, ky = np.fft.rfftfreq(box, pixel_size)[None], np.fft.fftfreq(box, pixel_size)[:, None]
    stretch = np.eye(2) if microscope is None else np.array(microscope.magnification)
    x, y = (stretch[i, 0] * kx + stretch[i, 1] * ky for i in (0, 1))
    flat = points[:, :2] @ stretch / pixel_size  # (M k).r is k.(M^T r)
    envelope = np.exp(-2 * np.pi**2 * molecule.sigma**2 * (x * x + y * y)) * (
        (-1.0) ** (np.arange(box)[:, None] + np.arange(box // 2 + 1))
    )
    if microscope is None or not microscope.curved:
        spectrum: NDArray[np.complex128] = _projection(flat, molecule.weights, box) * envelope
        if microscope is not None:
            spectrum *= np.sin(_phase(microscope, particles, number, x, y, 0.0))
    else:
        spectrum = np.zeros((box, box // 2 + 1), np.complex128)
        layer = np.rint(points[:, 2] / 4).astype(int)
        for each in np.unique(layer):
            own = layer == each
            phase = _phase(microscope, particles, number, x, y, microscope.curved * points[own, 2].mean())
            spectrum += _projection(flat[own], molecule.weights[own], box) * envelope * np.sin(phase)
    if microscope is not None:
        spectrum *= np.exp(-particles.b_factor[number] / 4 * (x * x + y * y))
        if microscope.odd is not None:
            spectrum *= np.exp(1j * microscope.odd(x, y))
    return spectrum * np.exp(2j * np.pi * (kx * particles.shift_x[number] + ky * particles.shift_y[number]))


def _phase(microscope: Microscope, particles: Particles, number: int, x: Array, y: Array, height: float) -> Array:
    wavelength, k2 = electron_wavelength(microscope.voltage), x * x + y * y
    u, v, turn = particles.defocus_u[number], particles.defocus_v[number], np.radians(particles.angle[number])
    defocus = (u + v) / 2 + height + (u - v) / 2 * np.cos(2 * (np.arctan2(y, x) - turn))
    phase = np.pi * wavelength * defocus * k2 - np.pi / 2 * microscope.cs * 1e7 * wavelength**3 * k2**2
    phase = phase + np.radians(particles.phase_shift[number]) + np.arcsin(microscope.amplitude_contrast)
    return phase if microscope.even is None else phase - microscope.even(x, y)


def _view(rot: float, tilt: float, psi: float) -> Array:
    """Three rotations of the axes, one after another: about z, y, z."""

    def about_z(angle: float) -> Array:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])

    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    return about_z(np.radians(psi)) @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ about_z(np.radians(rot))


def _projection(points: Array, weights: Array, box: int) -> NDArray[np.complex128]:
    """The transform [y, x] of points (x, y) in pixels from the origin."""
    grid, kernel = _spread(points[:, ::-1], weights, box)
    spectrum = np.take(scipy.fft.rfft2(grid), _inner(box), 0)[:, : box // 2 + 1]
    return np.asarray(spectrum / (kernel[:, None] * kernel[: box // 2 + 1]), np.complex128)


def _inner(box: int) -> NDArray[np.int64]:
    """Rows of the finer grid's transform that an image has."""
    return np.r_[0 : box // 2, _FINER * box - box // 2 : _FINER * box]


def _spread(points: Array, weights: Array, box: int) -> tuple[Array, Array]:
    """Put points [n, d] (pixels, in the order of the axes) on a finer periodic grid; and the kernel's transform [box].

    The kernel is the exponential of a semicircle (Barnett et al. 2019, SIAM J. Sci. Comput. 41, C479), good to 1e-6.
    """
    dimensions, side = points.shape[1], _FINER * box
    grid = np.zeros(side**dimensions)
    steps = np.arange(2 * _HALF_WIDTH)
    for first in range(0, len(points), 2000):
        at = points[first : first + 2000] * _FINER
        base = np.ceil(at - _HALF_WIDTH).astype(int)
        share, cell = weights[first : first + 2000].copy(), np.zeros(len(at), int)
        for axis in range(dimensions):
            places = base[:, axis, None] + steps
            own = _window((places - at[:, axis, None]) / _HALF_WIDTH)
            shape = (len(at),) + (1,) * axis + (len(steps),)
            share = share[..., None] * own.reshape(shape)
            cell = cell[..., None] * side + (places % side).reshape(shape)
        grid += np.bincount(cell.ravel(), share.ravel(), minlength=grid.size)
    return grid.reshape((side,) * dimensions), _window_transform(box)


@lru_cache(maxsize=4)
def _window_transform(box: int) -> Array:
    node, weight = np.polynomial.legendre.leggauss(64)
    turns = np.fft.fftfreq(_FINER * box)[_inner(box), None] * _HALF_WIDTH * node
    transform: Array = (_HALF_WIDTH * weight * _window(node) * np.cos(2 * np.pi * turns)).sum(1)
    return transform


def _window(u: Array) -> Array:
    steepness = 2.30 * 2 * _HALF_WIDTH
    return np.where(np.abs(u) < 1, np.exp(steepness * (np.sqrt(np.maximum(0, 1 - u * u)) - 1)), 0.0)
