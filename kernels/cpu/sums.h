/* The loop of sums.pyx: a piece of a row of every frame is added while the sum is in the closest cache. */
#include "raw.h"

enum { PIECE = 2048 };

WIDE_CLONES
static void add_rows(const raw_frame *frames, long n_frames, long size, float *out)
{
    for (long low = 0; low < size; low += PIECE) {
        long count = size - low < PIECE ? size - low : PIECE;
        for (long t = 0; t < n_frames; t++) {
            float *restrict to = out + low;
            switch (frames[t].type) {
#define ADD(type)                                                                                                      \
    {                                                                                                                  \
        const type *restrict p = (const type *)frames[t].pixels + low;                                                 \
        for (long j = 0; j < count; j++) to[j] += (float)p[j];                                                         \
        break;                                                                                                         \
    }
            case 'b': ADD(int8_t)
            case 'B': ADD(uint8_t)
            case 'h': ADD(int16_t)
            case 'H': ADD(uint16_t)
            default: ADD(float)
            }
        }
    }
}
