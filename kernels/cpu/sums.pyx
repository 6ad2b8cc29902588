# cython: boundscheck=False, wraparound=False, cdivision=True
"""``sum_frames``. The definition is ``reference/sums.py``; the loop stands in ``sums.h``."""

from libc.stdlib cimport free, malloc

include "frames.pxi"

cdef extern from "sums.h" nogil:
    void add_rows(const raw_frame *, long, long, float *)


def sum_frames(list frames not None, float[:, ::1] out not None):
    """See ``reference.sums.sum_frames``."""
    cdef Py_ssize_t n_frames = len(frames), t, held = 0, height = out.shape[0], width = out.shape[1]
    cdef Py_buffer *buffers = <Py_buffer *>malloc((n_frames + 1) * sizeof(Py_buffer))
    cdef raw_frame *raw = <raw_frame *>malloc((n_frames + 1) * sizeof(raw_frame))
    try:
        if buffers == NULL or raw == NULL:
            raise MemoryError()
        for t in range(n_frames):
            PyObject_GetBuffer(frames[t], &buffers[t], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
            held += 1
            check_frame(&buffers[t], &raw[t], height, width)
        if n_frames:
            with nogil:
                add_rows(raw, n_frames, height * width, &out[0, 0])
    finally:
        for t in range(held):
            PyBuffer_Release(&buffers[t])
        free(buffers)
        free(raw)
