/* The loops of warp.pyx. Defined by kernels/reference/warp.py.
 *
 * A tile of the sums stays in the second-level cache while all frames pass over it; of each frame the part below
 * the tile is corrected into a block of float32, filtered down the columns, one row of cells at a time, then along
 * the rows, and added up. A cell's taps are the same for all of its pixels: twelve multiplications a pixel.
 */
#include "raw.h"

enum { CELL = 16, TILE = 256, UNIT_BITS = 10, UNIT = 1 << UNIT_BITS, TAPS = 6 };

static float tap_table[UNIT][8];

/* Quintic B-spline at the pixels -2 ... 3 for each fraction of a pixel. */
static void fill_taps(void)
{
    for (int i = 0; i < UNIT; i++)
        for (int k = 0; k < TAPS; k++) {
            double d = (double)i / UNIT - (k - 2), a = d < 0 ? -d : d, v;
            if (a < 1) v = 66 + a * a * (-60 + a * a * (30 - 10 * a));
            else if (a < 2) v = 51 + a * (75 + a * (-210 + a * (150 + a * (-45 + 5 * a))));
            else v = a < 3 ? (3 - a) * (3 - a) * (3 - a) * (3 - a) * (3 - a) : 0;
            tap_table[i][k] = (float)(v / 120);
        }
}

INLINED long floor_div(long a, long b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
INLINED long least(long a, long b) { return a < b ? a : b; }
INLINED long most(long a, long b) { return a > b ? a : b; }

/* Where one frame's data for one tile lie. */
typedef struct {
    long first_group, groups; /* of 16 columns, from the tile's left edge plus the frame's offset */
    long top, rows;           /* of the frame */
} window_of_frame;

/* cells: [2][cells_y][cells_x], shifts in 1/1024 px; cell0 the tile's first cell, of n. */
static window_of_frame find_window(const int32_t *cells, long cells_y, long cells_x, long cell0, long n, long offset,
                                   long first, long height)
{
    const int32_t *down = cells, *along = cells + cells_y * cells_x;
    long left = INT32_MAX, right = INT32_MIN, up = INT32_MAX, below = INT32_MIN;
    for (long a = 0; a < cells_y; a++)
        for (long b = cell0; b < cell0 + n; b++) {
            long s = along[a * cells_x + b] >> UNIT_BITS;
            left = least(left, s), right = most(right, s);
        }
    window_of_frame w;
    w.first_group = floor_div(left - 2 - offset, CELL);
    w.groups = floor_div(n * CELL - 1 + right + 3 - offset, CELL) - w.first_group + 1;
    for (long a = 0; a < cells_y; a++)
        for (long g = 0; g < w.groups; g++) {
            long b = least(most(cell0 + w.first_group + g, 0), cells_x - 1);
            long s = down[a * cells_x + b] >> UNIT_BITS;
            up = least(up, s), below = most(below, s);
        }
    w.top = first + up - 2;
    w.rows = height + below - up + 5;
    return w;
}

/* Rows of one column of 16: out[i] = sum_k taps[k] in[i + k]. */
INLINED void down_columns(const float *in, long stride, const float *taps, float *out, long out_stride, long rows)
{
    float t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3], t4 = taps[4], t5 = taps[5];
    f16 a = load16(in), b = load16(in + stride), c = load16(in + 2 * stride), d = load16(in + 3 * stride),
        e = load16(in + 4 * stride);
    in += 5 * stride;
    for (long i = 0; i < rows; i++) {
        f16 f = load16(in + i * stride);
        store16(out + i * out_stride, ((t0 * a + t1 * b) + (t2 * c + t3 * d)) + (t4 * e + t5 * f));
        a = b, b = c, c = d, d = e, e = f;
    }
}

/* All frames over one tile of the sums: tile [m][n][n_sums][16]. block and filtered are as large as
 * the largest window asks: rows * groups * 16, and CELL * groups * 16. */
WIDE_CLONES
static void warp_tile(const raw_frame *frames, const float *gain, long height, long width, const int32_t *cells,
                      long cells_y, long cells_x, const int32_t *offsets, const float *weights, long n_frames,
                      long n_sums, long first, long m, long cell0, long n, float *block, float *filtered, float *tile)
{
    for (long t = 0; t < n_frames; t++) {
        const float *w = weights + t * n_sums;
        long used = 0;
        for (long r = 0; r < n_sums; r++) used |= w[r] != 0;
        if (!used) continue;
        const int32_t *down = cells + t * 2 * cells_y * cells_x, *along = down + cells_y * cells_x;
        window_of_frame at = find_window(down, cells_y, cells_x, cell0, n, offsets[t], first, m);
        long stride = at.groups * CELL, left = cell0 * CELL + offsets[t] + at.first_group * CELL;
        if (t + 1 < n_frames) { /* the next frame's part will be about here */
            long size = raw_size(frames[t + 1]), from = most(least(left, width - 1), 0) * size;
            long bytes = least(stride, width) * size;
            for (long y = at.top; y < at.top + at.rows; y++) {
                const char *line = (const char *)frames[t + 1].pixels + mirrored(y, height) * width * size + from;
                for (long k = 0; k < bytes; k += 64) __builtin_prefetch(line + k);
            }
        }
        for (long i = 0; i < at.rows; i++)
            raw_row(frames[t], gain, height, width, at.top + i, left, stride, block + i * stride);
        for (long a = 0; a < cells_y; a++) {
            long rows = least(CELL, m - a * CELL);
            for (long g = 0; g < at.groups; g++) {
                int32_t s = down[a * cells_x + least(most(cell0 + at.first_group + g, 0), cells_x - 1)];
                const float *in = block + (first + a * CELL + (s >> UNIT_BITS) - 2 - at.top) * stride + g * CELL;
                down_columns(in, stride, tap_table[s & (UNIT - 1)], filtered + g * CELL, stride, rows);
            }
            for (long b = 0; b < n; b++) {
                int32_t s = along[a * cells_x + cell0 + b];
                const float *taps = tap_table[s & (UNIT - 1)];
                const float *in = filtered + (b - at.first_group) * CELL + (s >> UNIT_BITS) - 2 - offsets[t];
                float t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3], t4 = taps[4], t5 = taps[5];
                for (long i = 0; i < rows; i++) {
                    const float *p = in + i * stride;
                    f16 v = ((t0 * load16(p) + t1 * load16(p + 1)) + (t2 * load16(p + 2) + t3 * load16(p + 3))) +
                            (t4 * load16(p + 4) + t5 * load16(p + 5));
                    float *sum = tile + ((a * CELL + i) * n + b) * n_sums * CELL;
                    for (long r = 0; r < n_sums; r++) store16(sum + r * CELL, load16(sum + r * CELL) + w[r] * v);
                }
            }
        }
    }
}

/* Columns of the sums to the tile, or back; out's rows and sums lie row_pitch and sum_pitch floats apart. */
static void move_tile(float *tile, float *out, long row_pitch, long sum_pitch, long n_sums, long m, long n, long width,
                      int back)
{
    for (long r = 0; r < n_sums; r++)
        for (long i = 0; i < m; i++)
            for (long b = 0; b < n; b++) {
                float *here = tile + ((i * n + b) * n_sums + r) * CELL;
                float *there = out + r * sum_pitch + i * row_pitch + b * CELL;
                long count = least(CELL, width - b * CELL);
                memcpy(back ? there : here, back ? here : there, sizeof(float) * count);
                if (!back && count < CELL) memset(here + count, 0, sizeof(float) * (CELL - count));
            }
}
