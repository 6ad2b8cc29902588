# What kernels over raw frames share: the pixels of a Python object, checked.

import sys

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer

cdef char NATIVE = ord("<") if sys.byteorder == "little" else ord(">")

cdef extern from "raw.h" nogil:
    ctypedef struct raw_frame:
        const void *pixels
        char type


cdef int check_frame(Py_buffer *buffer, raw_frame *frame, Py_ssize_t height, Py_ssize_t width) except -1:
    """Fill ``frame`` from a buffer of ``height`` x ``width`` pixels of a type that kernels know."""
    if buffer.ndim != 2 or buffer.shape[0] != height or buffer.shape[1] != width or height < 1 or width < 1:
        raise ValueError(f"frames of {height} x {width} pixels are wanted")
    cdef const char *type = buffer.format
    if type[0] == NATIVE:  # an array may say the byte order that is the machine's anyway
        type += 1
    if type[0] not in b"bBhHf" or type[1] != 0:
        raise ValueError(f"pixels of type {buffer.format.decode()}; int8, uint8, int16, uint16 or float32 are known")
    frame.pixels = buffer.buf
    frame.type = type[0]
    return 0
