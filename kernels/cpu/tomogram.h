/* Innermost loops of back- and forward projection; what they compute is defined in kernels/reference/tomogram.py.
 *
 * A row is Y floats: one place (t, u) of the images or (z, x) of the volume, for Y slices side by side. One pair of
 * weights serves the whole row, so that all the arithmetic is on vectors, and all its data come from two rows at a
 * time. WIDE floats of a voxel's row stay in registers over all tilts; the rows that a block of BLOCK_X voxels sees
 * in all tilts stay in the second-level cache while z goes on. Vectors are GCC's own (also in Clang): the compiler
 * makes of them what each clone's instruction set has.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define PARTS 4
#define WIDE (LANES * PARTS)
#define BLOCK_X 32   /* back-projection: voxels along x */
#define PROJECT_X 128 /* forward: voxels along x, */
#define PROJECT_Z 8   /* and along z, of a block that stays in the second-level cache */
#define MOST_TAPS 8   /* forward: voxels along x that one pixel can see; beyond, at grazing angles, a slower way */

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

/* What one voxel sees of one image: `at` is its first float, the second pixel's row follows after Y floats. */
typedef struct {
    int32_t *at; /* rows from the start of the images */
    float *below, *above;
} Sight;

INLINE float hat(float distance) {
    float weight = 1.0f - fabsf(distance);
    return weight > 0.0f ? weight : 0.0f;
}

/* Where voxel x0 + i sees each image: `whole` and `part` are u of x0. Both pixels are inside; weights beyond are 0. */
INLINE void look(Sight sight, const int32_t *restrict whole, const float *restrict part, const float *restrict slope,
                 int32_t i, int32_t tilts, int32_t pixels) {
    for (int32_t t = 0; t < tilts; t++) {
        float u = part[t] + slope[t] * (float)i;
        int32_t step = (int32_t)(u + 64.0f) - 64; /* floor: |u| < BLOCK_X + 1 */
        int32_t pixel = whole[t] + step;
        int32_t first = pixel < 0 ? 0 : pixel > pixels - 2 ? pixels - 2 : pixel;
        float distance = (u - (float)step) + (float)(pixel - first);
        sight.at[t] = t * pixels + first;
        sight.below[t] = hat(distance);
        sight.above[t] = hat(distance - 1.0f);
    }
}

INLINE void see_wide(float *restrict out, const float *restrict images, Sight sight, int32_t tilts, ptrdiff_t row) {
    lanes a[PARTS], b[PARTS];
    for (int k = 0; k < PARTS; k++) {
        a[k] = (lanes){0};
        b[k] = (lanes){0};
    }
    for (int32_t t = 0; t < tilts; t++) {
        const float *p = images + (ptrdiff_t)sight.at[t] * row;
        const float *q = p + row;
        float below = sight.below[t], above = sight.above[t];
        for (int k = 0; k < PARTS; k++) {
            a[k] += below * *(const lanes *)(p + k * LANES);
            b[k] += above * *(const lanes *)(q + k * LANES);
        }
    }
    for (int k = 0; k < PARTS; k++)
        *(lanes *)(out + k * LANES) += a[k] + b[k];
}

INLINE void see_narrow(float *restrict out, const float *restrict images, Sight sight, int32_t tilts, ptrdiff_t row,
                       ptrdiff_t n) {
    for (int32_t t = 0; t < tilts; t++) {
        const float *p = images + (ptrdiff_t)sight.at[t] * row;
        const float *q = p + row;
        for (ptrdiff_t y = 0; y < n; y++)
            out[y] += sight.below[t] * p[y] + sight.above[t] * q[y];
    }
}

/* volume [Z][X][Y] += what it sees of images [T][U][Y]. `scratch`: 6 T numbers of 4 bytes. U >= 2. */
CLONES static void backproject_rows(float *restrict volume, const float *restrict images, const double *restrict lines,
                                    int32_t tilts, int32_t pixels, int32_t nz, int32_t nx, ptrdiff_t row,
                                    float *restrict scratch) {
    float *slope = scratch, *part = scratch + tilts;
    int32_t *whole = (int32_t *)(scratch + 2 * tilts);
    Sight sight = {(int32_t *)(scratch + 3 * tilts), scratch + 4 * tilts, scratch + 5 * tilts};
    for (int32_t t = 0; t < tilts; t++)
        slope[t] = (float)lines[3 * t];
    for (int32_t x0 = 0; x0 < nx; x0 += BLOCK_X) {
        int32_t x1 = x0 + BLOCK_X < nx ? x0 + BLOCK_X : nx;
        for (int32_t z = 0; z < nz; z++) {
            for (int32_t t = 0; t < tilts; t++) {
                double u = lines[3 * t] * x0 + lines[3 * t + 1] * z + lines[3 * t + 2];
                double floor_u = floor(u);
                whole[t] = (int32_t)floor_u;
                part[t] = (float)(u - floor_u);
            }
            for (int32_t x = x0; x < x1; x++) {
                float *out = volume + ((ptrdiff_t)z * nx + x) * row;
                look(sight, whole, part, slope, x - x0, tilts, pixels);
                ptrdiff_t y = 0;
                for (; y + WIDE <= row; y += WIDE)
                    see_wide(out + y, images + y, sight, tilts, row);
                if (y < row)
                    see_narrow(out + y, images + y, sight, tilts, row, row - y);
            }
        }
    }
}

/* The voxels x that pixel u sees in planes z0 ... z1 - 1: `at` rows from the start of the volume, `taps` weights each. */
INLINE void gather(float *restrict out, const float *restrict volume, const int32_t *at,
                   const float (*restrict weights)[MOST_TAPS], int planes, int taps, ptrdiff_t row) {
    ptrdiff_t y = 0;
    for (; y + WIDE <= row; y += WIDE) {
        lanes a[PARTS], b[PARTS];
        for (int k = 0; k < PARTS; k++) {
            a[k] = *(const lanes *)(out + y + k * LANES);
            b[k] = (lanes){0};
        }
        for (int i = 0; i < planes; i++) {
            const float *p = volume + (ptrdiff_t)at[i] * row + y;
            int j = 0;
            for (; j + 1 < taps; j += 2, p += 2 * row) {
                float first = weights[i][j], second = weights[i][j + 1];
                for (int k = 0; k < PARTS; k++) {
                    a[k] += first * *(const lanes *)(p + k * LANES);
                    b[k] += second * *(const lanes *)(p + row + k * LANES);
                }
            }
            if (j < taps)
                for (int k = 0; k < PARTS; k++)
                    a[k] += weights[i][j] * *(const lanes *)(p + k * LANES);
        }
        for (int k = 0; k < PARTS; k++)
            *(lanes *)(out + y + k * LANES) = a[k] + b[k];
    }
    for (; y < row; y++)
        for (int i = 0; i < planes; i++)
            for (int j = 0; j < taps; j++)
                out[y] += weights[i][j] * volume[((ptrdiff_t)at[i] + j) * row + y];
}

/* One image of a block of voxels, each pixel gathering what it sees: 1 / cos t voxels to either side. */
INLINE void project_block(float *restrict image, const float *restrict volume, double a, double b, double c,
                          int32_t pixels, int32_t nx, int32_t z0, int32_t z1, int32_t x0, int32_t x1, ptrdiff_t row) {
    int32_t at[PROJECT_Z];
    float weights[PROJECT_Z][MOST_TAPS];
    double reach = 1.0 / fabs(a);
    int taps = (int)ceil(2.0 * reach); /* an open interval of length 2 / a holds so many whole numbers at most */
    if (taps > x1 - x0)
        taps = x1 - x0;
    double left = a > 0 ? a * x0 : a * (x1 - 1), right = a > 0 ? a * (x1 - 1) : a * x0;
    double low = left + (b > 0 ? b * z0 : b * (z1 - 1)) + c, high = right + (b > 0 ? b * (z1 - 1) : b * z0) + c;
    int32_t first = (int32_t)floor(low < -1 ? -1 : low), last = (int32_t)ceil(high > pixels ? pixels : high);
    first = first < 0 ? 0 : first;
    last = last > pixels - 1 ? pixels - 1 : last;
    for (int32_t u = first; u <= last; u++) {
        int planes = 0;
        for (int32_t z = z0; z < z1; z++) {
            double middle = ((double)u - c - b * z) / a;
            if (middle + reach <= x0 || middle - reach >= x1 - 1)
                continue;
            double begin = floor(middle - reach) + 1;
            int32_t x = begin < x0 ? x0 : begin > x1 - taps ? x1 - taps : (int32_t)begin;
            float distance = (float)(a * x + b * z + c - u);
            for (int j = 0; j < taps; j++)
                weights[planes][j] = hat(distance + (float)a * (float)j);
            at[planes++] = z * nx + x;
        }
        float *out = image + (ptrdiff_t)u * row;
        switch (taps) { /* so that each is unrolled */
        case 2: gather(out, volume, at, weights, planes, 2, row); break;
        case 3: gather(out, volume, at, weights, planes, 3, row); break;
        case 4: gather(out, volume, at, weights, planes, 4, row); break;
        default: gather(out, volume, at, weights, planes, taps, row);
        }
    }
}

/* The same where one pixel sees too many voxels: each voxel is added to its two pixels. */
INLINE void scatter_block(float *restrict image, const float *restrict volume, double a, double b, double c,
                          int32_t pixels, int32_t nx, int32_t z0, int32_t z1, int32_t x0, int32_t x1, ptrdiff_t row) {
    for (int32_t z = z0; z < z1; z++)
        for (int32_t x = x0; x < x1; x++) {
            double u = a * x + b * z + c;
            if (u <= -1 || u >= pixels)
                continue;
            int32_t pixel = (int32_t)floor(u);
            int32_t first = pixel < 0 ? 0 : pixel > pixels - 2 ? pixels - 2 : pixel;
            float below = hat((float)(u - first)), above = hat((float)(u - first - 1));
            float *p = image + (ptrdiff_t)first * row, *q = p + row;
            const float *v = volume + ((ptrdiff_t)z * nx + x) * row;
            for (ptrdiff_t y = 0; y < row; y++) {
                p[y] += below * v[y];
                q[y] += above * v[y];
            }
        }
}

/* images [T][U][Y] += projections of volume [Z][X][Y]; U >= 2. */
CLONES static void project_rows(float *restrict images, const float *restrict volume, const double *restrict lines,
                                int32_t tilts, int32_t pixels, int32_t nz, int32_t nx, ptrdiff_t row) {
    for (int32_t z0 = 0; z0 < nz; z0 += PROJECT_Z)
        for (int32_t x0 = 0; x0 < nx; x0 += PROJECT_X) {
            int32_t z1 = z0 + PROJECT_Z < nz ? z0 + PROJECT_Z : nz;
            int32_t x1 = x0 + PROJECT_X < nx ? x0 + PROJECT_X : nx;
            for (int32_t t = 0; t < tilts; t++) {
                double a = lines[3 * t], b = lines[3 * t + 1], c = lines[3 * t + 2];
                float *image = images + (ptrdiff_t)t * pixels * row;
                if (fabs(a) * MOST_TAPS > 2)
                    project_block(image, volume, a, b, c, pixels, nx, z0, z1, x0, x1, row);
                else
                    scatter_block(image, volume, a, b, c, pixels, nx, z0, z1, x0, x1, row);
            }
        }
}

/* planes = tile [Z][X][row], the first n slices; a plane lies `plane` floats after the one before, a line `line`.
 * Both in squares that stay in the first-level cache. */
CLONES static void rows_to_planes(float *restrict planes, const float *restrict tile, ptrdiff_t nz, ptrdiff_t nx,
                                  ptrdiff_t row, ptrdiff_t plane, ptrdiff_t line, ptrdiff_t n) {
    for (ptrdiff_t z = 0; z < nz; z++)
        for (ptrdiff_t x0 = 0; x0 < nx; x0 += LANES) {
            ptrdiff_t x1 = x0 + LANES < nx ? x0 + LANES : nx;
            const float *from = tile + z * nx * row;
            float *to = planes + z * plane;
            for (ptrdiff_t j = 0; j < n; j++)
                for (ptrdiff_t x = x0; x < x1; x++)
                    to[j * line + x] = from[x * row + j];
        }
}

CLONES static void planes_to_rows(const float *restrict planes, float *restrict tile, ptrdiff_t nz, ptrdiff_t nx,
                                  ptrdiff_t row, ptrdiff_t plane, ptrdiff_t line, ptrdiff_t n) {
    for (ptrdiff_t z = 0; z < nz; z++)
        for (ptrdiff_t x0 = 0; x0 < nx; x0 += LANES) {
            ptrdiff_t x1 = x0 + LANES < nx ? x0 + LANES : nx;
            const float *from = planes + z * plane;
            float *to = tile + z * nx * row;
            for (ptrdiff_t x = x0; x < x1; x++) {
                for (ptrdiff_t j = 0; j < n; j++)
                    to[x * row + j] = from[j * line + x];
                memset(to + x * row + n, 0, (size_t)(row - n) * sizeof(float));
            }
        }
}
