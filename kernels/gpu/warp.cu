// warp_accumulate: sample a frame at x + d(x) with a quintic B-spline and add it to R sums, weighted.
// The definition is kernels/reference/warp.py. A thread gathers one pixel: no two write the same place.
//   rows     n x (w + 2 pad)   band of the frame; rows[k, c] is the pixel (top + k, c - pad)
//   dy, dx   gy x gx           displacement at the nodes (a cell, b cell), pixels
//   weights  sums
//   out      sums x m x w      rows first ... first + m - 1, changed in place

__device__ void taps(float f, float* t) {
  const float g = 1.0f - f, f2 = f * f, g2 = g * g;
  t[0] = g2 * g2 * g;
  t[1] = 26.0f + f * (-50.0f + f * (20.0f + f * (20.0f + f * (-20.0f + f * 5.0f))));
  t[2] = 66.0f + f2 * (-60.0f + f2 * (30.0f - 10.0f * f));
  t[3] = 66.0f + g2 * (-60.0f + g2 * (30.0f - 10.0f * g));
  t[4] = 26.0f + g * (-50.0f + g * (20.0f + g * (20.0f + g * (-20.0f + g * 5.0f))));
  t[5] = f2 * f2 * f;
}

extern "C" __global__ void warp_accumulate(const float* __restrict__ rows, const float* __restrict__ dy,
                                           const float* __restrict__ dx, const float* __restrict__ weights,
                                           float* __restrict__ out, int width, int m, int pad, int top, int first,
                                           int cell, int gx, int sums) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (j >= width || i >= m) return;
  const int y = first + i, a = y / cell, b = j / cell;
  const float f = (float)(y - a * cell) / (float)cell, g = (float)(j - b * cell) / (float)cell;
  const long long n = (long long)a * gx + b;
  const float v = (dy[n] * (1.0f - g) + dy[n + 1] * g) * (1.0f - f) + (dy[n + gx] * (1.0f - g) + dy[n + gx + 1] * g) * f;
  const float u = (dx[n] * (1.0f - g) + dx[n + 1] * g) * (1.0f - f) + (dx[n + gx] * (1.0f - g) + dx[n + gx + 1] * g) * f;
  const float vf = floorf(v), uf = floorf(u);
  float ty[6], tx[6];
  taps(v - vf, ty);
  taps(u - uf, tx);
  const long long stride = (long long)width + 2 * pad;
  const float* p = rows + (long long)(y + (int)vf - 2 - top) * stride + (j + (int)uf - 2 + pad);
  float value = 0.0f;
  for (int r = 0; r < 6; r++) {
    float line = 0.0f;
    for (int c = 0; c < 6; c++) line += tx[c] * p[c];
    value += ty[r] * line;
    p += stride;
  }
  value *= 1.0f / 14400.0f;
  const long long at = (long long)i * width + j, image = (long long)m * width;
  for (int s = 0; s < sums; s++) out[s * image + at] += weights[s] * value;
}
