# cython: boundscheck=False, wraparound=False
"""``lzw_decode``. The definition is ``reference/lzw.py``; the loop stands in ``lzw.h``."""

cdef extern from "lzw.h" nogil:
    void lzw_fill()
    long lzw_decode_bytes(const unsigned char *, long, unsigned char *, long)

lzw_fill()


def lzw_decode(const unsigned char[::1] data not None, unsigned char[::1] out not None):
    """See ``reference.lzw.lzw_decode``. Releases the GIL; reads and writes nothing outside of the two arrays."""
    cdef long size = data.shape[0], room = out.shape[0], count
    if size == 0 or room == 0:
        return 0
    with nogil:
        count = lzw_decode_bytes(&data[0], size, &out[0], room)
    if count < 0:
        raise ValueError("LZW data with a code that means nothing")
    return count
