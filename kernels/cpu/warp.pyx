# cython: boundscheck=False, wraparound=False, cdivision=True
"""``warp_accumulate``. The definition is ``reference/warp.py``; the loops stand in ``warp.h``."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

include "frames.pxi"

cdef extern from "warp.h" nogil:
    enum: CELL
    enum: TILE
    ctypedef struct window_of_frame:
        long first_group, groups, top, rows
    void fill_taps()
    window_of_frame find_window(const int32_t *, long, long, long, long, long, long, long)
    void warp_tile(
        const raw_frame *, const float *, long, long, const int32_t *, long, long, const int32_t *, const float *, long,
        long, long, long, long, long, float *, float *, float *
    )
    void move_tile(float *, float *, long, long, long, long, long, long, int)

fill_taps()


def warp_accumulate(
    list frames not None,
    const float[:, ::1] gain,
    const int32_t[:, :, :, ::1] shifts not None,
    const int32_t[::1] offsets not None,
    const float[:, ::1] weights not None,
    Py_ssize_t first,
    float[:, :, :] out not None,
):
    """See ``reference.warp.warp_accumulate``."""
    cdef Py_ssize_t n_frames = len(frames), n_sums = out.shape[0], m = out.shape[1], width = out.shape[2], t, held = 0
    cdef Py_ssize_t cells_y = (m + CELL - 1) // CELL, cells_x = (width + CELL - 1) // CELL, height = 0
    cdef Py_buffer *buffers
    cdef raw_frame *raw
    if out.strides[2] != sizeof(float):
        raise ValueError("rows of the sums lie in one piece")
    if (shifts.shape[0], shifts.shape[1], shifts.shape[2], shifts.shape[3]) != (n_frames, 2, cells_y, cells_x):
        raise ValueError(f"shifts of {cells_y} x {cells_x} cells for each of {n_frames} frames are wanted")
    if offsets.shape[0] != n_frames or weights.shape[0] != n_frames or weights.shape[1] != n_sums:
        raise ValueError("offsets and weights are of as many frames, weights of as many sums")
    if n_frames == 0 or n_sums == 0 or m == 0 or width == 0:
        return
    buffers = <Py_buffer *>malloc(n_frames * sizeof(Py_buffer))
    raw = <raw_frame *>malloc(n_frames * sizeof(raw_frame))
    try:
        if buffers == NULL or raw == NULL:
            raise MemoryError()
        for t in range(n_frames):
            PyObject_GetBuffer(frames[t], &buffers[t], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
            held += 1
            if t == 0 and buffers[0].ndim == 2:
                height = buffers[0].shape[0]
            check_frame(&buffers[t], &raw[t], height, width)
        if gain is not None and (gain.shape[0] != height or gain.shape[1] != width):
            raise ValueError(f"a gain of {height} x {width} pixels is wanted")
        _tiles(raw, gain, height, shifts, offsets, weights, first, out)
    finally:
        for t in range(held):
            PyBuffer_Release(&buffers[t])
        free(buffers)
        free(raw)


cdef int _tiles(
    const raw_frame *raw,
    const float[:, ::1] gain,
    Py_ssize_t height,
    const int32_t[:, :, :, ::1] shifts,
    const int32_t[::1] offsets,
    const float[:, ::1] weights,
    Py_ssize_t first,
    float[:, :, :] out,
) except -1:
    """Do tile after tile; room is made for the largest window beforehand."""
    cdef Py_ssize_t n_frames = shifts.shape[0], cells_y = shifts.shape[2], cells_x = shifts.shape[3]
    cdef Py_ssize_t n_sums = out.shape[0], m = out.shape[1], width = out.shape[2], wide = TILE // CELL
    cdef Py_ssize_t block = 0, filtered = 0, t, k, cell, n
    cdef Py_ssize_t tiles = (cells_x + wide - 1) // wide
    cdef Py_ssize_t row_pitch = out.strides[1] // <Py_ssize_t>sizeof(float)
    cdef Py_ssize_t sum_pitch = out.strides[0] // <Py_ssize_t>sizeof(float)
    cdef window_of_frame window
    cdef const float *factors = &gain[0, 0] if gain is not None else NULL
    cdef float *room
    cdef float *tile
    with nogil:
        for t in range(n_frames):
            for k in range(tiles):
                cell = k * wide
                n = min(wide, cells_x - cell)
                window = find_window(&shifts[t, 0, 0, 0], cells_y, cells_x, cell, n, offsets[t], first, m)
                block = max(block, window.rows * window.groups * CELL)
                filtered = max(filtered, window.groups * CELL * CELL)
        room = <float *>malloc(sizeof(float) * (block + filtered + m * wide * n_sums * CELL))
    if room == NULL:
        raise MemoryError()
    with nogil:
        tile = room + block + filtered
        for k in range(tiles):
            cell = k * wide
            n = min(wide, cells_x - cell)
            # The sums go on in the tile from what they are: bits don't depend on how the frames come, all at once or not.
            move_tile(tile, &out[0, 0, cell * CELL], row_pitch, sum_pitch, n_sums, m, n, width - cell * CELL, 0)
            warp_tile(
                raw, factors, height, width, &shifts[0, 0, 0, 0], cells_y, cells_x, &offsets[0], &weights[0, 0],
                n_frames, n_sums, first, m, cell, n, room, room + block, tile,
            )
            move_tile(tile, &out[0, 0, cell * CELL], row_pitch, sum_pitch, n_sums, m, n, width - cell * CELL, 1)
        free(room)
    return 0
