// backproject and project, each the other's adjoint. The definition is kernels/reference/tomogram.py.
// Both gather: a voxel from the pixels that see it, a pixel from the voxels that it sees. No two threads write the same
// place, and every sum has a fixed order: the same numbers each time. Slices lie side by side, so that the threads of a
// warp read neighbours and share their weights, which are worked out once a block, in double precision.
//   images  T x pixels x slices
//   lines   T x 3               (a, b, c) of u = a x + b z + c
//   volume  nz x nx x slices

#define SLICES 32  // of a block
#define PLACES 8   // of a block, along x or u
#define THREADS (SLICES * PLACES)
#define PLANES (THREADS / PLACES)  // whose weights are in hand at a time

// A thread a voxel, for images t = 0, 1, ...: what they add is summed up before the voxel gets it.
extern "C" __global__ void __launch_bounds__(THREADS)
    backproject(const float* __restrict__ images, const double* __restrict__ lines, float* __restrict__ volume,
                int tilts, int pixels, int nz, int nx, int slices) {
  __shared__ int whole[THREADS];
  __shared__ float part[THREADS];
  __shared__ float slope[THREADS];
  const int y = blockIdx.x * SLICES + threadIdx.x, x0 = blockIdx.y * PLACES, i = threadIdx.y;
  const int thread = i * SLICES + threadIdx.x, z = blockIdx.z;
  const bool inside = y < slices && x0 + i < nx;
  float sum = 0.0f;
  for (int begin = 0; begin < tilts; begin += THREADS) {
    const int count = min(THREADS, tilts - begin);
    if (thread < count) {
      const double* line = lines + 3 * (begin + thread);
      const double u = line[0] * x0 + line[1] * z + line[2], low = floor(u);
      whole[thread] = (int)fmin(fmax(low, -1e6), 1e6);
      part[thread] = (float)(u - low);
      slope[thread] = (float)line[0];
    }
    __syncthreads();
    if (inside)
      for (int t = 0; t < count; t++) {
        const float u = part[t] + slope[t] * (float)i, low = floorf(u), above = u - low;
        const int pixel = whole[t] + (int)low;
        const float* row = images + ((long long)(begin + t) * pixels + pixel) * slices + y;
        if (pixel >= 0 && pixel < pixels) sum += (1.0f - above) * row[0];
        if (pixel >= -1 && pixel < pixels - 1) sum += above * row[slices];
      }
    __syncthreads();
  }
  if (inside) volume[((long long)z * nx + x0 + i) * slices + y] += sum;
}

// A thread a pixel.
extern "C" __global__ void __launch_bounds__(THREADS)
    project(const float* __restrict__ volume, const double* __restrict__ lines, float* __restrict__ images, int tilts,
            int pixels, int nz, int nx, int slices) {
  __shared__ int from[THREADS];
  __shared__ int taps[THREADS];
  __shared__ float distance[THREADS];
  const int y = blockIdx.x * SLICES + threadIdx.x, u0 = blockIdx.y * PLACES, i = threadIdx.y, t = blockIdx.z;
  const int thread = i * SLICES + threadIdx.x;
  const bool inside = y < slices && u0 + i < pixels;
  const double a = lines[3 * t], b = lines[3 * t + 1], c = lines[3 * t + 2];
  float sum = 0.0f;
  for (int z0 = 0; z0 < nz; z0 += PLANES) {
    // Pixel `thread / PLANES` sees the voxels of plane `thread % PLANES` that lie in an open interval.
    const int z = z0 + thread % PLANES;
    const double rest = b * z + c - (u0 + thread / PLANES);
    double low = 0, high = -1;
    if (a != 0) {
      const double middle = -rest / a, reach = 1.0 / fabs(a);
      low = fmax(0.0, floor(middle - reach) + 1);
      high = fmin(nx - 1.0, ceil(middle + reach) - 1);
    } else if (fabs(rest) < 1) {
      high = nx - 1.0;
    }
    const bool seen = z < nz && low <= high;
    from[thread] = seen ? (int)low : 0;
    taps[thread] = seen ? (int)(high - low) + 1 : 0;
    distance[thread] = seen ? (float)(a * low + rest) : 0.0f;
    __syncthreads();
    if (inside)
      for (int k = 0; k < min(PLANES, nz - z0); k++) {
        const int pair = i * PLANES + k;
        const float* row = volume + ((long long)(z0 + k) * nx + from[pair]) * slices + y;
        for (int j = 0; j < taps[pair]; j++, row += slices)
          sum += fmaxf(0.0f, 1.0f - fabsf(distance[pair] + (float)a * (float)j)) * row[0];
      }
    __syncthreads();
  }
  if (inside) images[((long long)t * pixels + u0 + i) * slices + y] += sum;
}
