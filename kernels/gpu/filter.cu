// add_filtered: a spectrum times a radial curve, times a factor for its row and one for its column, added to a total.
// The definition is kernels/reference/spectra.py. A thread does one coefficient: no two write the same place.
//   spectrum, total  h x w;  bins: h x w, which value of the curve holds;  along_y: h;  along_x: w

extern "C" __global__ void add_filtered(const float2* __restrict__ spectrum, const unsigned short* __restrict__ bins,
                                        const float* __restrict__ curve, const float* __restrict__ along_y,
                                        const float* __restrict__ along_x, float2* __restrict__ total, int height,
                                        int width) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const long long at = (long long)y * width + x;
  const float factor = curve[bins[at]] * along_y[y] * along_x[x];
  total[at].x += factor * spectrum[at].x;
  total[at].y += factor * spectrum[at].y;
}
