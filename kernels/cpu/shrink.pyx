# cython: boundscheck=False, wraparound=False, cdivision=True
"""``shrink_frame``. The definition is ``reference/shrink.py``; the loops stand in ``shrink.h``."""

from libc.stdlib cimport free, malloc

include "frames.pxi"

cdef extern from "shrink.h" nogil:
    enum: PITCH
    enum: STRIP
    enum: WIDE
    void shrink_down(
        raw_frame, const float *, float, long, long, const float *, long, long, long, long, long, float *, float *
    )
    void shrink_along(const float *, long, const float *, long, long, long, long, float *, float *, float *)

cdef enum:
    _BAND = 32  # rows of the result made at a time


def shrink_frame(
    frame not None,
    const float[:, ::1] gain,
    float mean,
    const float[::1] taps not None,
    Py_ssize_t step,
    float[:, :] out not None,
):
    """See ``reference.shrink.shrink_frame``."""
    cdef Py_ssize_t m = out.shape[0], n = out.shape[1], n_taps = taps.shape[0], height, width
    cdef Py_ssize_t columns, length, first, count, i
    cdef Py_buffer buffer
    cdef raw_frame raw
    cdef const float *factors = NULL
    cdef float *block
    cdef float *band
    cdef float *phases
    if step < 1 or n_taps < 1 or (n_taps - step) % 2 or n_taps < step or out.strides[1] != sizeof(float):
        raise ValueError(f"{n_taps} taps for every {step}-th pixel; as many at least, and both even or odd")
    PyObject_GetBuffer(frame, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        height, width = buffer.shape[0], buffer.shape[1] if buffer.ndim == 2 else 0
        check_frame(&buffer, &raw, height, width)
        if gain is not None:
            if gain.shape[0] != height or gain.shape[1] != width:
                raise ValueError(f"a gain of {height} x {width} pixels is wanted")
            factors = &gain[0, 0]
        columns = (width + STRIP - 1) // STRIP * STRIP
        length = (n + n_taps // step + WIDE) // WIDE * WIDE + WIDE
        block = <float *>malloc(
            sizeof(float) * (((_BAND - 1) * step + n_taps) * PITCH + _BAND * columns + 2 * step * length)
        )
        if block == NULL:
            raise MemoryError()
        with nogil:
            band = block + ((_BAND - 1) * step + n_taps) * PITCH
            phases = band + _BAND * columns
            first = 0
            while first < m:
                count = min(<Py_ssize_t>_BAND, m - first)
                shrink_down(
                    raw, factors, mean, height, width, &taps[0], n_taps, step, first, count, columns, block, band
                )
                for i in range(count):
                    shrink_along(
                        band + i * columns, width, &taps[0], n_taps, step, n, length, phases, phases + step * length,
                        &out[first + i, 0],
                    )
                first += count
            free(block)
    finally:
        PyBuffer_Release(&buffer)
