"""Fourier shell correlation of two half maps: unmasked, masked, with phases made random, corrected.

Shell s holds the Fourier voxels whose distance from the origin rounds to s; s runs from 0 to box/2, and its
frequency is s / (box pixel_size), 1/Å. The correction is that of Chen et al. 2013, Ultramicroscopy 135, 24.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

Map = npt.NDArray[np.float32]
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
    shell = shells(box)
    first, second = (scipy.fft.rfftn(half, workers=threads) for half in (half1, half2))
    unmasked = correlate(first, second, shell)
    if mask is None:
        return Fsc(box, pixel_size, unmasked, unmasked, np.zeros_like(unmasked), unmasked, None)
    below = np.flatnonzero(unmasked[1:] < RANDOM_FROM) + 1
    random_from = int(below[0]) if len(below) else None
    inside = [scipy.fft.rfftn(half * mask, workers=threads) for half in (half1, half2)]
    masked = correlate(inside[0], inside[1], shell)
    randomised, corrected = np.zeros_like(masked), masked.copy()
    if random_from is not None:
        rng = np.random.default_rng(SEED)
        noise = [
            scipy.fft.rfftn(_with_random_phases(one, shell, random_from, rng, threads) * mask, workers=threads)
            for one in (first, second)
        ]
        randomised = correlate(noise[0], noise[1], shell)
        past = slice(random_from + AFTER, None)
        chance = randomised[past]
        room = np.maximum(1 - chance, 1e-6)
        corrected[past] = np.where(masked[past] > chance, (masked[past] - chance) / room, 0)
    return Fsc(box, pixel_size, unmasked, masked, randomised, corrected, random_from)


def shells(box: int) -> npt.NDArray[np.int32]:
    """Return the shell of each voxel of an rfftn of a cube; those beyond Nyquist are box // 2 + 1."""
    k2 = (np.fft.fftfreq(box, 1 / box) ** 2).astype(np.float32)
    radius = np.sqrt(k2[:, None, None] + k2[None, :, None] + np.arange(box // 2 + 1, dtype=np.float32) ** 2)
    return np.minimum(np.rint(radius), box // 2 + 1).astype(np.int32)


def radial_sum(values: npt.NDArray[np.floating], shell: npt.NDArray[np.int32], box: int) -> Curve:
    """Add up ``values`` of an rfftn by shell; voxels whose mates are left out by rfftn count twice."""
    weights = np.asarray(values, np.float64) * 2
    for plane in (0, box // 2):  # x = 0 and x = Nyquist hold both of a pair
        weights[:, :, plane] /= 2
    summed = np.bincount(shell.reshape(-1), weights.reshape(-1), minlength=box // 2 + 2)
    return np.asarray(summed[: box // 2 + 1], np.float64)


def correlate(
    first: npt.NDArray[np.complexfloating], second: npt.NDArray[np.complexfloating], shell: npt.NDArray[np.int32]
) -> Curve:
    """Return the correlation of two transforms by shell; 1 at the origin, and 0 where one has nothing."""
    box = first.shape[0]
    cross = radial_sum((first * second.conj()).real, shell, box)
    powers = [radial_sum(one.real**2 + one.imag**2, shell, box) for one in (first, second)]
    norm = np.sqrt(powers[0] * powers[1])
    result = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    result[0] = 1
    return result


def _with_random_phases(
    spectrum: npt.NDArray[np.complexfloating],
    shell: npt.NDArray[np.int32],
    random_from: int,
    rng: np.random.Generator,
    threads: int,
) -> Map:
    """Return the map with the amplitudes of ``spectrum`` and, from a shell on, random phases."""
    box = spectrum.shape[0]
    # The phases of white noise are random and those of a real map.
    noise = scipy.fft.rfftn(rng.standard_normal((box,) * 3, dtype=np.float32), workers=threads)
    turned = np.abs(spectrum) * np.exp(1j * np.angle(noise))
    mixed = np.where(shell >= random_from, turned, spectrum).astype(np.complex64)
    return np.asarray(scipy.fft.irfftn(mixed, (box,) * 3, workers=threads), np.float32)
