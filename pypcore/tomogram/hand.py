"""Which side of a tilted specimen is less defocused: a check of the defocus hand against the images themselves.

In a tilted image the defocus changes along u, one way or the other. Power spectra of squares at several u are compared
with their mean over u, in which what they have in common (background, envelope) drops out; what is left is correlated
with the CTF^2 that either hand predicts for them, likewise less its mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.geometry import tilt_centre
from pypcore.kernels import fft
from pypcore.tomogram.ctf import TiltCtf
from pypcore.tomogram.views import Views

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_SQUARE = 256  # voxels
_FINEST = 8.0  # Å: beyond it, single tilts have no rings
_COARSEST = 60.0
_LEAST_TILT = 15.0  # degrees
_CERTAIN = 3.0  # standard errors


@dataclass(frozen=True)
class HandCheck:
    """How well both hands agree with the images: correlations of what changes along u, and their difference.

    ``same``, ``opposite`` [n]: for the hand of the settings and the other one, of each tilt looked at.
    """

    hand: int
    same: Array
    opposite: Array

    @property
    def sigma(self) -> float:
        """Return by how many standard errors over tilts the hand of the settings is better; negative: worse."""
        difference = self.same - self.opposite
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.inf
        return float(difference.mean() / max(float(error), 1e-12))

    @property
    def verdict(self) -> str:
        """Return what to make of it, in words."""
        if self.sigma >= _CERTAIN:
            return f"hand {self.hand:+d} agrees with the images ({self.sigma:.1f} standard errors better)"
        if self.sigma <= -_CERTAIN:
            return f"hand {-self.hand:+d} fits better ({-self.sigma:.1f} standard errors): change the hand"
        return f"the images don't tell ({self.sigma:+.1f} standard errors for hand {self.hand:+d})"


def check_hand(images: Iterable[tuple[int, Image]], views: Views, ctf: TiltCtf) -> HandCheck:
    """Compare both hands on aligned ``images``: (number in ``views``, [y, u]), unweighted; ``ctf`` in views' order.

    Those tilted by less than 15 degrees say nothing, and are passed over. Raises InputError where none is left.
    """
    angles = views.alignment.specimen_angles
    found = [_agreement(tilt, image, views, ctf) for tilt, image in images if abs(angles[tilt]) >= _LEAST_TILT]
    if not found:
        raise InputError(f"defocus hand: no tilt beyond {_LEAST_TILT:g} degrees; such a series can't tell it")
    same, opposite = np.array(found).T
    return HandCheck(views.settings.ctf_hand, same, opposite)


def _agreement(tilt: int, image: Image, views: Views, ctf: TiltCtf) -> tuple[float, float]:
    size = min(_SQUARE, *(n // 2 * 2 for n in image.shape))
    voxel = views.alignment.pixel_size * views.settings.binning
    starts = np.linspace(0, image.shape[1] - size, max(2, 2 * image.shape[1] // size - 1)).astype(int)
    power = np.array([_power(image[:, u : u + size], size) for u in starts])
    ky, kx = (k / voxel for k in fft.frequencies((size, size)))
    k = np.hypot(ky, kx)
    band = (k > 1 / _COARSEST) & (k < min(1 / _FINEST, 0.45 / voxel))
    band &= np.abs(kx) > 1.5 / (size * voxel)  # edges of the raw field run along v
    seen = power[:, band]
    seen = seen / np.maximum(seen.mean(0), 1e-30) - 1
    t = np.deg2rad(views.alignment.specimen_angles[tilt])
    u = starts + size / 2 - 0.5 - tilt_centre(views.width)
    results = []
    for hand in (views.settings.ctf_hand, -views.settings.ctf_hand):
        less = -hand * u * np.tan(t) * voxel
        curves = np.array([ctf.at(tilt, kx, ky, views.alignment.axes[tilt], d)[band] ** 2 for d in less])
        curves -= curves.mean(0)
        results.append(float((seen * curves).sum() / np.sqrt((seen**2).sum() * (curves**2).sum() + 1e-30)))
    return results[0], results[1]


def _power(strip: Image, size: int) -> Array:
    """Return the mean power spectrum of squares along a strip [y, size] that overlap by half, faded at their edges."""
    fade = np.hanning(size).astype(np.float32)
    window = fade[:, None] * fade[None, :]
    total = np.zeros((size, size // 2 + 1))
    for y in range(0, strip.shape[0] - size + 1, size // 2):
        square = strip[y : y + size]
        total += np.abs(fft.rfft2((square - square.mean()) * window)) ** 2
    return total
