/* The loops of shrink.pyx. Defined by kernels/reference/shrink.py. */
#include "raw.h"

enum {
    STRIP = 512,
    SLICE = 32,
    PITCH = STRIP + 16, /* of the block's rows: no power of two, so that a column of them spreads over the cache */
    WIDE = 64
};

/* Columns left ... left + STRIP - 1 (those inside the frame) of one row of the frame, less its mean; else zeros. */
INLINED void row_or_zeros(raw_frame frame, const float *gain, float mean, long height, long width, long y, long left,
                          float *out)
{
    long count = width - left < STRIP ? width - left : STRIP;
    if (y < 0 || y >= height) count = 0;
    if (count) raw_row(frame, gain, height, width, y, left, count, out);
    for (long j = 0; j < count; j++) out[j] -= mean;
    for (long j = count; j < STRIP; j++) out[j] = 0;
}

/* Rows of out [m][columns], filtered down the columns and thinned: row i stands at (first + i + 1/2) step - 1/2 of
 * the frame. columns is a multiple of STRIP and at least the width. block: room for ((m - 1) step + n_taps) PITCH. */
WIDE_CLONES
static void shrink_down(raw_frame frame, const float *gain, float mean, long height, long width, const float *taps,
                        long n_taps, long step, long first, long m, long columns, float *block, float *out)
{
    long rows = (m - 1) * step + n_taps, top = first * step + (step - n_taps) / 2;
    for (long left = 0; left < columns; left += STRIP) {
        for (long i = 0; i < rows; i++)
            row_or_zeros(frame, gain, mean, height, width, top + i, left, block + i * PITCH);
        for (long slice = 0; slice < STRIP; slice += SLICE) /* so narrow that its part of the block stays close */
            for (long i = 0; i < m; i++) {
                const float *in = block + i * step * PITCH + slice;
                f16 a = {0}, b = {0}, c = {0}, d = {0};
                long k = 0;
                for (; k + 1 < n_taps; k += 2, in += 2 * PITCH) {
                    a += taps[k] * load16(in), b += taps[k] * load16(in + 16);
                    c += taps[k + 1] * load16(in + PITCH), d += taps[k + 1] * load16(in + PITCH + 16);
                }
                if (k < n_taps) a += taps[k] * load16(in), b += taps[k] * load16(in + 16);
                store16(out + i * columns + left + slice, a + c);
                store16(out + i * columns + left + slice + 16, b + d);
            }
    }
}

/* One row [n], filtered along itself and thinned, is added to out [m]. The first result's first tap stands
 * before = (n_taps - step) / 2 pixels left of the row. length: a multiple of WIDE, at least m + n_taps / step, plus
 * WIDE. padded: room for step * length floats; phases: as many. */
WIDE_CLONES
static void shrink_along(const float *row, long n, const float *taps, long n_taps, long step, long m, long length,
                         float *padded, float *phases, float *out)
{
    long before = (n_taps - step) / 2, kept = step * length - before < n ? step * length - before : n;
    memset(padded, 0, sizeof(float) * before);
    memcpy(padded + before, row, sizeof(float) * kept);
    memset(padded + before + kept, 0, sizeof(float) * (step * length - before - kept));
    for (long s = 0; s < step; s++)
        for (long j = 0; j < length; j++) phases[s * length + j] = padded[s + j * step];
    for (long j = 0; j < m; j += WIDE) {
        f16 a = {0}, b = {0}, c = {0}, d = {0};
        const float *in = phases + j;
        for (long k = 0, s = 0; k < n_taps; k++) {
            float tap = taps[k];
            const float *p = in + s * length;
            a += tap * load16(p), b += tap * load16(p + 16), c += tap * load16(p + 32), d += tap * load16(p + 48);
            if (++s == step) s = 0, in++;
        }
        float sums[WIDE];
        store16(sums, a), store16(sums + 16, b), store16(sums + 32, c), store16(sums + 48, d);
        for (long i = j; i < j + WIDE && i < m; i++) out[i] += sums[i - j];
    }
}
