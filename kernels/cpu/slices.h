/* The innermost loops of slices.pyx: rows of an image's spectrum into and out of a Fourier volume.

   What they do is defined in kernels/reference/slices.py. A row goes through two passes: one over its samples side by
   side (CTF, shift, place, shares: the compiler makes wide vector code of it, where no loop has a branch of its own in
   it), and one sample by sample, that adds four lanes at a time to eight cells of 16 bytes. Cells are read and written whole: a store of another width than
   the load after it would stall (256-bit pairs of cells took 1.4 times as long).

   Each function is compiled for three kinds of CPU, chosen once when the module is loaded: no -march=native, whose
   code would not run on an older node, and no -ffast-math, which changes the whole process. */

#ifndef PYPCORE_SLICES_H
#define PYPCORE_SLICES_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Samples: images of up to 4096 pixels a side. Arrays of a row are 137 cache lines long, so that the samples of one
   place in the row are not all in the same set of the cache. */
#define LONGEST_ROW 2192
#define VECTOR 16 /* samples: passes go over whole vectors, with no remainder sample by sample */
#define OUTSIDE 1000000
#define INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(16), aligned(16)));

/* Columns of ctf: see the reference. */
enum { XX, XY, YY, GXX, GXY, GYY, QUARTIC, CONSTANT, ENVELOPE, SCALE, WEIGHT, STATE, OVERLAP, COLUMNS };

typedef struct {
    lanes *cells;              /* [z, y, x] */
    int64_t rows, columns;     /* of y and of x */
    float middle;              /* the index of frequency 0 in z and y */
    double limit;              /* Nyquist radius squared, with a margin for rounding */
    int nearest, beyond;       /* planes written: nearest <= |z| < beyond */
} Volume;

typedef struct {
    float *spectrum;           /* [side, side / 2 + 1, 2] */
    int side;
    const double *matrix;      /* [3, 3] */
    const double *shift;       /* y, x */
    const double *ctf;         /* [COLUMNS] */
    const float *table;        /* [side, side / 2 + 1, 2], or NULL */
    const float *curve;        /* [curve_length], or NULL */
    int curve_length;
} Slice;

/* Which samples of a row: `count` from `first` on. */
typedef struct {
    int ky, first, count;
} Span;

/* One row, sample by sample from `first` on; `whole`: `count`, made up to whole vectors. */
typedef struct {
    int ky, first, count, whole;
    float re[LONGEST_ROW], im[LONGEST_ROW];     /* the spectrum, moved; later what is added */
    float weight[LONGEST_ROW];
    float turn[LONGEST_ROW];                    /* of the shift, -1/2 to 1/2 */
    float phase[LONGEST_ROW];                   /* of the CTF, turns */
    float envelope[LONGEST_ROW];                /* its scale and envelope */
    float g2[LONGEST_ROW];                      /* true frequency squared, 1/A^2 */
    float fx[LONGEST_ROW];                      /* share of the farther cell along x */
    float c00[LONGEST_ROW], c01[LONGEST_ROW], c10[LONGEST_ROW], c11[LONGEST_ROW]; /* shares along z, y */
    float spectrum[2 * LONGEST_ROW], table[2 * LONGEST_ROW]; /* copies, where they are needed: see pairs_of */
    float mirror[LONGEST_ROW];                  /* -1 where the opposite point is taken */
    int32_t at[LONGEST_ROW];                    /* the cell before the point on each axis */
    int32_t z[LONGEST_ROW];                     /* its plane, 0 for frequency 0; or OUTSIDE */
} Row;

/* t minus the nearest integer; right for |t| < 2^22. */
INLINE float to_turn(float t)
{
    const float round = 12582912.0f; /* 1.5 * 2^23 */
    return t - ((t + round) - round);
}

/* sin(2 pi s) for |s| <= 1/4; error 7e-9 before rounding. */
INLINE float quarter_sine(float s)
{
    const float u = s * s;
    return s * (6.2831852802614145f + u * (-41.34168066806318f + u * (81.6024807428671f
                + u * (-76.58128455938025f + u * 39.760722075988504f))));
}

INLINE float sine(float turn) /* of -1/2 to 1/2 */
{
    const float s = 0.25f - fabsf(fabsf(turn) - 0.25f);
    return copysignf(quarter_sine(s), turn);
}

INLINE float cosine(float turn) { return quarter_sine(0.25f - fabsf(turn)); }

/* 2^t for t <= 0; error 3e-9 before rounding. */
INLINE float power_of_two(float t)
{
    const float low = t < -125.0f ? -125.0f : t, round = 12582912.0f;
    const float whole = (low + round) - round, f = low - whole;
    const int32_t bits = ((int32_t)whole + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return scale * (1.0f + f * (0.6931472067106202f + f * (0.24022651213595167f + f * (0.05550327214209663f
                    + f * (0.009618025602955571f + f * (0.0013400432165213297f + f * 0.0001546973197769834f))))));
}

INLINE void take(Row *row, int ky, int first, int count)
{
    row->ky = ky, row->first = first, row->count = count;
    row->whole = (count + VECTOR - 1) & ~(VECTOR - 1);
}

INLINE float *row_of(float *image, int side, int ky)
{
    return image + (int64_t)(ky < 0 ? ky + side : ky) * (side / 2 + 1) * 2;
}

/* A row's pairs of numbers, of which whole vectors may be read: what lies past the row belongs to the next one, and only
   the last in memory has to be copied. */
INLINE const float *pairs_of(const float *image, int side, const Row *row, float *copy)
{
    const float *pairs = row_of((float *)image, side, row->ky) + 2 * row->first;
    if (row->ky != -1 && side / 2 >= VECTOR)
        return pairs;
    memset(copy, 0, 2 * sizeof(float) * row->whole);
    return memcpy(copy, pairs, 2 * sizeof(float) * row->count);
}

/* Which samples of row ky are within the Nyquist circles of image and volume. */
INLINE void span(const Slice *s, const Volume *v, int ky, int half_column, Span *row)
{
    const double *m = s->matrix;
    const double a = m[0] * m[0] + m[3] * m[3] + m[6] * m[6], c = m[1] * m[1] + m[4] * m[4] + m[7] * m[7];
    const double b = (m[0] * m[1] + m[3] * m[4] + m[6] * m[7]) * ky, d = c * ky * ky - v->limit;
    const double discriminant = b * b - a * d, half = s->side / 2;
    row->ky = ky;
    row->count = 0;
    row->first = half_column && ky < 0 ? 1 : 0;
    if (discriminant < 0)
        return;
    double last = floor((sqrt(discriminant) - b) / a), first = ceil((-sqrt(discriminant) - b) / a);
    while ((a * (last + 1) + 2 * b) * (last + 1) + d <= 0) last++;
    while (last >= 0 && (a * last + 2 * b) * last + d > 0) last--;
    double nyquist = floor(sqrt(half * half - (double)ky * ky));
    last = last < nyquist ? last : nyquist;
    if (first > row->first) {
        while (first <= last && (a * first + 2 * b) * first + d > 0) first++;
        row->first = (int)first;
    }
    row->count = last < row->first ? 0 : (int)last - row->first + 1;
}

/* Cut a row to the samples that touch the planes to be written; the part numbered `part`, 0 or 1. Returns whether there
   is such a part. |z| grows linearly on either side of z = 0, so there are one or two parts. */
INLINE int cut(const Slice *s, const Volume *v, const Span *whole, int part, Row *row)
{
    const double slope = s->matrix[6], z0 = s->matrix[7] * whole->ky;
    const double near = v->nearest - 1.001, beyond = v->beyond + 0.001;
    const int last = whole->first + whole->count - 1;
    double from[2], to[2];
    take(row, whole->ky, whole->first, whole->count);
    if (s->ctf[OVERLAP] != 0)
        return part == 0; /* bent: looked at sample by sample */
    if (fabs(slope) < 1e-9)
        return part == 0 && fabs(z0) < beyond && fabs(z0) > near;
    from[0] = (-beyond - z0) / slope, to[0] = (-near - z0) / slope;
    from[1] = (near - z0) / slope, to[1] = (beyond - z0) / slope;
    for (int i = 0; i < 2; i++) {
        const double low = fmin(from[i], to[i]), high = fmax(from[i], to[i]);
        from[i] = fmax(ceil(low), whole->first), to[i] = fmin(floor(high), last);
    }
    if (from[0] > from[1]) { /* in the order of the samples */
        double swap = from[0];
        from[0] = from[1], from[1] = swap;
        swap = to[0], to[0] = to[1], to[1] = swap;
    }
    if (near <= 0 || to[0] >= from[1]) {
        to[0] = fmax(to[0], to[1]);
        to[1] = from[1] - 1;
    }
    take(row, whole->ky, (int)from[part], (int)(to[part] - from[part]) + 1);
    return row->count > 0;
}

/* Phase of the CTF, envelope, g^2. */
INLINE void image_row(const Slice *s, Row *row)
{
    const double *c = s->ctf;
    const double y = row->ky;
    const float p2 = c[XX], p1 = c[XY] * y, p0 = c[YY] * y * y + c[CONSTANT];
    const float q2 = c[GXX], q1 = c[GXY] * y, q0 = c[GYY] * y * y;
    const float quartic = c[QUARTIC], scale = c[SCALE], log2_envelope = -c[ENVELOPE] * 1.4426950408889634;
    const int n = row->whole, first = row->first;
    for (int j = 0; j < n; j++) {
        const float x = (float)(first + j);
        const float g2 = q0 + x * (q1 + x * q2);
        row->g2[j] = g2;
        row->phase[j] = p0 + x * (p1 + x * p2) + quartic * g2 * g2;
        row->envelope[j] = scale;
    }
    if (c[ENVELOPE] != 0)
        for (int j = 0; j < n; j++)
            row->envelope[j] *= power_of_two(log2_envelope * row->g2[j]);
    if (s->table) {
        const float *t = pairs_of(s->table, s->side, row, row->table);
        for (int j = 0; j < n; j++)
            row->phase[j] -= t[2 * j];
    }
}

/* Turns of the shift (and of antisymmetric aberrations). */
INLINE void turn_row(const Slice *s, Row *row)
{
    const double y_turns = s->shift[0] * row->ky;
    const float start = (float)(y_turns - nearbyint(y_turns)), step = (float)(s->shift[1] - nearbyint(s->shift[1]));
    const int n = row->whole, first = row->first;
    for (int j = 0; j < n; j++)
        row->turn[j] = start + step * (float)(first + j);
    if (s->table) {
        const float *t = pairs_of(s->table, s->side, row, row->table);
        for (int j = 0; j < n; j++)
            row->turn[j] += t[2 * j + 1];
    }
    for (int j = 0; j < n; j++)
        row->turn[j] = to_turn(row->turn[j]);
}

/* The spectrum of a row, moved so that the particle is in the middle. */
INLINE void move_row(const Slice *s, Row *row)
{
    const float *restrict f = pairs_of(s->spectrum, s->side, row, row->spectrum);
    const int n = row->whole;
    turn_row(s, row);
    for (int j = 0; j < n; j++) {
        const float co = cosine(row->turn[j]), si = sine(row->turn[j]);
        row->re[j] = f[2 * j] * co + f[2 * j + 1] * si;
        row->im[j] = f[2 * j + 1] * co - f[2 * j] * si;
    }
    if (row->ky == 0 && row->first == 0 && n > 0)
        row->re[0] = row->im[0] = 0;
}

/* The weight of each sample before the CTF. */
INLINE void weigh_row(const Slice *s, Row *row)
{
    const float weight = (float)s->ctf[WEIGHT];
    const int n = row->whole;
    for (int j = 0; j < n; j++)
        row->weight[j] = weight;
    if (s->curve)
        for (int j = 0; j < n; j++) {
            const float x = (float)(row->first + j), radius = sqrtf(x * x + (float)row->ky * row->ky);
            const float most = (float)(s->curve_length - 1), within = radius < most ? radius : most;
            int i = (int)within;
            i = i > s->curve_length - 2 ? s->curve_length - 2 : i;
            i = i < 0 ? 0 : i;
            const float right = s->curve_length > 1 ? s->curve[i + 1] : s->curve[i];
            row->weight[j] *= s->curve[i] + (within - i) * (right - s->curve[i]);
        }
}

/* Where samples go, on the flat slice (sheet 0) or on a side of the Ewald sphere (+1, -1). */
INLINE void place_row(const Slice *s, const Volume *v, Row *row, int sheet)
{
    const double *m = s->matrix;
    const float ax = m[0], ay = m[3], az = m[6];
    const float bx = m[1] * row->ky, by = m[4] * row->ky, bz = m[7] * row->ky;
    const float hx = sheet * m[2], hy = sheet * m[5], hz = sheet * m[8];
    const float middle = v->middle, limit = (float)v->limit;
    const int32_t plane = (int32_t)middle, rows = (int32_t)v->rows, columns = (int32_t)v->columns;
    const int n = row->whole, first = row->first;
    for (int j = 0; j < n; j++) {
        const float k = (float)(first + j);
        float x = ax * k + bx, y = ay * k + by, z = az * k + bz;
        if (sheet) {
            const float g2 = row->g2[j];
            x += hx * g2, y += hy * g2, z += hz * g2;
        }
        const int outside = sheet && x * x + y * y + z * z > limit;
        const float mirror = x < 0 ? -1.0f : 1.0f;
        x *= mirror;
        y = y * mirror + middle;
        z = z * mirror + middle;
        x = outside ? 0 : x, y = outside ? 0 : y, z = outside ? 0 : z;
        const int32_t ix = (int32_t)x, iy = (int32_t)y, iz = (int32_t)z;
        const float fy = y - (float)iy, fz = z - (float)iz;
        row->fx[j] = x - (float)ix;
        row->c00[j] = (1 - fz) * (1 - fy);
        row->c01[j] = (1 - fz) * fy;
        row->c10[j] = fz * (1 - fy);
        row->c11[j] = fz * fy;
        row->mirror[j] = mirror;
        row->at[j] = (iz * rows + iy) * columns + ix;
        row->z[j] = outside ? OUTSIDE : iz - plane;
    }
}

/* Values and weights times CTF, on the flat slice. */
INLINE void times_ctf(const Slice *s, Row *row)
{
    const int n = row->whole, state = (int)s->ctf[STATE];
    for (int j = 0; j < n; j++) {
        const float ctf = row->envelope[j] * sine(to_turn(row->phase[j]));
        const float times = (state == 0 ? ctf : state == 1 ? fabsf(ctf) : 1.0f) * row->weight[j];
        row->re[j] *= times;
        row->im[j] *= times;
        row->weight[j] *= ctf * ctf;
    }
}

/* The same for one side of the Ewald sphere: conj(sheet exp(i sheet chi) / 2i), into `out`. */
INLINE void times_sheet(const Slice *s, const Row *row, int sheet, Row *out)
{
    const int n = row->count;
    for (int j = 0; j < n; j++) {
        const float turn = to_turn(row->phase[j]), co = cosine(turn), si = sine(turn), e = row->envelope[j];
        const float u = (float)s->ctf[OVERLAP] * row->g2[j], w = row->weight[j];
        const float u2 = u * u, near = 1 - u2 * (1 / 10.0f - u2 * (1 / 280.0f - u2 / 15120.0f));
        const float far = u < 0.5f ? near : 3 * (sinf(u) - u * cosf(u)) / (u2 * u);
        /* conj of (sin chi - i sheet cos chi) / 2 */
        const float p = 0.5f * e * w * si, q = 0.5f * e * w * sheet * co;
        out->re[j] = row->re[j] * p - row->im[j] * q;
        out->im[j] = row->re[j] * q + row->im[j] * p;
        out->weight[j] = 0.5f * w * e * e * (far * si * si + 0.5f * (1 - far));
    }
}

/* Ask for the cells of a sample that will be added later. */
INLINE void ask_for(const Volume *v, int32_t at)
{
    const lanes *cell = v->cells + at;
    const int64_t to_y = v->columns, to_z = v->rows * v->columns;
    __builtin_prefetch(cell, 1);
    __builtin_prefetch(cell + to_y, 1);
    __builtin_prefetch(cell + to_z, 1);
    __builtin_prefetch(cell + to_z + to_y, 1);
}

/* Add a row's samples to their eight cells each, in the planes to be written; meanwhile the cells of the row that will
   be added after it are brought near. Most of them are far away: the sums are larger than any cache. */
INLINE void scatter(const Volume *v, const Row *row, const Row *after)
{
    const int64_t to_y = v->columns, to_z = v->rows * v->columns;
    const uint32_t planes = (uint32_t)(v->beyond - v->nearest);
    const int asked = after ? after->count : 0;
    const int32_t *next = after ? after->at : row->at;
    int j = 0;
    for (; j < row->count; j++) {
        if (j < asked)
            ask_for(v, next[j]);
        const int32_t z = row->z[j];
        if (z == OUTSIDE)
            continue;
        const int near = (uint32_t)(abs(z) - v->nearest) < planes, far = (uint32_t)(abs(z + 1) - v->nearest) < planes;
        const lanes value = {row->re[j], row->im[j] * row->mirror[j], row->weight[j], 0.0f};
        const lanes right = value * row->fx[j], left = value - right;
        lanes *q = v->cells + row->at[j];
        const float c00 = row->c00[j], c01 = row->c01[j], c10 = row->c10[j], c11 = row->c11[j];
        if (near) {
            q[0] += left * c00;
            q[1] += right * c00;
            q[to_y] += left * c01;
            q[to_y + 1] += right * c01;
        }
        if (far) {
            q[to_z] += left * c10;
            q[to_z + 1] += right * c10;
            q[to_z + to_y] += left * c11;
            q[to_z + to_y + 1] += right * c11;
        }
    }
    for (; j < asked; j++)
        ask_for(v, next[j]);
}

/* All of a row that is the same for the flat slice and for the sheets of the Ewald sphere. */
INLINE void prepare(const Slice *s, Row *row)
{
    image_row(s, row);
    move_row(s, row);
    weigh_row(s, row);
}

INLINE void insert_bent(const Slice *s, const Volume *v, Row *row, Row *sheets)
{
    prepare(s, row);
    for (int i = 0; i < 2; i++) {
        take(&sheets[i], row->ky, row->first, row->count);
        memcpy(sheets[i].g2, row->g2, sizeof(float) * row->whole);
        place_row(s, v, &sheets[i], 1 - 2 * i);
        times_sheet(s, row, 1 - 2 * i, &sheets[i]);
    }
    scatter(v, &sheets[0], &sheets[1]);
    scatter(v, &sheets[1], 0);
}

INLINE void insert_slice(const Slice *s, const Volume *v)
{
    Span whole;
    Row rows[3], *row = &rows[0], *before = 0;
    const int half = s->side / 2;
    for (int ky = -((s->side - 1) / 2); ky <= half; ky++) {
        span(s, v, ky, 1, &whole);
        if (whole.count == 0)
            continue;
        for (int part = 0; part < 2; part++) {
            if (!cut(s, v, &whole, part, row))
                continue;
            if (s->ctf[OVERLAP] != 0) {
                insert_bent(s, v, row, &rows[1]);
                continue;
            }
            prepare(s, row);
            place_row(s, v, row, 0);
            times_ctf(s, row);
            if (before)
                scatter(v, before, row);
            before = row;
            row = row == &rows[0] ? &rows[1] : &rows[0];
        }
    }
    if (before)
        scatter(v, before, 0);
}

/* Trilinear samples of the volume at a row's places. */
INLINE void gather(const Volume *v, Row *row)
{
    const int64_t to_y = v->columns, to_z = v->rows * v->columns;
    for (int j = 0; j < row->count; j++) {
        if (row->z[j] == OUTSIDE) {
            row->re[j] = row->im[j] = 0;
            continue;
        }
        const lanes *q = v->cells + row->at[j];
        const float c00 = row->c00[j], c01 = row->c01[j], c10 = row->c10[j], c11 = row->c11[j];
        const lanes left = q[0] * c00 + q[to_y] * c01 + q[to_z] * c10 + q[to_z + to_y] * c11;
        const lanes right = q[1] * c00 + q[to_y + 1] * c01 + q[to_z + 1] * c10 + q[to_z + to_y + 1] * c11;
        const lanes value = left + (right - left) * row->fx[j];
        row->re[j] = value[0];
        row->im[j] = value[1] * row->mirror[j];
    }
}

/* Write a row of a spectrum, moved from the middle to where the particle is. */
INLINE void move_back(const Slice *s, Row *row, const float *re, const float *im)
{
    float *restrict f = row_of(s->spectrum, s->side, row->ky) + 2 * row->first;
    const int n = row->count;
    turn_row(s, row);
    for (int j = 0; j < n; j++) {
        const float co = cosine(row->turn[j]), si = sine(row->turn[j]);
        f[2 * j] = re[j] * co - im[j] * si;
        f[2 * j + 1] = im[j] * co + re[j] * si;
    }
}

INLINE void extract_slice(const Slice *s, const Volume *v)
{
    Span whole;
    Row row;
    float re[LONGEST_ROW], im[LONGEST_ROW];
    const int half = s->side / 2;
    memset(s->spectrum, 0, sizeof(float) * 2 * s->side * (half + 1));
    for (int ky = -((s->side - 1) / 2); ky <= half; ky++) {
        span(s, v, ky, 0, &whole);
        if (whole.count == 0)
            continue;
        take(&row, ky, whole.first, whole.count);
        image_row(s, &row);
        if (s->ctf[OVERLAP] == 0) {
            place_row(s, v, &row, 0);
            gather(v, &row);
            for (int j = 0; j < row.count; j++) {
                const float ctf = row.envelope[j] * sine(to_turn(row.phase[j]));
                re[j] = row.re[j] * ctf;
                im[j] = row.im[j] * ctf;
            }
        } else {
            memset(re, 0, sizeof(float) * row.count);
            memset(im, 0, sizeof(float) * row.count);
            for (int sheet = 1; sheet >= -1; sheet -= 2) {
                place_row(s, v, &row, sheet);
                gather(v, &row);
                for (int j = 0; j < row.count; j++) { /* (sin chi - i sheet cos chi) / 2 */
                    const float turn = to_turn(row.phase[j]), e = 0.5f * row.envelope[j];
                    const float p = e * sine(turn), q = -e * sheet * cosine(turn);
                    re[j] += row.re[j] * p - row.im[j] * q;
                    im[j] += row.re[j] * q + row.im[j] * p;
                }
            }
        }
        move_back(s, &row, re, im);
    }
}

/* One set of code for each kind of CPU. */

typedef void slice_function(const Slice *, const Volume *);

#define COMPILED(kind, options) \
    static __attribute__((options)) void insert_##kind(const Slice *s, const Volume *v) { insert_slice(s, v); } \
    static __attribute__((options)) void extract_##kind(const Slice *s, const Volume *v) { extract_slice(s, v); }

static slice_function *insert_one, *extract_one;
static const char *compiled_for;

COMPILED(plain, noinline)

#if defined(__x86_64__) && defined(__GNUC__)
COMPILED(avx2, target("avx2,fma"))
COMPILED(avx512, target("avx512f,avx512vl,avx512dq,avx512bw,fma"))
#endif

static void choose_code(void)
{
    insert_one = insert_plain, extract_one = extract_plain, compiled_for = "any CPU";
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        insert_one = insert_avx2, extract_one = extract_avx2, compiled_for = "AVX2";
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        insert_one = insert_avx512, extract_one = extract_avx512, compiled_for = "AVX-512";
#endif
}

#endif
