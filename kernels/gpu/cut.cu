// cut_windows for P patches at once: boxes of frames, each where the patch has moved to, times a window.
// The definition is kernels/reference/cut.py. A thread makes one pixel: no two write the same place.
//   frames    T x h x w
//   corners   P x n x 2      (y, x) of each box, of the frames first ... first + n - 1
//   window_y  P x by;  window_x: P x bx
//   out       P x n x by x bx

extern "C" __global__ void cut_windows(const float* __restrict__ frames, const int* __restrict__ corners,
                                       const float* __restrict__ window_y, const float* __restrict__ window_x,
                                       float* __restrict__ out, int height, int width, int by, int bx, int n,
                                       int first) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= bx || y >= by) return;
  const int box = blockIdx.z, p = box / n, t = first + box % n;
  const int row = corners[2 * box] + y, column = corners[2 * box + 1] + x;
  float value = 0.0f;
  if (row >= 0 && row < height && column >= 0 && column < width)
    value = frames[((long long)t * height + row) * width + column] * window_y[p * by + y] * window_x[p * bx + x];
  out[((long long)box * by + y) * bx + x] = value;
}
