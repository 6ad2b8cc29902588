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
    """How well the hand of the settings agrees with the images, against the other one.

    ``expected`` [n], of each tilt looked at: how much the two hands' CTF^2 differ (sum of squares); ``found`` [n]: the
    product of that difference with the images. Were all of the power CTF^2, ``found`` would be half of ``expected``
    where the hand is right, minus half where the other is.
    """

    hand: int
    expected: Array
    found: Array

    @property
    def share(self) -> float:
        """Return how much of the hand's pattern is in the images: 1 all, 0 none of it, below 0 the other hand's."""
        return float(2 * self.found.sum() / self.expected.sum())

    @property
    def sigma(self) -> float:
        """Return how many standard errors, from the scatter of the tilts, ``share`` is above 0."""
        rest = self.found - self.expected * self.found.sum() / self.expected.sum()
        count = len(rest)
        error = np.sqrt((rest**2).sum() * count / (count - 1)) if count > 1 else np.inf
        return float(self.found.sum() / max(float(error), 1e-12))

    @property
    def verdict(self) -> str:
        """Return what to make of it, in words."""
        if self.sigma >= _CERTAIN:
            return f"hand {self.hand:+d} agrees with the images ({self.sigma:.1f} standard errors)"
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
    return HandCheck(views.settings.ctf_hand, *np.array(found).T)


def _agreement(tilt: int, image: Image, views: Views, ctf: TiltCtf) -> tuple[float, float]:
    """Return ``expected`` and ``found`` of one tilt."""
    size = min(_SQUARE, image.shape[0] // 2 * 2, image.shape[1] // 6 * 2)  # three side by side at least
    voxel = views.alignment.pixel_size * views.settings.binning
    starts = np.linspace(0, image.shape[1] - size, 2 * image.shape[1] // size - 1).astype(int)
    power = np.array([_power(image[:, u : u + size], size) for u in starts])
    ky, kx = (k / voxel for k in fft.frequencies((size, size)))
    k = np.hypot(ky, kx)
    band = (k > 1 / _COARSEST) & (k < min(1 / _FINEST, 0.45 / voxel))
    band &= np.abs(kx) > 1.5 / (size * voxel)  # edges of the raw field run along v
    mean = np.maximum(power[:, band].mean(0), 1e-30)
    # What of the power is signal, by shell: the rest is as in the shell that has least.
    shell = np.rint(k[band] * size * voxel).astype(int)
    radial = np.bincount(shell, mean) / np.maximum(np.bincount(shell), 1)
    signal = 1 - radial[radial > 0].min() / radial[shell]
    seen = signal * (power[:, band] / mean - 1)
    t = np.deg2rad(views.alignment.specimen_angles[tilt])
    less = -(starts + size / 2 - 0.5 - tilt_centre(views.width)) * np.tan(t) * voxel
    turned = views.alignment.axes[tilt]
    same, other = (
        np.array([ctf.at(tilt, kx, ky, turned, hand * d)[band] ** 2 for d in less])
        for hand in (views.settings.ctf_hand, -views.settings.ctf_hand)
    )
    difference = signal * (same - same.mean(0) - other + other.mean(0))
    return float((difference**2).sum()), float((difference * seen).sum())


def _power(strip: Image, size: int) -> Array:
    """Return the mean power spectrum of squares along a strip [y, size] that overlap by half, faded at their edges."""
    fade = np.hanning(size).astype(np.float32)
    window = fade[:, None] * fade[None, :]
    total = np.zeros((size, size // 2 + 1))
    for y in range(0, strip.shape[0] - size + 1, size // 2):
        square = strip[y : y + size]
        total += np.abs(fft.rfft2((square - square.mean()) * window)) ** 2
    return total
