"""CTF correction that knows how deep things lie: defocus along u within a tilt, and slab by slab along z.

A voxel at height Z' that a tilt of angle t sees at u lies at w = -u tan t + Z' / cos t along the beam. Its defocus is
``defocus - hand * w``: with hand 1, what is at positive w (``geometry.tilt_depth``) is less underfocused. Which hand a
microscope has depends on how its images and angles were stored; ``hand.py`` finds out.

Images are corrected for a series of defoci, and each pixel is put together from the two nearest to its own; a stack
so corrected serves a slab of the volume. Steps are as fine as the phase at the highest frequency used asks for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.geometry import tilt_centre
from pypcore.kernels import fft
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.views import Views
from pypcore.tomogram.weighting import padded, padded_width

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_PHASE = 1 / 8  # of pi: how far the phase may be off at the highest frequency, at the edge of a step
_GRAZING = 0.1  # cosine below which a tilt is not taken literally


@dataclass(frozen=True)
class TiltCtf:
    """The CTF of each tilt, in the order of the stack.

    ``defocus_u``, ``defocus_v`` [T] in Å, underfocus positive; ``angle`` [T] degrees from +x towards +y (rows) of the
    raw image to the direction of ``defocus_u``; ``phase_shift`` [T] degrees. ``voltage`` kV, ``cs`` mm.
    """

    defocus_u: Array
    defocus_v: Array
    angle: Array
    phase_shift: Array
    voltage: float = 300.0
    cs: float = 2.7
    amplitude_contrast: float = 0.07

    def __post_init__(self) -> None:
        """Hold the arrays to one length and to numbers."""
        sizes = {len(a) for a in (self.defocus_u, self.defocus_v, self.angle, self.phase_shift)}
        if len(sizes) != 1:
            raise InputError(f"CTF of a tilt series: lists of {sorted(sizes)} values; there is one of each for a tilt")
        for name in ("defocus_u", "defocus_v", "angle", "phase_shift"):
            wrong = np.flatnonzero(~np.isfinite(getattr(self, name)))
            if wrong.size:
                raise InputError(f"CTF of a tilt series: {name} of tilt {wrong[0] + 1} is not a number; leave it out")

    def select(self, images: NDArray[np.intp]) -> "TiltCtf":
        """Return that of some images, in their order."""
        return TiltCtf(
            self.defocus_u[images],
            self.defocus_v[images],
            self.angle[images],
            self.phase_shift[images],
            self.voltage,
            self.cs,
            self.amplitude_contrast,
        )

    @property
    def wavelength(self) -> float:
        """Return the electrons' wavelength in Å."""
        volts = self.voltage * 1e3
        return float(12.2643 / np.sqrt(volts * (1 + 0.978476e-6 * volts)))

    def at(self, tilt: int, kx: Array, ky: Array, turned: float = 0.0, less: float = 0.0) -> Array:
        """Return the CTF of ``tilt`` at frequencies in 1/Å; +amplitude contrast at 0.

        sin(pi lambda z k^2 - pi/2 Cs lambda^3 k^4 + phase shift + asin(amplitude contrast)), for images that were
        turned clockwise by ``turned`` degrees and whose defocus is ``less`` Å less.
        """
        k2 = kx * kx + ky * ky
        mean = (self.defocus_u[tilt] + self.defocus_v[tilt]) / 2 - less
        half = (self.defocus_u[tilt] - self.defocus_v[tilt]) / 2
        defocus = mean
        if half != 0:
            theta = np.deg2rad(self.angle[tilt] - turned)
            # cos 2(phi - theta) without an arc tangent
            squares = np.where(k2 > 0, k2, 1)
            defocus = mean + half * (
                (kx * kx - ky * ky) / squares * np.cos(2 * theta) + 2 * kx * ky / squares * np.sin(2 * theta)
            )
        wave = self.wavelength
        chi = np.pi * wave * defocus * k2 - np.pi / 2 * self.cs * 1e7 * wave**3 * k2 * k2
        return np.asarray(np.sin(chi + np.deg2rad(self.phase_shift[tilt]) + np.arcsin(self.amplitude_contrast)))


def defocus_step(ctf: TiltCtf, voxel: float, cutoff: float) -> float:
    """Return the step of defocus (Å) whose half changes the phase by pi / 8 at ``cutoff`` cycles per voxel."""
    return float(2 * _PHASE / (ctf.wavelength * (cutoff / voxel) ** 2))


def slab_planes(alignment: TiltAlignment, ctf: TiltCtf, settings: TomogramSettings) -> int:
    """Return how many planes of the volume one corrected stack serves."""
    voxel = alignment.pixel_size * settings.binning
    steepest = max(_GRAZING, float(np.cos(np.deg2rad(alignment.specimen_angles)).min()))
    step = defocus_step(ctf, voxel, _highest(settings))
    return int(np.clip(step * steepest / voxel, 1, settings.shape[0]))


def _highest(settings: TomogramSettings) -> float:
    return min(0.5, settings.cutoff + settings.falloff)


class Corrector:
    """Corrects the aligned images of one series; may be called by several threads."""

    def __init__(self, views: Views, ctf: TiltCtf) -> None:
        """Prepare for the images of ``views``, whose tilts' CTF is ``ctf`` in the same order."""
        self.views, self.ctf = views, ctf
        settings = views.settings
        self.voxel = views.alignment.pixel_size * settings.binning
        self.step = defocus_step(ctf, self.voxel, _highest(settings))
        self.shape = (fft.good_size(views.height + 32), padded_width(views.width))
        ky, kx = fft.frequencies(self.shape)
        self.ky, self.kx = ky / self.voxel, kx / self.voxel
        self.turned = views.alignment.axes

    def __call__(self, tilt: int, image: Image, weight: Image | None, heights: list[float]) -> list[Image]:
        """Return ``image`` corrected for voxels at each of ``heights`` (Z, voxels), weighted along u by ``weight``."""
        spectrum = fft.rfft2(padded(image, self.shape[1]), self.shape)
        if weight is not None:
            spectrum *= weight
        depths = [self.depth(tilt, height) / self.step for height in heights]
        low = int(np.floor(min(d.min() for d in depths)))
        high = int(np.ceil(max(d.max() for d in depths)))
        out = [np.zeros_like(image) for _ in heights]
        for layer in range(low, high + 1):
            shares = [np.maximum(0, 1 - np.abs(depth - layer)) for depth in depths]
            if not any(share.any() for share in shares):
                continue
            less = self.views.settings.ctf_hand * layer * self.step
            corrected = fft.irfft2(spectrum * self._factor(tilt, less), self.shape)[: image.shape[0], : image.shape[1]]
            for share, sum_ in zip(shares, out, strict=True):
                sum_ += share.astype(np.float32) * corrected
        return out

    def depth(self, tilt: int, height: float) -> Array:
        """Return w (Å) [y, u] of the voxels at ``height`` that each pixel sees."""
        views = self.views
        t = np.deg2rad(views.alignment.specimen_angles[tilt])
        p = np.deg2rad(views.alignment.x_tilt)
        y = np.arange(views.height)[:, None] - tilt_centre(views.height) + views.settings.offset[1]
        u = np.arange(views.width)[None, :] - tilt_centre(views.width) + y * np.sin(p) * np.sin(t)
        cos = max(float(np.cos(t)), _GRAZING)
        return np.asarray((-u * np.sin(t) + y * np.sin(p) + height / np.cos(p)) / cos * self.voxel)

    def _factor(self, tilt: int, less: float) -> Image:
        ctf = self.ctf.at(tilt, self.kx, self.ky, self.turned[tilt], less)
        if self.views.settings.ctf == "phase-flip":
            return np.where(ctf < 0, -1, 1).astype(np.float32)
        noise = 1 / self.views.settings.wiener_snr
        return (ctf * (1 + noise) / (ctf * ctf + noise)).astype(np.float32)
