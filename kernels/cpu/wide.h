/* Wide arithmetic that any machine can run: vectors of 8 and 16 numbers, which the compiler maps to what a clone
 * has, and clones of a function for x86-64's levels, chosen when the library is loaded.
 *
 * No -march=native (an older node would die of it) and no -ffast-math (it changes a whole process). Sums have a
 * written order, so a clone's result differs from another's by the rounding of fused multiplications alone.
 */
#ifndef PYPCORE_WIDE_H
#define PYPCORE_WIDE_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define WIDE_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors are passed to inlined functions only */
#else
#define WIDE_CLONES
#endif
#define INLINED static inline __attribute__((always_inline))

typedef float f8 __attribute__((vector_size(32)));
typedef float f16 __attribute__((vector_size(64)));
typedef int16_t h8 __attribute__((vector_size(16)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef uint8_t b16 __attribute__((vector_size(16)));

/* Loads and stores from any address. */
INLINED f8 load8(const float *p) { f8 v; memcpy(&v, p, sizeof v); return v; }
INLINED void store8(float *p, f8 v) { memcpy(p, &v, sizeof v); }
INLINED f16 load16(const float *p) { f16 v; memcpy(&v, p, sizeof v); return v; }
INLINED void store16(float *p, f16 v) { memcpy(p, &v, sizeof v); }

#endif
