# cython: boundscheck=False, wraparound=False
"""``insert_slices`` and ``extract_slices`` in C (``slices.h``). Defined by ``kernels/reference/slices.py``."""

from libc.stdint cimport int32_t, int64_t


cdef extern from "slices.h" nogil:
    const int COLUMNS
    ctypedef float lanes

    ctypedef struct Volume:
        lanes *cells
        int64_t rows
        int64_t columns
        float middle
        double limit
        int nearest
        int beyond

    ctypedef struct Slice:
        float *spectrum
        int side
        const double *matrix
        const double *shift
        const double *ctf
        const float *table
        const float *curve
        int curve_length

    void (*insert_one)(const Slice *, const Volume *)
    void (*extract_one)(const Slice *, const Volume *)
    const char *compiled_for
    void choose_code()


choose_code()


def code() -> str:
    """Return the kind of CPU whose code runs here."""
    return compiled_for.decode()


cdef Volume _volume(float[:, :, :, ::1] volume) except *:
    cdef Volume v
    if volume.shape[3] != 4 or volume.shape[0] != volume.shape[1] or <size_t> &volume[0, 0, 0, 0] % 16:
        raise ValueError("a Fourier volume is [z, y, x, 4], z = y, and starts at a multiple of 16 bytes")
    v.cells = <lanes *> &volume[0, 0, 0, 0]
    v.rows, v.columns = volume.shape[1], volume.shape[2]
    v.middle = <float> (volume.shape[0] // 2)
    v.limit = (volume.shape[2] - 2.0) * (volume.shape[2] - 2.0) * (1 + 1e-6)
    return v


cdef _check(float complex[:, :, ::1] spectra, const double[:, :, ::1] matrices, const double[:, ::1] shifts,
            const double[:, ::1] ctf, const float[:, :, :, ::1] tables, const int32_t[::1] table_of):
    cdef Py_ssize_t n = spectra.shape[0], side = spectra.shape[1], i
    if spectra.shape[2] != side // 2 + 1 or side > 4096:
        raise ValueError("spectra are [N, side, side // 2 + 1] with a side of up to 4096")
    if matrices.shape[0] != n or shifts.shape[0] != n or ctf.shape[0] != n or table_of.shape[0] != n:
        raise ValueError("matrices, shifts, ctf and table_of have a row for each spectrum")
    if matrices.shape[1] != 3 or matrices.shape[2] != 3 or shifts.shape[1] != 2 or ctf.shape[1] != COLUMNS:
        raise ValueError("matrices are [N, 3, 3], shifts [N, 2], ctf [N, COLUMNS]")
    if tables.shape[1] != side or tables.shape[2] != side // 2 + 1 or tables.shape[3] != 2:
        raise ValueError("tables are [T, side, side // 2 + 1, 2]")
    for i in range(n):
        if table_of[i] >= tables.shape[0]:
            raise ValueError("table_of names a table that is not there")


def insert_slices(float[:, :, :, ::1] volume not None, float complex[:, :, ::1] spectra not None,
                  const int32_t[::1] order not None, const double[:, :, ::1] matrices not None,
                  const double[:, ::1] shifts not None, const double[:, ::1] ctf not None,
                  const float[:, :, :, ::1] tables not None, const int32_t[::1] table_of not None,
                  const float[:, ::1] curves not None, const int32_t[::1] curve_of not None,
                  int nearest, int beyond):
    """See ``reference.slices.insert_slices``. Releases the GIL."""
    cdef Volume v = _volume(volume)
    cdef Slice s
    cdef Py_ssize_t i, n
    _check(spectra, matrices, shifts, ctf, tables, table_of)
    for i in range(order.shape[0]):
        if not 0 <= order[i] < spectra.shape[0] or curve_of[order[i]] >= curves.shape[0]:
            raise ValueError("order names a spectrum, or curve_of a curve, that is not there")
    s.side = <int> spectra.shape[1]
    s.curve_length = <int> curves.shape[1]
    v.nearest, v.beyond = nearest, beyond
    with nogil:
        for i in range(order.shape[0]):
            n = order[i]
            s.spectrum = <float *> &spectra[n, 0, 0]
            s.matrix = &matrices[n, 0, 0]
            s.shift = &shifts[n, 0]
            s.ctf = &ctf[n, 0]
            s.table = &tables[table_of[n], 0, 0, 0] if table_of[n] >= 0 else NULL
            s.curve = &curves[curve_of[n], 0] if curve_of[n] >= 0 else NULL
            insert_one(&s, &v)


def extract_slices(float[:, :, :, ::1] volume not None, float complex[:, :, ::1] spectra not None,
                   const double[:, :, ::1] matrices not None, const double[:, ::1] shifts not None,
                   const double[:, ::1] ctf not None, const float[:, :, :, ::1] tables not None,
                   const int32_t[::1] table_of not None):
    """See ``reference.slices.extract_slices``. Releases the GIL."""
    cdef Volume v = _volume(volume)
    cdef Slice s
    cdef Py_ssize_t n
    _check(spectra, matrices, shifts, ctf, tables, table_of)
    s.side = <int> spectra.shape[1]
    s.curve = NULL
    s.curve_length = 0
    with nogil:
        for n in range(spectra.shape[0]):
            s.spectrum = <float *> &spectra[n, 0, 0]
            s.matrix = &matrices[n, 0, 0]
            s.shift = &shifts[n, 0]
            s.ctf = &ctf[n, 0]
            s.table = &tables[table_of[n], 0, 0, 0] if table_of[n] >= 0 else NULL
            extract_one(&s, &v)
