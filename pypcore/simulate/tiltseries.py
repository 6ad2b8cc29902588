"""Simulated tilt series whose alignment, specimen and bad views are known.

Geometry, as IMOD has it. Lengths in px, angles in degrees. A point (X, Y, Z) of the specimen, from the centre of
its volume, appears in the aligned view of tilt t at u = X cos t + Z sin t (along x), v = Y (along y), from the
view's centre (n/2 - 0.5 of its n px). A view as recorded is the aligned one moved and turned: the aligned place is
A (raw - centre) + D + centre with A = [[cos a, sin a], [-sin a, cos a]] for a tilt axis a degrees
counter-clockwise from y, and D the view's shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore.kernels.cpu.points import deposit_points
from pypcore.kernels.cpu.simulate import deposit
from pypcore.simulate.physics import critical_exposure, electron_wavelength
from pypcore.simulate.tilt_specimen import BLOB, Content, Specimen, make_needle, make_specimen

Array = NDArray[np.float64]

_EDGE = 16  # px of canvas beyond the view, so that blobs at its edge are whole
_CONTRAST = 0.004  # of unit density, per px of path
_ABSORBED = 0.03 / 128  # share of the beam a slab scatters away, per px of path


@dataclass(frozen=True)
class TiltPlan:
    """How a series is recorded."""

    shape: tuple[int, int] = (512, 512)  # height, width of a view, px
    depth: int = 128  # of the scored volume, px
    pixel_size: float = 10.0  # Å
    angles: tuple[float, float, float] = (-60.0, 60.0, 3.0)  # first, last, step, degrees
    axis: float = 85.3  # degrees counter-clockwise from y
    shift: float = 100.0  # px: shifts are spread evenly over a disc of this radius
    dose: float = 3.0  # e-/Å² a view; 0 = no noise
    tilt_offset: float = 0.0  # degrees between the tilt given and the slab's
    damage: bool = False  # fade by the dose before each view, in dose-symmetric order
    defocus: float = 0.0  # µm, the same in all views; 0 = contrast as density
    dark: tuple[int, ...] = ()  # views with hardly any beam
    lost: tuple[int, ...] = ()  # views of another place
    bend: float = 0.0  # px: how far places move, besides the views as a whole (``bending``)


@dataclass(frozen=True)
class SimulatedSeries:
    """Views and all that is known of them."""

    tilts: NDArray[np.float32]  # [T, y, x], counts (noise free: expected counts a unit dose)
    angles: Array  # [T], degrees, as given to a program
    doses: Array  # [T], e-/Å² before each view
    shifts: Array  # [T, (x, y)], px: D of the aligned frame
    plan: TiltPlan
    specimen: Specimen

    def truth(self) -> NDArray[np.float32]:
        """The density [z, y, x] of the scored volume, of a view's height and width."""
        shape = (self.plan.depth, *self.plan.shape)
        volume = np.zeros(shape, np.float32)
        deposit_points(volume, self.specimen.points + (np.array(shape) / 2 - 0.5), self.specimen.weights)
        spectrum = scipy.fft.rfftn(volume)
        for axis, k in enumerate((*map(scipy.fft.fftfreq, shape[:2]), scipy.fft.rfftfreq(shape[2]))):
            blob = np.exp(-2 * (np.pi * BLOB * k) ** 2) / np.sinc(k) ** 4
            spectrum *= np.expand_dims(blob, tuple(i for i in range(3) if i != axis)).astype(np.float32)
        return np.asarray(scipy.fft.irfftn(spectrum, s=shape))


def simulate_series(content: Content, plan: TiltPlan, *, seed: int) -> SimulatedSeries:
    """Record a series of one kind of content; ``seed`` decides specimen, shifts and noise."""
    rng = np.random.default_rng([seed, 17])
    first, last, step = plan.angles
    angles = np.arange(first, last + 1e-6, step)
    order = np.argsort(np.abs(angles) + 1e-3 * (angles < 0), kind="stable")
    doses = np.empty(len(angles))
    doses[order] = np.arange(len(angles)) * plan.dose
    shifts = plan.shift * np.sqrt(rng.uniform(0, 1, len(angles)))[:, None] * _directions(rng, len(angles))
    half = max(plan.shape) / 2 * (abs(np.cos(np.radians(plan.axis))) + abs(np.sin(np.radians(plan.axis)))) + plan.shift
    widest = float(np.cos(np.radians(np.abs(angles + plan.tilt_offset).max())))
    reach = (half + 10, half / widest + plan.depth)
    volume = (plan.depth, *plan.shape)
    specimen = make_specimen(content, volume, reach, seed=seed)
    elsewhere = make_specimen(content, volume, reach, seed=seed + 1000) if plan.lost else specimen
    tilts = np.empty((len(angles), *plan.shape), np.float32)
    for t, angle in enumerate(angles):
        shown = elsewhere if t in plan.lost else specimen
        density = _project(shown, plan, angle + plan.tilt_offset, shifts[t], doses[t])
        path = plan.depth / np.cos(np.radians(angle))
        expected = np.exp(-_ABSORBED * path - _CONTRAST * density) * (0.02 if t in plan.dark else 1.0)
        if plan.dose:
            tilts[t] = rng.poisson(plan.dose * plan.pixel_size**2 * expected)
        else:
            tilts[t] = expected
    return SimulatedSeries(tilts, angles, doses, shifts, plan, specimen)


def simulate_needle(plan: TiltPlan, *, seed: int) -> SimulatedSeries:
    """Record an isolated object in dark field: bright, in empty space, with noise of ``1 / plan.dose`` of it."""
    rng = np.random.default_rng([seed, 18])
    first, last, step = plan.angles
    angles = np.arange(first, last + 1e-6, step)
    shifts = plan.shift * np.sqrt(rng.uniform(0, 1, len(angles)))[:, None] * _directions(rng, len(angles))
    specimen = make_needle((plan.depth, *plan.shape), seed=seed)
    tilts = np.stack([_project(specimen, plan, angle, shift, 0.0) for angle, shift in zip(angles, shifts, strict=True)])
    tilts = tilts / tilts.std() * 1000 - 5000
    if plan.dose:
        tilts += rng.normal(0, 1000 / plan.dose, tilts.shape)
    return SimulatedSeries(tilts.astype(np.float32), angles, np.zeros(len(angles)), shifts, plan, specimen)


def raw_places(points: Array, plan: TiltPlan, angle: float, shift: Sequence[float] | Array) -> Array:
    """Where points [n, (Z, Y, X)] appear in a raw view: [n, (y, x)], px."""
    t, a = np.radians(angle), np.radians(plan.axis)
    bent = bending(points, plan, angle)
    u = points[:, 2] * np.cos(t) + points[:, 0] * np.sin(t) + bent[:, 0] - shift[0]
    v = points[:, 1] + bent[:, 1] - shift[1]
    height, width = plan.shape
    y = np.sin(a) * u + np.cos(a) * v + height / 2 - 0.5
    x = np.cos(a) * u - np.sin(a) * v + width / 2 - 0.5
    return np.stack([y, x], -1)


def bending(points: Array, plan: TiltPlan, angle: float) -> Array:
    """How much further (u, v) points [n, (Z, Y, X)] appear in the aligned view because the specimen bends: [n, 2] px.

    Smooth in place and tilt, up to about ``plan.bend``; what a specimen of another shape would explain is taken out.
    """
    if not plan.bend:
        return np.zeros((len(points), 2))
    height, width = plan.shape
    across, along = np.pi * points[:, 2] / width, np.pi * points[:, 1] / height
    first, last, step = plan.angles
    tilts = np.append(np.arange(first, last + 1e-6, step) + plan.tilt_offset, angle)
    t, turn = np.radians(tilts), np.pi * tilts / 60
    static = np.stack([np.cos(t), np.sin(t)], -1)
    course = np.cos(turn)
    course = course - static @ np.linalg.lstsq(static[:-1], course[:-1], rcond=None)[0]
    u = course[-1] * np.sin(across + 0.6) * np.cos(along)
    v = (np.sin(turn[-1] / 2) - np.sin(turn[:-1] / 2).mean()) * np.cos(across) * np.sin(along - 0.4)
    return plan.bend * np.stack([u, v], -1)


def _project(specimen: Specimen, plan: TiltPlan, angle: float, shift: Array, dose: float) -> Array:
    """Density along the beam [y, x], as the microscope shows it."""
    height, width = plan.shape
    canvas = tuple(2 * scipy.fft.next_fast_len(-(-(n + 2 * _EDGE) // 2), real=True) for n in plan.shape)
    places = raw_places(specimen.points, plan, angle, shift) + _EDGE
    inside = np.all((places > 2) & (places < np.array(canvas) - 3), axis=1)
    total = np.zeros(canvas, np.float32)
    for weight in np.unique(specimen.weights):
        chosen = places[inside & (specimen.weights == weight)].astype(np.float32)
        layer = np.zeros(canvas, np.float32)
        deposit(layer, chosen[:, 0].copy(), chosen[:, 1].copy())
        total += np.float32(weight) * layer
    ky, kx = scipy.fft.fftfreq(canvas[0])[:, None], scipy.fft.rfftfreq(canvas[1])[None]
    k = np.hypot(ky, kx)
    filtered = np.exp(-2 * (np.pi * BLOB * k) ** 2) / (np.sinc(ky) * np.sinc(kx)) ** 4
    k = k / plan.pixel_size
    if plan.damage and dose:
        filtered = filtered * np.exp(-dose / (2 * critical_exposure(k, 300.0)))
    if plan.defocus:
        phase = np.pi * electron_wavelength(300.0) * plan.defocus * 1e4 * k**2
        filtered = filtered * np.sin(phase + np.arcsin(0.07))
    image = scipy.fft.irfft2(scipy.fft.rfft2(total) * filtered, s=canvas)
    return np.asarray(image[_EDGE : _EDGE + height, _EDGE : _EDGE + width], np.float64)


def _directions(rng: np.random.Generator, n: int) -> Array:
    turn = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.sin(turn), np.cos(turn)], -1)
