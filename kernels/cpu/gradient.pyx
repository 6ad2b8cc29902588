# cython: boundscheck=False, wraparound=False, cdivision=True
"""``pack_spectra`` and ``patch_gradient``. The definition is ``reference/gradient.py``.

Frames of one run lie side by side, so that a run's sum over frames and its gradient are made while its data are
in the fastest cache; the loops stand in ``gradient.h``.
"""

from libc.math cimport cos, sin
from libc.stdint cimport int16_t, int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "gradient.h" nogil:
    float pack_frame(const float *, long, const int32_t *, long, const float *, float *, long, long, int16_t *)
    void gradient_of_run(
        const int16_t *, long, long, const float *, const float *, const float *, const float *, long, const float *,
        float, const float *, float *, float *, float *, double *
    )


cdef int _check_runs(const int32_t[:, ::1] runs, Py_ssize_t coefficients, Py_ssize_t rows, Py_ssize_t columns) except -1:
    """Refuse runs that leave the spectrum or don't add up; return nothing of use."""
    cdef Py_ssize_t r, total = 0
    if runs.shape[1] != 3:
        raise ValueError("runs are [n, 3]")
    for r in range(runs.shape[0]):
        if runs[r, 0] < 0 or runs[r, 0] >= rows or runs[r, 1] < 0 or runs[r, 2] < 0:
            raise ValueError(f"run {r} lies outside of {rows} rows")
        if <Py_ssize_t>runs[r, 1] + runs[r, 2] > columns:
            raise ValueError(f"run {r} goes beyond {columns} columns")
        total += runs[r, 2]
    if total != coefficients:
        raise ValueError(f"runs of {total} coefficients, {coefficients} shells")
    return 0


cdef int _check_shells(const int32_t[::1] shell, Py_ssize_t shells) except -1:
    cdef Py_ssize_t k
    for k in range(shell.shape[0]):
        if shell[k] < 0 or shell[k] >= shells:
            raise ValueError(f"shell {shell[k]} of {shells}")
    return 0


cdef Py_ssize_t _packed_size(const int32_t[:, ::1] runs, Py_ssize_t frames) noexcept nogil:
    cdef Py_ssize_t r, size = 0
    for r in range(runs.shape[0]):
        size += (runs[r, 2] + 7) // 8 * 8
    return size * 2 * frames


def pack_spectra(
    const float complex[:, :, ::1] spectra not None,
    const int32_t[:, ::1] runs not None,
    const float[:, ::1] damage not None,
    int16_t[::1] packed not None,
    float[::1] scale not None,
    Py_ssize_t first,
):
    """See ``reference.gradient.pack_spectra``."""
    cdef Py_ssize_t frames = scale.shape[0], here = spectra.shape[0], columns = spectra.shape[2], t
    cdef float *product
    _check_runs(runs, damage.shape[1], spectra.shape[1], columns)
    if damage.shape[0] != frames or first < 0 or first + here > frames or packed.shape[0] != _packed_size(runs, frames):
        raise ValueError("frames, damage, scale and packed don't fit together")
    if here == 0 or damage.shape[1] == 0:
        return
    product = <float *>malloc(2 * sizeof(float) * damage.shape[1])
    if product == NULL:
        raise MemoryError()
    with nogil:
        for t in range(first, first + here):
            scale[t] = pack_frame(
                <const float *>&spectra[t - first, 0, 0], columns, &runs[0, 0], runs.shape[0], &damage[t, 0], product,
                t, frames, &packed[0],
            )
        free(product)


def patch_gradient(
    const int16_t[::1] packed not None,
    const float[::1] scale not None,
    const int32_t[:, ::1] runs not None,
    const int32_t[::1] shell not None,
    const float[::1] ky not None,
    const float[::1] kx not None,
    const double[:, ::1] shifts not None,
    const float[::1] gain not None,
    double[:, ::1] gradient not None,
    double[::1] power not None,
):
    """See ``reference.gradient.patch_gradient``."""
    cdef Py_ssize_t frames = shifts.shape[0], columns = kx.shape[0], stride = columns + 8, r, t, j, k = 0, count, padded
    cdef Py_ssize_t longest = 0
    cdef float *room
    cdef float *cos_x
    cdef float *sin_x
    cdef float *cos_y
    cdef float *sin_y
    cdef float *wave
    cdef float *factor
    cdef float *cross
    cdef float *total
    cdef float *moved
    cdef const int16_t *here
    _check_runs(runs, shell.shape[0], ky.shape[0], columns)
    _check_shells(shell, min(gain.shape[0], power.shape[0]))
    if shifts.shape[1] != 2 or gradient.shape[0] != frames or gradient.shape[1] != 2 or scale.shape[0] != frames:
        raise ValueError("shifts, scale and gradient are of as many frames")
    if packed.shape[0] != _packed_size(runs, frames):
        raise ValueError("packed spectra of another size than the runs")
    gradient[:, :] = 0
    power[:] = 0
    if frames == 0 or shell.shape[0] == 0:
        return
    for r in range(runs.shape[0]):
        longest = max(longest, (<Py_ssize_t>runs[r, 2] + 7) // 8 * 8)
    room = <float *>malloc(sizeof(float) * (2 * frames * stride + 2 * frames + 5 * longest + 2 * frames * longest))
    if room == NULL:
        raise MemoryError()
    cos_x = room
    sin_x = cos_x + frames * stride
    cos_y = sin_x + frames * stride
    sin_y = cos_y + frames
    wave = sin_y + frames
    factor = wave + longest
    cross = factor + longest
    total = cross + longest
    moved = total + 2 * longest
    with nogil:
        memset(cos_x, 0, sizeof(float) * 2 * frames * stride)
        for t in range(frames):
            for j in range(columns):
                cos_x[t * stride + j] = <float>cos(kx[j] * shifts[t, 1])
                sin_x[t * stride + j] = <float>sin(kx[j] * shifts[t, 1])
        here = &packed[0]
        for r in range(runs.shape[0]):
            count = runs[r, 2]
            padded = (count + 7) // 8 * 8
            for t in range(frames):
                cos_y[t] = <float>(scale[t] * cos(ky[runs[r, 0]] * shifts[t, 0]))
                sin_y[t] = <float>(scale[t] * sin(ky[runs[r, 0]] * shifts[t, 0]))
            for j in range(padded):
                wave[j] = kx[runs[r, 1] + j] if j < count else 0
                factor[j] = gain[shell[k + j]] if j < count else 0
            gradient_of_run(
                here, frames, padded, cos_y, sin_y, cos_x + runs[r, 1], sin_x + runs[r, 1], stride, wave,
                ky[runs[r, 0]], factor, moved, total, cross, &gradient[0, 0],
            )
            for j in range(count):
                power[shell[k + j]] += cross[j]
            here += frames * 2 * padded
            k += count
    free(room)
