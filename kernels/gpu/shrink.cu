// shrink_frame: low-pass a frame and take every step-th pixel of it, first down the columns, then along the rows.
// The definition is kernels/reference/shrink.py. A thread makes one pixel: no two write the same place.
//   frame  h x w   gain applied;  taps: n_taps
//   band   m x w   filtered down the columns and thinned
//   out    rows of pitch pixels, of which m x n are added to

extern "C" __global__ void shrink_down(const float* __restrict__ frame, const float* __restrict__ taps,
                                       float* __restrict__ band, int height, int width, int m, int n_taps, int step,
                                       float mean) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || i >= m) return;
  const int top = i * step - (n_taps - step) / 2;
  float sum = 0.0f;
  for (int k = 0; k < n_taps; k++) {
    const int y = top + k;
    if (y >= 0 && y < height) sum += taps[k] * (frame[(long long)y * width + x] - mean);
  }
  band[(long long)i * width + x] = sum;
}

extern "C" __global__ void shrink_along(const float* __restrict__ band, const float* __restrict__ taps,
                                        float* __restrict__ out, int width, int m, int n, int pitch, int n_taps,
                                        int step) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (j >= n || i >= m) return;
  const int left = j * step - (n_taps - step) / 2;
  float sum = 0.0f;
  for (int k = 0; k < n_taps; k++) {
    const int x = left + k;
    if (x >= 0 && x < width) sum += taps[k] * band[(long long)i * width + x];
  }
  out[(long long)i * pitch + j] += sum;
}
