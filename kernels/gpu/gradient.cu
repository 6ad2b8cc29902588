// patch_gradient for P patches at once. The definition is kernels/reference/gradient.py.
// Coefficients are taken sorted by shell; a shell's are shell_start[s] ... shell_start[s + 1] - 1. All sums have a
// fixed order: the same numbers each time.
//   packed    P x size         spectra as pack_spectra left them, 16-bit
//   scale     P x T            what one unit of them is
//   place     K                where the real part of a coefficient's first frame lies;  pad: K, what its imaginary
//                              part lies behind it; the next frame's real part lies 2 pad behind
//   shell, ky, kx              K, its shell and radians per pixel
//   shifts    P x T x 2        (y, x), pixels
//   gain      P x S

__device__ float2 moved(const short* __restrict__ packed, int place, int pad, int t, float scale, float ky, float kx,
                        const float* __restrict__ shift) {
  float s, c;
  sincosf(ky * shift[0] + kx * shift[1], &s, &c);
  const long long at = place + 2LL * pad * t;
  const float re = scale * packed[at], im = scale * packed[at + pad];
  return make_float2(re * c - im * s, re * s + im * c);
}

// total: P x K, sum over frames of U; cross: P x K, |total|^2 - sum |U|^2.
extern "C" __global__ void patch_total(const short* __restrict__ packed, const float* __restrict__ scale,
                                       const int* __restrict__ place, const int* __restrict__ pad,
                                       const float* __restrict__ ky, const float* __restrict__ kx,
                                       const float* __restrict__ shifts, float2* __restrict__ total,
                                       float* __restrict__ cross, int frames, long long size, int count) {
  const int k = blockIdx.x * blockDim.x + threadIdx.x, p = blockIdx.y;
  if (k >= count) return;
  float re = 0.0f, im = 0.0f, own = 0.0f;
  for (int t = 0; t < frames; t++) {
    const long long n = (long long)p * frames + t;
    const float2 u = moved(packed + p * size, place[k], pad[k], t, scale[n], ky[k], kx[k], shifts + 2 * n);
    re += u.x;
    im += u.y;
    own += u.x * u.x + u.y * u.y;
  }
  const long long at = (long long)p * count + k;
  total[at] = make_float2(re, im);
  cross[at] = re * re + im * im - own;
}

// power: P x S. A block a shell and patch; blockDim.x is 128.
extern "C" __global__ void shell_power(const float* __restrict__ cross, const int* __restrict__ shell_start,
                                       double* __restrict__ power, int count, int shells) {
  __shared__ double part[128];
  const int s = blockIdx.x, p = blockIdx.y;
  double sum = 0.0;
  for (int k = shell_start[s] + threadIdx.x; k < shell_start[s + 1]; k += blockDim.x)
    sum += cross[(long long)p * count + k];
  part[threadIdx.x] = sum;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half >>= 1) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) power[(long long)p * shells + s] = part[0];
}

// gradient: P x T x 2. A block a frame and patch; blockDim.x is 128.
extern "C" __global__ void frame_gradient(const short* __restrict__ packed, const float* __restrict__ scale,
                                          const int* __restrict__ place, const int* __restrict__ pad,
                                          const float* __restrict__ ky, const float* __restrict__ kx,
                                          const float* __restrict__ shifts, const int* __restrict__ shell,
                                          const float* __restrict__ gain, const float2* __restrict__ total,
                                          double* __restrict__ gradient, int frames, long long size, int count,
                                          int shells) {
  __shared__ double along_y[128];
  __shared__ double along_x[128];
  const int t = blockIdx.x, p = blockIdx.y;
  const long long n = (long long)p * frames + t;
  double sum_y = 0.0, sum_x = 0.0;
  for (int k = threadIdx.x; k < count; k += blockDim.x) {
    const float2 u = moved(packed + p * size, place[k], pad[k], t, scale[n], ky[k], kx[k], shifts + 2 * n);
    const float2 r = total[(long long)p * count + k];
    const double torque = -2.0 * gain[(long long)p * shells + shell[k]] * (r.x * u.y - r.y * u.x);
    sum_y += torque * ky[k];
    sum_x += torque * kx[k];
  }
  along_y[threadIdx.x] = sum_y;
  along_x[threadIdx.x] = sum_x;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half >>= 1) {
    if (threadIdx.x < half) {
      along_y[threadIdx.x] += along_y[threadIdx.x + half];
      along_x[threadIdx.x] += along_x[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    gradient[2 * n] = along_y[0];
    gradient[2 * n + 1] = along_x[0];
  }
}
