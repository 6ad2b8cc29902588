"""``patch_gradient`` in Numba. The definition is ``reference/gradient.py``.

Phases are products of one factor a row and one a column, real and imaginary parts are kept apart, and runs
are contiguous: the loops over columns become vector code.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import jit

F = np.float32


@jit(
    "void(complex64[:,:,::1], int32[:,::1], int32[::1], float32[::1], float32[::1], float64[:,::1],"
    " float32[:,::1], float32[::1], float64[:,::1], float64[::1])"
)
def patch_gradient(
    spectra: NDArray[np.complex64],
    runs: NDArray[np.int32],
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
    n_frames, n = spectra.shape[0], shell.size
    re = np.empty((n_frames, n), F)
    im = np.empty((n_frames, n), F)
    total_re = np.zeros(n, F)
    total_im = np.zeros(n, F)
    own = np.zeros(n, F)
    cos_x = np.empty(kx.size, F)
    sin_x = np.empty(kx.size, F)
    for t in range(n_frames):
        for j in range(kx.size):
            cos_x[j] = math.cos(kx[j] * shifts[t, 1])
            sin_x[j] = math.sin(kx[j] * shifts[t, 1])
        k = 0
        for r in range(runs.shape[0]):
            row, first, count = runs[r, 0], runs[r, 1], runs[r, 2]
            c = F(math.cos(ky[row] * shifts[t, 0]))
            s = F(math.sin(ky[row] * shifts[t, 0]))
            source = spectra[t, row, first : first + count]
            cx, sx = cos_x[first : first + count], sin_x[first : first + count]
            ring = shell[k : k + count]
            u, v = re[t, k : k + count], im[t, k : k + count]
            sum_u, sum_v, sum_own = total_re[k : k + count], total_im[k : k + count], own[k : k + count]
            for j in range(count):
                q = damage[t, ring[j]]
                a = q * (c * cx[j] - s * sx[j])
                b = q * (c * sx[j] + s * cx[j])
                x = source[j]
                u[j] = x.real * a - x.imag * b
                v[j] = x.real * b + x.imag * a
            for j in range(count):
                sum_u[j] += u[j]
                sum_v[j] += v[j]
                sum_own[j] += u[j] * u[j] + v[j] * v[j]
            k += count
    power[:] = 0
    for k in range(n):
        power[shell[k]] += total_re[k] * total_re[k] + total_im[k] * total_im[k] - own[k]
        total_re[k] *= gain[shell[k]]
        total_im[k] *= gain[shell[k]]
    for t in range(n_frames):
        sum_y, sum_x = 0.0, 0.0
        k = 0
        for r in range(runs.shape[0]):
            row, first, count = runs[r, 0], runs[r, 1], runs[r, 2]
            a, b = total_re[k : k + count], total_im[k : k + count]
            u, v = re[t, k : k + count], im[t, k : k + count]
            columns = kx[first : first + count]
            along_y, along_x = F(0), F(0)
            for j in range(count):
                torque = a[j] * v[j] - b[j] * u[j]
                along_y += torque
                along_x += torque * columns[j]
            sum_y += float(along_y * ky[row])
            sum_x += float(along_x)
            k += count
        gradient[t, 0] = -2 * sum_y
        gradient[t, 1] = -2 * sum_x
