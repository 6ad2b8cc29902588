"""``patch_gradient`` in Numba. The definition is ``reference/gradient.py``.

Real and imaginary parts are kept apart so that the loops over coefficients vectorise; the phase of each
coefficient comes from float32 sines (an error of 1e-6 rad at the few radians met here).
"""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import jit

F = np.float32


@jit(
    "void(complex64[:,::1], int32[::1], int32[::1], float32[::1], float32[::1], float64[:,::1], float32[:,::1],"
    " float32[::1], float64[:,::1], float64[::1])"
)
def patch_gradient(
    spectra: NDArray[np.complex64],
    index: NDArray[np.int32],
    shell: NDArray[np.int32],
    ky: NDArray[np.float32],
    kx: NDArray[np.float32],
    shifts: NDArray[np.float64],
    damage: NDArray[np.float32],
    gain: NDArray[np.float32],
    gradient: NDArray[np.float64],
    power: NDArray[np.float64],
) -> None:
    """See ``reference.gradient.patch_gradient``."""
    n_frames, n = spectra.shape[0], index.size
    re = np.empty((n_frames, n), F)
    im = np.empty((n_frames, n), F)
    total_re = np.zeros(n, F)
    total_im = np.zeros(n, F)
    own = np.zeros(n, F)
    for t in range(n_frames):
        dy, dx = F(shifts[t, 0]), F(shifts[t, 1])
        for k in range(n):
            x = spectra[t, index[k]]
            angle = dy * ky[k] + dx * kx[k]
            q = damage[t, shell[k]]
            c, s = math.cos(angle) * q, math.sin(angle) * q
            a = x.real * c - x.imag * s
            b = x.real * s + x.imag * c
            re[t, k] = a
            im[t, k] = b
            total_re[k] += a
            total_im[k] += b
            own[k] += a * a + b * b
    power[:] = 0
    for k in range(n):
        power[shell[k]] += total_re[k] * total_re[k] + total_im[k] * total_im[k] - own[k]
        total_re[k] *= gain[shell[k]]
        total_im[k] *= gain[shell[k]]
    for t in range(n_frames):
        gy, gx = F(0), F(0)
        for k in range(n):
            torque = total_re[k] * im[t, k] - total_im[k] * re[t, k]
            gy += torque * ky[k]
            gx += torque * kx[k]
        gradient[t, 0] = -2 * gy
        gradient[t, 1] = -2 * gx
