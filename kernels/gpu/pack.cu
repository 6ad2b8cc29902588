// pack_spectra for P patches of n frames at once. The definition is kernels/reference/gradient.py.
//   spectra  P x n x pixels  of the frames first ... first + n - 1 of T
//   at       K               where a coefficient lies in a spectrum;  damage: T x K
//   place    K               where its first frame's real part goes;  pad: K, its imaginary part lies that much behind,
//                            the next frame's real part 2 pad behind
//   rows     P               which rows of packed and scale are a patch's
//   packed   rows x size;  scale: rows x T

// A block a frame and patch; blockDim.x is 128. A maximum has no order: the same number each time.
extern "C" __global__ void spectra_scale(const float2* __restrict__ spectra, const int* __restrict__ at,
                                         const float* __restrict__ damage, float* __restrict__ scale,
                                         const int* __restrict__ rows, int n, int first, int frames, int count,
                                         long long pixels) {
  __shared__ float part[128];
  const int t = blockIdx.x, p = blockIdx.y;
  const float2* own = spectra + ((long long)p * n + t) * pixels;
  const float* left = damage + (long long)(first + t) * count;
  float most = 0.0f;
  for (int k = threadIdx.x; k < count; k += blockDim.x) {
    const float2 v = own[at[k]];
    most = fmaxf(most, fmaxf(fabsf(v.x * left[k]), fabsf(v.y * left[k])));
  }
  part[threadIdx.x] = most;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half >>= 1) {
    if (threadIdx.x < half) part[threadIdx.x] = fmaxf(part[threadIdx.x], part[threadIdx.x + half]);
    __syncthreads();
  }
  if (threadIdx.x == 0) scale[(long long)rows[p] * frames + first + t] = part[0] / 32767.0f;
}

extern "C" __global__ void spectra_pack(const float2* __restrict__ spectra, const int* __restrict__ at,
                                        const float* __restrict__ damage, const float* __restrict__ scale,
                                        const int* __restrict__ rows, const int* __restrict__ place,
                                        const int* __restrict__ pad, short* __restrict__ packed, int n, int first, int frames, int count,
                                        long long pixels, long long size) {
  const int k = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y, p = blockIdx.z;
  if (k >= count) return;
  const float unit = scale[(long long)rows[p] * frames + first + t];
  const float inverse = unit > 0.0f ? 1.0f / unit : 0.0f;
  const float q = damage[(long long)(first + t) * count + k] * inverse;
  const float2 v = spectra[((long long)p * n + t) * pixels + at[k]];
  short* out = packed + rows[p] * size + place[k] + 2LL * pad[k] * (first + t);
  out[0] = (short)rintf(v.x * q);
  out[pad[k]] = (short)rintf(v.y * q);
}
