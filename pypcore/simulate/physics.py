"""The two formulas of electron optics and radiation damage that a simulated movie needs."""

import numpy as np
from numpy.typing import NDArray


def electron_wavelength(voltage: float) -> float:
    """Relativistic wavelength in Å at ``voltage`` kV (0.0197 Å at 300 kV)."""
    volts = voltage * 1e3
    return 12.2643247 / float(np.sqrt(volts * (1 + 0.978466e-6 * volts)))


def critical_exposure(k: NDArray[np.floating], voltage: float) -> NDArray[np.float64]:
    """Exposure in e-/Å² after which amplitude at ``k`` 1/Å has fallen to exp(-1/2).

    Grant and Grigorieff 2015 (eLife 4:e06980), Ne = 0.24499 k^-1.6649 + 2.8141 at 300 kV; times 0.8 at 200 kV
    and 0.64 at 100 kV, as RELION has it.
    """
    if voltage not in (100, 200, 300):
        raise ValueError(f"voltage {voltage:g} kV: the damage curve is known at 100, 200 and 300 kV")
    scale = {300: 1.0, 200: 0.8, 100: 0.64}[int(voltage)]
    return scale * (0.24499 * np.maximum(np.asarray(k, np.float64), 1e-6) ** -1.6649 + 2.8141)
