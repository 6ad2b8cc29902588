# cython: boundscheck=False, wraparound=False, cdivision=True
"""``add_filtered``. The definition is ``reference/spectra.py``."""

from libc.stdint cimport uint16_t


def add_filtered(
    const float complex[:, ::1] spectrum not None,
    const uint16_t[:, ::1] bins not None,
    const float[::1] curve not None,
    const float[::1] along_y not None,
    const float[::1] along_x not None,
    float complex[:, ::1] total not None,
):
    """See ``reference.spectra.add_filtered``. Releases the GIL."""
    cdef Py_ssize_t height = spectrum.shape[0], width = spectrum.shape[1], i, j, size = curve.shape[0], beyond = 0
    cdef float factor
    for other in ((bins.shape[0], bins.shape[1]), (total.shape[0], total.shape[1])):
        if other != (height, width):
            raise ValueError(f"a spectrum of {height} x {width}, bins or a total of {other[0]} x {other[1]}")
    if along_y.shape[0] != height or along_x.shape[0] != width:
        raise ValueError("factors along the axes are as many as rows and columns")
    with nogil:
        for i in range(height):
            for j in range(width):
                if bins[i, j] >= size:
                    beyond += 1
                    continue
                factor = curve[bins[i, j]] * along_y[i] * along_x[j]
                total[i, j] = total[i, j] + factor * spectrum[i, j]
    if beyond:
        raise ValueError(f"a curve of {size} values, {beyond} coefficients beyond its end")
