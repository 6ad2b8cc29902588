/* The innermost loops of gradient.pyx. Defined by kernels/reference/gradient.py, where the layout stands. */
#include "wide.h"

/* Frame t of T into its place in every run: q x, so scaled that its largest part is 32767; return the scale.
 * product: room for 2 floats a coefficient. */
WIDE_CLONES
static float pack_frame(const float *restrict spectrum, long columns, const int32_t *runs, long n_runs,
                        const float *restrict q, float *restrict product, long t, long n_frames,
                        int16_t *restrict packed)
{
    const float magic = 12582912.0f; /* 3 * 2^22: a number of up to 2^22 added to it is rounded to a whole one */
    int32_t largest = 0;
    long k = 0;
    for (long r = 0; r < n_runs; r++) {
        const float *x = spectrum + 2 * (runs[3 * r] * columns + runs[3 * r + 1]);
        long count = runs[3 * r + 2];
        for (long j = 0; j < count; j++) {
            product[2 * (k + j)] = q[k + j] * x[2 * j];
            product[2 * (k + j) + 1] = q[k + j] * x[2 * j + 1];
        }
        k += count;
    }
    for (long j = 0; j < 2 * k; j++) { /* without their sign, floats are in the order of their bits */
        int32_t bits;
        memcpy(&bits, product + j, 4);
        bits &= INT32_MAX;
        largest = bits > largest ? bits : largest;
    }
    float most;
    memcpy(&most, &largest, 4);
    float inverse = most > 0 ? 32767 / most : 0;
    k = 0;
    for (long r = 0; r < n_runs; r++) {
        long count = runs[3 * r + 2], padded = (count + 7) / 8 * 8;
        int16_t *re = packed + t * 2 * padded, *im = re + padded;
        const float *here = product + 2 * k;
        for (long j = 0; j < count; j++) {
            float a = here[2 * j] * inverse + magic, b = here[2 * j + 1] * inverse + magic;
            int32_t i, l;
            memcpy(&i, &a, 4), memcpy(&l, &b, 4);
            re[j] = (int16_t)i, im[j] = (int16_t)l; /* the low bits of the fraction are the whole number */
        }
        for (long j = count; j < padded; j++) re[j] = im[j] = 0;
        packed += n_frames * 2 * padded;
        k += count;
    }
    return most / 32767;
}

INLINED f8 widened(const int16_t *p)
{
    h8 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, f8);
}

INLINED double sum8(f8 v)
{
    return (((double)v[0] + v[4]) + ((double)v[1] + v[5])) + (((double)v[2] + v[6]) + ((double)v[3] + v[7]));
}

/* One run of one patch. cos_x, sin_x: [T][stride], from the run's first column on; cos_y, sin_y: [T], frame scales
 * in them. moved: room for T * 2 * padded floats; total: 2 * padded. gain, cross: [padded]. */
WIDE_CLONES
static void gradient_of_run(const int16_t *packed, long n_frames, long padded, const float *cos_y, const float *sin_y,
                            const float *cos_x, const float *sin_x, long stride, const float *kx, float ky,
                            const float *gain, float *moved, float *total, float *cross, double *gradient)
{
    for (long j = 0; j < padded; j += 8) {
        f8 zero = {0};
        store8(total + j, zero), store8(total + padded + j, zero), store8(cross + j, zero);
    }
    for (long t = 0; t < n_frames; t++) {
        const int16_t *re = packed + t * 2 * padded, *im = re + padded;
        float *u = moved + t * 2 * padded, *v = u + padded;
        for (long j = 0; j < padded; j += 8) {
            f8 cx = load8(cos_x + t * stride + j), sx = load8(sin_x + t * stride + j);
            f8 a = cos_y[t] * cx - sin_y[t] * sx, b = cos_y[t] * sx + sin_y[t] * cx;
            f8 x = widened(re + j), y = widened(im + j);
            f8 here = x * a - y * b, there = x * b + y * a;
            store8(u + j, here), store8(v + j, there);
            store8(total + j, load8(total + j) + here);
            store8(total + padded + j, load8(total + padded + j) + there);
            store8(cross + j, load8(cross + j) - (here * here + there * there));
        }
    }
    for (long j = 0; j < padded; j += 8) {
        f8 a = load8(total + j), b = load8(total + padded + j), g = load8(gain + j);
        store8(cross + j, load8(cross + j) + (a * a + b * b));
        store8(total + j, a * g), store8(total + padded + j, b * g);
    }
    for (long t = 0; t < n_frames; t++) {
        const float *u = moved + t * 2 * padded, *v = u + padded;
        f8 along_y = {0}, along_x = {0};
        for (long j = 0; j < padded; j += 8) {
            f8 torque = load8(total + j) * load8(v + j) - load8(total + padded + j) * load8(u + j);
            along_y += torque;
            along_x += torque * load8(kx + j);
        }
        gradient[2 * t] -= 2 * ky * sum8(along_y);
        gradient[2 * t + 1] -= 2 * sum8(along_x);
    }
}
