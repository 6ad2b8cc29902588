# cython: boundscheck=False, wraparound=False
"""Unpack 4-bit pixels (MRC mode 101). Defined by ``kernels/reference/nibbles.py``."""

import numpy as np


def unpack_nibbles(const unsigned char[:, ::1] packed not None, Py_ssize_t width):
    """Unpack rows of 4-bit pixels: the low nibble of a byte is the left pixel of its pair.

    ``packed`` is [y, bytes], each row padded to whole bytes: ``(width + 1) // 2`` of them. Returns [y, width]
    with values 0 to 15. Raises ValueError when the row length does not fit ``width``. Releases the GIL.
    """
    cdef Py_ssize_t rows = packed.shape[0], row_bytes = packed.shape[1], pairs = width // 2, y, i
    cdef unsigned char byte
    if width < 1 or row_bytes != (width + 1) // 2:
        raise ValueError(f"a row of {width} 4-bit pixels takes {(width + 1) // 2} bytes, not {row_bytes}")
    pixels = np.empty((rows, width), dtype=np.uint8)
    cdef unsigned char[:, ::1] out = pixels
    with nogil:
        for y in range(rows):
            for i in range(pairs):
                byte = packed[y, i]
                out[y, 2 * i] = byte & 0x0F
                out[y, 2 * i + 1] = byte >> 4
            if width % 2:
                out[y, width - 1] = packed[y, pairs] & 0x0F
    return pixels
