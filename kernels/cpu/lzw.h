/* LZW as TIFF has it. Defined by kernels/reference/lzw.py.
 *
 * What a code stands for is a piece of the output before it: the string of the code before, and one byte more, which
 * follows it there. So the table holds places and lengths, nothing is ever built up, and a code costs one copy.
 * Copies are of 16 bytes and may go too far; near the end of the output, and of the input, the same is done with care.
 */
#include <stdint.h>
#include <string.h>

enum { CLEAR = 256, END = 257, FIRST = 258, CODES = 4096, SPARE = 16 };

typedef struct {
    const uint8_t *at;
    int32_t length;
} lzw_string;

static uint8_t lzw_bytes[256 + SPARE];

static void lzw_fill(void)
{
    for (int i = 0; i < 256; i++) lzw_bytes[i] = (uint8_t)i;
}

/* Decode size bytes into out [room]; return how many bytes came out, or -1 where a code means nothing. It ends at the
 * end code, where the room is full, or where the data are. */
static long lzw_decode_bytes(const uint8_t *data, long size, uint8_t *out, long room)
{
    lzw_string strings[CODES];
    uint8_t *const begin = out, *const end = out + room, *before = 0;
    long bit = 0, length_before = 0, next = FIRST, width = 9;
    const long bits = size * 8;
    for (int i = 0; i < 256; i++) strings[i].at = lzw_bytes + i, strings[i].length = 1;
    while (out < end && bit + width <= bits) {
        uint64_t window = 0;
        long at = bit >> 3;
        if (at + 8 <= size) memcpy(&window, data + at, 8);
        else memcpy(&window, data + at, (size_t)(size - at));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        window = __builtin_bswap64(window);
#endif
        long code = (long)((window << (bit & 7)) >> (64 - width));
        bit += width;
        if (code == CLEAR || code == END) {
            if (code == END) break;
            next = FIRST, width = 9, before = 0;
            continue;
        }
        if (!before) {
            if (code > 255) return -1; /* nothing has been said yet that it could mean */
        } else {
            if (next < CODES) strings[next].at = before, strings[next].length = (int32_t)(length_before + 1);
            if (code > next || code >= CODES) return -1;
        }
        const uint8_t *from = strings[code].at;
        long length = strings[code].length;
        if (length + SPARE <= end - out) {
            uint8_t *to = out;
            memcpy(to, from, 16);
            for (long left = length - 16; left > 0; left -= 16) {
                from += 16, to += 16;
                memcpy(to, from, 16);
            }
            /* Its last byte is its own first one: it was not there yet when it was copied. */
            if (code == next) out[length - 1] = out[0];
        } else {
            if (length > end - out) length = end - out;
            for (long i = 0; i < length; i++) out[i] = from[i];
        }
        if (before && next < CODES) {
            next++;
            width += (next > (1L << width) - 2) & (width < 12);
        }
        before = out, length_before = length;
        out += length;
    }
    return (long)(out - begin);
}
