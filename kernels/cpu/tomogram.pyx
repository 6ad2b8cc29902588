# cython: boundscheck=False, wraparound=False, cdivision=True
"""Back- and forward projection of tiles, innermost loops in C (``tomogram.h``).

Defined by ``kernels/reference/tomogram.py``. They release the GIL, and shapes are all that they check: a line that
is NaN or beyond a million pixels is the caller's mistake.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc


cdef extern from "tomogram.h" nogil:
    void backproject_rows(float *volume, const float *images, const double *lines, int32_t tilts, int32_t pixels,
                          int32_t nz, int32_t nx, Py_ssize_t row, float *scratch)
    void project_rows(float *images, const float *volume, const double *lines, int32_t tilts, int32_t pixels,
                      int32_t nz, int32_t nx, Py_ssize_t row)
    void rows_to_planes(float *planes, const float *tile, Py_ssize_t nz, Py_ssize_t nx, Py_ssize_t row,
                        Py_ssize_t plane, Py_ssize_t line, Py_ssize_t n)
    void planes_to_rows(const float *planes, float *tile, Py_ssize_t nz, Py_ssize_t nx, Py_ssize_t row,
                        Py_ssize_t plane, Py_ssize_t line, Py_ssize_t n)


def backproject(const float[:, :, ::1] images not None, const double[:, ::1] lines not None,
                float[:, :, ::1] volume not None):
    """See ``reference.tomogram.backproject``; images of two pixels or more."""
    cdef Py_ssize_t tilts = images.shape[0]
    cdef float *scratch
    _check(images, lines, volume)
    if not volume.size or not tilts or not images.shape[2]:
        return
    scratch = <float *>malloc(6 * tilts * sizeof(float))
    if scratch == NULL:
        raise MemoryError()
    with nogil:
        backproject_rows(&volume[0, 0, 0], &images[0, 0, 0], &lines[0, 0], <int32_t>tilts, <int32_t>images.shape[1],
                         <int32_t>volume.shape[0], <int32_t>volume.shape[1], volume.shape[2], scratch)
        free(scratch)


def project(const float[:, :, ::1] volume not None, const double[:, ::1] lines not None,
            float[:, :, ::1] images not None):
    """See ``reference.tomogram.project``; images of two pixels or more."""
    _check(images, lines, volume)
    if not volume.size or not images.shape[0]:
        return
    with nogil:
        project_rows(&images[0, 0, 0], &volume[0, 0, 0], &lines[0, 0], <int32_t>images.shape[0],
                     <int32_t>images.shape[1], <int32_t>volume.shape[0], <int32_t>volume.shape[1], volume.shape[2])


def tile_to_planes(const float[:, :, ::1] tile not None, float[:, :, :] planes not None):
    """See ``reference.tomogram.tile_to_planes``; ``planes`` may be a view, contiguous along x."""
    _check_planes(tile, planes)
    if not planes.size:
        return
    with nogil:
        rows_to_planes(&planes[0, 0, 0], &tile[0, 0, 0], tile.shape[0], tile.shape[1], tile.shape[2],
                       planes.strides[0] // 4, planes.strides[1] // 4, planes.shape[1])


def planes_to_tile(const float[:, :, :] planes not None, float[:, :, ::1] tile not None):
    """See ``reference.tomogram.planes_to_tile``; ``planes`` may be a view, contiguous along x."""
    _check_planes(tile, planes)
    if not tile.size:
        return
    with nogil:
        planes_to_rows(&planes[0, 0, 0], &tile[0, 0, 0], tile.shape[0], tile.shape[1], tile.shape[2],
                       planes.strides[0] // 4, planes.strides[1] // 4, planes.shape[1])


cdef int _check_planes(const float[:, :, ::1] tile, const float[:, :, :] planes) except -1:
    if tile.shape[0] != planes.shape[0] or tile.shape[1] != planes.shape[2] or tile.shape[2] < planes.shape[1]:
        raise ValueError(f"a tile of {tile.shape[0]} x {tile.shape[1]} x {tile.shape[2]} and planes of "
                         f"{planes.shape[0]} x {planes.shape[1]} x {planes.shape[2]} don't fit")
    if planes.shape[2] > 1 and planes.strides[2] != 4:
        raise ValueError("planes must be contiguous along x")
    return 0


cdef int _check(const float[:, :, ::1] images, const double[:, ::1] lines, const float[:, :, ::1] volume) except -1:
    if images.shape[2] != volume.shape[2]:
        raise ValueError(f"images of {images.shape[2]} slices and a volume of {volume.shape[2]}")
    if lines.shape[0] != images.shape[0] or lines.shape[1] != 3:
        raise ValueError(f"lines of shape {lines.shape[0]} x {lines.shape[1]} for {images.shape[0]} images")
    if images.shape[0] and images.shape[1] < 2:
        raise ValueError(f"images of {images.shape[1]} pixels across; 2 or more are needed")
    return 0
