// warp_accumulate for one frame: sample it at x + d(x) with a quintic B-spline and add it to R sums, weighted.
// The definition is kernels/reference/warp.py. A thread gathers one pixel: no two write the same place.
//   frame    h x w             gain applied
//   shifts   2 x cells x cells displacement (y, x) in 1/1024 px, in cells of 16 x 16 px of the band
//   weights  sums
//   out      sums x m x w      rows first ... first + m - 1, changed in place

#define CELL 16
#define UNIT 1024

__device__ void taps(float f, float* t) {
  const float g = 1.0f - f, f2 = f * f, g2 = g * g;
  t[0] = g2 * g2 * g;
  t[1] = 26.0f + f * (-50.0f + f * (20.0f + f * (20.0f + f * (-20.0f + f * 5.0f))));
  t[2] = 66.0f + f2 * (-60.0f + f2 * (30.0f - 10.0f * f));
  t[3] = 66.0f + g2 * (-60.0f + g2 * (30.0f - 10.0f * g));
  t[4] = 26.0f + g * (-50.0f + g * (20.0f + g * (20.0f + g * (-20.0f + g * 5.0f))));
  t[5] = f2 * f2 * f;
}

__device__ int mirrored(int i, int n) {
  int m = i % (2 * n);
  if (m < 0) m += 2 * n;
  return m < n ? m : 2 * n - 1 - m;
}

__device__ int floor_div(int a, int b) {
  const int q = a / b;
  return q * b > a ? q - 1 : q;
}

extern "C" __global__ void warp_accumulate(const float* __restrict__ frame, const int* __restrict__ shifts,
                                           const float* __restrict__ weights, float* __restrict__ out, int height,
                                           int width, int m, int first, int offset, int cells_y, int cells_x, int sums) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || i >= m) return;
  const int* down = shifts + (i / CELL) * cells_x;
  const int u = shifts[(cells_y + i / CELL) * cells_x + x / CELL];
  const int whole = floor_div(u, UNIT);
  float tx[6], ty[6];
  taps((float)(u - whole * UNIT) / UNIT, tx);
  float value = 0.0f;
  for (int k = 0; k < 6; k++) {
    const int column = x + whole + k - 2;
    int cell = floor_div(column - offset, CELL);
    cell = cell < 0 ? 0 : cell >= cells_x ? cells_x - 1 : cell;
    const int v = down[cell], step = floor_div(v, UNIT), at = mirrored(column, width);
    taps((float)(v - step * UNIT) / UNIT, ty);
    float line = 0.0f;
    for (int r = 0; r < 6; r++)
      line += ty[r] * frame[(long long)mirrored(first + i + step + r - 2, height) * width + at];
    value += tx[k] * line;
  }
  value *= 1.0f / 14400.0f;
  const long long at = (long long)i * width + x, image = (long long)m * width;
  for (int s = 0; s < sums; s++) out[s * image + at] += weights[s] * value;
}
