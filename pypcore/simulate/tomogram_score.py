"""How close a tomogram is to the truth, where the tilts measured anything."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

_SHELLS = 32  # to the Nyquist frequency
_GUARD = 1.5  # Fourier pixels along kx left out at 0, where no tilt says anything of the mean


@dataclass(frozen=True)
class TomogramScore:
    """Agreement within the measured wedge: correlation over all of it, Fourier shell correlation in 32 shells."""

    correlation: float
    fsc: NDArray[np.float64]  # [32], of equal width up to Nyquist

    def at(self, share: float) -> float:
        """Return the FSC at a share of the Nyquist frequency."""
        return float(self.fsc[int(share * _SHELLS)])

    @classmethod
    def of(
        cls, truth: NDArray[np.float32], found: NDArray[np.float32], max_tilt: float, threads: int = 1
    ) -> "TomogramScore":
        """Compare ``found`` with ``truth``, both [z, y, x], where |kz| <= |kx| tan(``max_tilt`` degrees)."""
        nz, ny, nx = truth.shape
        kz, ky = fft.fftfreq(nz)[:, None, None], fft.fftfreq(ny)[None, :, None]
        kx = fft.rfftfreq(nx)[None, None, :]
        radius = np.sqrt(kz**2 + ky**2 + kx**2)
        seen = (np.abs(kz) <= kx * np.tan(np.deg2rad(max_tilt))) & (radius < 0.5) & (kx * nx > _GUARD)
        a, b = (fft.rfftn(volume, workers=threads)[seen] for volume in (truth, found))
        shell = (radius[seen] * 2 * _SHELLS).astype(int)
        cross, own, other = (
            np.bincount(shell, part.astype(np.float64), _SHELLS)
            for part in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)
        )
        fsc = cross / np.sqrt(np.maximum(own * other, 1e-30))
        return cls(float(cross.sum() / np.sqrt(max(own.sum() * other.sum(), 1e-30))), fsc)
