// sample_affine for V images at once. The definition is kernels/reference/affine.py. A thread gathers one pixel.
//   coefficients  images x height x width   of cubic B-splines
//   image         V                         which of them is sampled
//   grids         V x 6                     origin (y, x), matrix (yy, yx, xy, xx): of row i, column j
//   out           V x rows x columns

__device__ void taps(float f, float* t) {
  const float g = 1.0f - f, sixth = 1.0f / 6;
  t[0] = g * g * g * sixth;
  t[1] = (4.0f + f * f * (3.0f * f - 6.0f)) * sixth;
  t[2] = (4.0f + g * g * (3.0f * g - 6.0f)) * sixth;
  t[3] = f * f * f * sixth;
}

extern "C" __global__ void sample_affine(const float* __restrict__ coefficients, const int* __restrict__ image,
                                         const double* __restrict__ grids, float* __restrict__ out, int height,
                                         int width, int rows, int columns) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y * blockDim.y + threadIdx.y, v = blockIdx.z;
  if (i >= rows || j >= columns) return;
  const double* g = grids + 6 * v;
  const double y = g[0] + g[2] * i + g[3] * j, x = g[1] + g[4] * i + g[5] * j;
  float total = 0.0f;
  if (y >= -2 && x >= -2 && y <= height + 1 && x <= width + 1) {
    const double low_y = floor(y), low_x = floor(x);
    float along_y[4], along_x[4];
    taps((float)(y - low_y), along_y);
    taps((float)(x - low_x), along_x);
    const float* from = coefficients + (long long)image[v] * height * width;
    for (int a = 0; a < 4; a++) {
      const int row = (int)low_y + a - 1;
      if (row < 0 || row >= height) continue;
      float line = 0.0f;
      for (int b = 0; b < 4; b++) {
        const int column = (int)low_x + b - 1;
        if (column >= 0 && column < width) line += along_x[b] * from[(long long)row * width + column];
      }
      total += along_y[a] * line;
    }
  }
  out[((long long)v * rows + i) * columns + j] = total;
}
