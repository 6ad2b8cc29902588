/* Rows of raw frames as float32, times the gain, mirrored beyond the frame's edges. */
#ifndef PYPCORE_RAW_H
#define PYPCORE_RAW_H

#include "wide.h"

/* A pixel's type, named as by Python's struct module: b B h H f. */
typedef struct {
    const void *pixels;
    char type;
} raw_frame;

/* Fold an index from beyond 0 ... n - 1 back, the edge pixel doubled. */
INLINED long mirrored(long i, long n)
{
    if (i >= 0 && i < n) return i;
    i %= 2 * n;
    if (i < 0) i += 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

#define COPY(type)                                                                                                     \
    {                                                                                                                  \
        const type *p = (const type *)frame.pixels + row * width;                                                      \
        if (gain)                                                                                                      \
            for (long j = low; j < high; j++) out[j - left] = (float)p[j] * gain[row * width + j];                     \
        else                                                                                                           \
            for (long j = low; j < high; j++) out[j - left] = (float)p[j];                                             \
        break;                                                                                                         \
    }

/* Columns left ... left + count - 1 of row y of a frame [height, width]. */
INLINED void raw_row(raw_frame frame, const float *restrict gain, long height, long width, long y, long left,
                     long count, float *restrict out)
{
    long row = mirrored(y, height), low = left, high = left + count;
    if (low < 0) low = 0;
    if (high > width) high = width;
    if (low >= high) low = 0, high = 0;
    switch (frame.type) {
    case 'b': COPY(int8_t)
    case 'B': COPY(uint8_t)
    case 'h': COPY(int16_t)
    case 'H': COPY(uint16_t)
    default: COPY(float)
    }
    for (long j = left; j < left + count; j++) {
        if (j >= low && j < high) {
            j = high - 1;
            continue;
        }
        long x = mirrored(j, width), place = row * width + x;
        float value;
        switch (frame.type) {
        case 'b': value = ((const int8_t *)frame.pixels)[place]; break;
        case 'B': value = ((const uint8_t *)frame.pixels)[place]; break;
        case 'h': value = ((const int16_t *)frame.pixels)[place]; break;
        case 'H': value = ((const uint16_t *)frame.pixels)[place]; break;
        default: value = ((const float *)frame.pixels)[place];
        }
        out[j - left] = gain ? value * gain[place] : value;
    }
}

INLINED long raw_size(raw_frame frame)
{
    return frame.type == 'f' ? 4 : (frame.type == 'h' || frame.type == 'H') ? 2 : 1;
}

#endif
