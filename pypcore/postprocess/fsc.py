"""Fourier shell correlation of two half maps: unmasked, masked, with phases made random, corrected.

Shell s holds the Fourier voxels whose distance from the origin rounds to s; s runs from 0 to box/2, and its
frequency is s / (box pixel_size), 1/Å. The correction is that of Chen et al. 2013, Ultramicroscopy 135, 24.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pypcore.postprocess.transform import Map, Spectrum, mask_transform, transform

Curve = npt.NDArray[np.float64]

RANDOM_FROM = 0.8
"""Phases are made random from the first shell where the unmasked halves correlate less than this (RELION's rule)."""
AFTER = 2  # shells past that one before the correction begins: a mask smears the edge over its neighbours
SEED = 1


@dataclass(frozen=True)
class Fsc:
    """The four curves, an element a shell. ``random_from`` is the first shell with random phases; None: there is none.

    ``box`` in voxels, ``pixel_size`` in Å.
    """

    box: int
    pixel_size: float
    unmasked: Curve
    masked: Curve
    randomised: Curve
    corrected: Curve
    random_from: int | None

    @property
    def frequency(self) -> Curve:
        """The frequency of each shell, 1/Å."""
        return np.arange(len(self.unmasked)) / (self.box * self.pixel_size)

    def resolution(self, threshold: float = 0.143, curve: Curve | None = None) -> float:
        """Return the resolution, Å, where the corrected curve (or ``curve``) first falls below ``threshold``.

        Linear between shells; twice the pixel size where it never does.
        """
        values = self.corrected if curve is None else curve
        below = np.flatnonzero(values[1:] < threshold) + 1
        if not len(below):
            return 2 * self.pixel_size
        s = int(below[0])
        before = float(values[s - 1])
        shell = s - 1 + (before - threshold) / (before - float(values[s])) if before > threshold else s
        return self.box * self.pixel_size / max(shell, 0.5)


def measure(half1: Map, half2: Map, pixel_size: float, mask: Map | None = None, *, threads: int = 1) -> Fsc:
    """Compare two half maps [z, y, x] of ``pixel_size`` Å, under ``mask`` (0 to 1) for the last three curves."""
    box = half1.shape[0]
    halves = (half1, half2)
    unmasked = correlate(*(transform(half, threads=threads) for half in halves))
    if mask is None:
        return Fsc(box, pixel_size, unmasked, unmasked, np.zeros_like(unmasked), unmasked, None)
    below = np.flatnonzero(unmasked[1:] < RANDOM_FROM) + 1
    random_from = int(below[0]) if len(below) else None
    masked = correlate(*(transform(half, mask, threads=threads) for half in halves))
    randomised, corrected = np.zeros_like(masked), masked.copy()
    if random_from is not None:
        rng = np.random.default_rng(SEED)
        noise = []
        for half in halves:
            spectrum = transform(half, threads=threads)
            _make_phases_random(spectrum, random_from, rng)
            mask_transform(spectrum, mask, threads=threads)
            noise.append(spectrum)
        randomised = correlate(*noise)
        past = slice(random_from + AFTER, None)
        chance = randomised[past]
        room = np.maximum(1 - chance, 1e-6)
        corrected[past] = np.where(masked[past] > chance, (masked[past] - chance) / room, 0)
    return Fsc(box, pixel_size, unmasked, masked, randomised, corrected, random_from)


def shells(box: int) -> npt.NDArray[np.int32]:
    """Return the shell of each voxel of an rfftn of a cube; those beyond Nyquist are box // 2 + 1."""
    return np.stack(list(_shell_planes(box)))


def _shell_planes(box: int) -> Iterator[npt.NDArray[np.int32]]:
    k2 = (np.fft.fftfreq(box, 1 / box) ** 2).astype(np.float32)
    for z2 in k2:
        radius = np.sqrt(z2 + k2[:, None] + np.arange(box // 2 + 1, dtype=np.float32) ** 2)
        yield np.minimum(np.rint(radius), box // 2 + 1).astype(np.int32)


def radial_sum(values: npt.NDArray[np.floating], shell: npt.NDArray[np.int32], box: int) -> Curve:
    """Add up ``values`` of an rfftn by shell; voxels whose mates are left out by rfftn count twice."""
    weights = np.asarray(values, np.float64) * 2
    for plane in (0, box // 2):  # x = 0 and x = Nyquist hold both of a pair
        weights[:, :, plane] /= 2
    summed = np.bincount(shell.reshape(-1), weights.reshape(-1), minlength=box // 2 + 2)
    return np.asarray(summed[: box // 2 + 1], np.float64)


def correlate(first: Spectrum, second: Spectrum) -> Curve:
    """Return the correlation of two transforms by shell; 1 at the origin, and 0 where one has nothing."""
    box = first.shape[0]
    sums = np.zeros((3, box // 2 + 2))  # of cross terms, and of each power
    twice = np.full(box // 2 + 1, 2.0)  # voxels whose mates are left out by rfftn; x = 0 and x = Nyquist hold both
    twice[[0, box // 2]] = 1
    for one, other, shell in zip(first, second, _shell_planes(box), strict=True):
        parts = ((one * other.conj()).real, one.real**2 + one.imag**2, other.real**2 + other.imag**2)
        for total, values in zip(sums, parts, strict=True):
            total += np.bincount(shell.reshape(-1), (values * twice).reshape(-1), minlength=box // 2 + 2)
    cross, *powers = sums[:, : box // 2 + 1]
    norm = np.sqrt(powers[0] * powers[1])
    result = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    result[0] = 1
    return np.asarray(result, np.float64)


def _make_phases_random(spectrum: Spectrum, random_from: int, rng: np.random.Generator) -> None:
    """Leave the amplitudes of a transform and, from a shell on, make its phases random; in place."""
    box = spectrum.shape[0]
    drawn = rng.random((2, box, box), np.float32)  # of the planes x = 0 and x = Nyquist, which hold both of a pair:
    mates = np.roll(drawn[:, ::-1, ::-1], (1, 1), (1, 2))
    paired = drawn - mates  # opposite at opposite frequencies, and as evenly spread
    for z, (plane, shell) in enumerate(zip(spectrum, _shell_planes(box), strict=True)):
        turns = rng.random(plane.shape, np.float32)
        turns[:, 0], turns[:, -1] = paired[0, z], paired[1, z]
        angle = np.float32(2 * np.pi) * turns
        turned = np.abs(plane) * (np.cos(angle) + np.complex64(1j) * np.sin(angle))
        np.copyto(plane, turned, where=shell >= random_from)
