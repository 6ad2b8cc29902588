// insert_slices and extract_slices. The definition is kernels/reference/slices.py.
// Insertion gathers: each cell of the volume looks for the samples that have a share in it. No two threads write the
// same place, there are no atomics, and a cell adds up samples in the order of the images: the same numbers whatever
// the number of images at a time, of planes a device has, or of devices.
//   spectra   N x n x (n / 2 + 1)          rfft2 of the images
//   image     E                            whose slice it is: an image, or one of its two sheets (Ewald sphere)
//   sheet     E                            0 flat, or +1, -1
//   matrices  N x 9, shifts N x 2, ctf N x COLUMNS, tables T x n x (n / 2 + 1) x 2, table_of N, curves C x S, curve_of N
//   values    E x n x (n / 2 + 1)          what a sample adds: real, imaginary, weight, nothing; 0 where it isn't used
//   views     E x VIEW                     where its samples go, and how a cell finds them
//   cells     planes x rows x columns      of the volume, from plane `first` on

#define TILE_X 8  // cells of a block, a thread each
#define TILE_Y 4
#define TILE_Z 4
#define THREADS (TILE_X * TILE_Y * TILE_Z)
#define WORDS (THREADS / 32)

// Columns of ctf: see the reference.
enum { XX, XY, YY, GXX, GXY, GYY, QUARTIC, CONSTANT, ENVELOPE, SCALE, WEIGHT, STATE, OVERLAP, COLUMNS };

// Of a view: sample (kx, ky) goes to A kx + B ky + H g2, with g2 = QXX kx^2 + QXY kx ky + QYY ky^2. A cell at v finds it
// within WIDE of (U.v, V.v), if it is no farther than THICK from the slice, along its normal N.
enum { AX, AY, AZ, BX, BY, BZ, HX, HY, HZ, QXX, QXY, QYY, UX, UY, UZ, VX, VY, VZ, NX, NY, NZ, THICK, WIDE_X, WIDE_Y,
       VIEW };

struct Transfer {
  float sine, cosine, envelope, g2;
};

// The CTF at a frequency; phases of many turns are added up in double precision.
__device__ Transfer transfer(const double* __restrict__ c, double x, double y, float aberration) {
  const double g2 = c[GXX] * x * x + c[GXY] * x * y + c[GYY] * y * y;
  const double phase =
      c[XX] * x * x + c[XY] * x * y + c[YY] * y * y + c[QUARTIC] * g2 * g2 + c[CONSTANT] - aberration;
  Transfer t;
  sincospif(2.0f * (float)(phase - rint(phase)), &t.sine, &t.cosine);
  t.g2 = (float)g2;
  t.envelope = (float)c[SCALE] * expf((float)(-c[ENVELOPE] * g2));
  return t;
}

// exp(2 pi i k.s) of a shift in turns a pixel, with the antisymmetric aberrations: x its cosine, y its sine.
__device__ float2 phase_of(const double* __restrict__ shift, double x, double y, float aberration) {
  const double turns = shift[1] * x + shift[0] * y + aberration;
  float2 p;
  sincospif(2.0f * (float)(turns - rint(turns)), &p.y, &p.x);
  return p;
}

// Symmetric and antisymmetric ones, in turns.
__device__ float2 aberrations_at(const float* __restrict__ tables, long long i) {
  return make_float2(tables[2 * i], tables[2 * i + 1]);
}

// Whether a sample is within the Nyquist circles of image and volume.
__device__ bool within(const double* __restrict__ m, double x, double y, int half, double limit) {
  const double a = m[0] * x + m[1] * y, b = m[3] * x + m[4] * y, c = m[6] * x + m[7] * y;
  return x * x + y * y <= (double)half * half && a * a + b * b + c * c <= limit;
}

__device__ float weight_at(const float* __restrict__ curve, int length, float radius) {
  const float inside = fminf(radius, (float)(length - 1));
  int i = (int)inside;
  i = i > length - 2 ? length - 2 : i;
  i = i < 0 ? 0 : i;
  const float right = length > 1 ? curve[i + 1] : curve[i];
  return curve[i] + (inside - (float)i) * (right - curve[i]);
}

// A thread a sample of a view.
extern "C" __global__ void filter_samples(const float2* __restrict__ spectra, const int* __restrict__ image,
                                          const int* __restrict__ sheet, const double* __restrict__ matrices,
                                          const double* __restrict__ shifts, const double* __restrict__ ctf,
                                          const float* __restrict__ tables, const int* __restrict__ table_of,
                                          const float* __restrict__ curves, const int* __restrict__ curve_of,
                                          float4* __restrict__ values, int side, int curve_length, double limit,
                                          long long count) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int half = side / 2, columns = half + 1;
  const long long samples = (long long)side * columns;
  const int e = (int)(i / samples), at = (int)(i % samples), row = at / columns;
  const int kx = at % columns, ky = row > half ? row - side : row, n = image[e], bent = sheet[e];
  values[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if ((kx == 0 && ky < 0) || !within(matrices + 9LL * n, kx, ky, half, limit)) return;
  const double* c = ctf + (long long)COLUMNS * n;
  float2 aberrations = make_float2(0.0f, 0.0f);
  if (table_of[n] >= 0) aberrations = aberrations_at(tables, table_of[n] * samples + at);
  const Transfer t = transfer(c, kx, ky, aberrations.x);
  const float2 p = phase_of(shifts + 2LL * n, kx, ky, aberrations.y), f = spectra[n * samples + at];
  float re = f.x * p.x + f.y * p.y, im = f.y * p.x - f.x * p.y, w = (float)c[WEIGHT];
  if (kx == 0 && ky == 0) re = im = 0.0f;
  if (curve_of[n] >= 0)
    w *= weight_at(curves + (long long)curve_length * curve_of[n], curve_length, sqrtf((float)(kx * kx + ky * ky)));
  if (bent == 0) {
    const float value = t.envelope * t.sine;
    const float times = w * (c[STATE] == 0 ? value : c[STATE] == 1 ? fabsf(value) : 1.0f);
    values[i] = make_float4(times * re, times * im, w * value * value, 0.0f);
    return;
  }
  // conj of (sin chi - i sheet cos chi) / 2, and how much of the square the two sheets have in common
  const float q = 0.5f * t.envelope * w * t.sine, r = 0.5f * t.envelope * w * (float)bent * t.cosine;
  const float u = (float)c[OVERLAP] * t.g2, u2 = u * u;
  const float same = u < 0.5f ? 1.0f - u2 * (1.0f / 10 - u2 * (1.0f / 280 - u2 / 15120))
                              : 3.0f * (sinf(u) - u * cosf(u)) / (u2 * u);
  const float square = same * t.sine * t.sine + 0.5f * (1.0f - same);
  values[i] = make_float4(re * q - im * r, re * r + im * q, 0.5f * w * t.envelope * t.envelope * square, 0.0f);
}

// Add to a cell at (x, y, z) what the samples of one view have for it. All that decides to which cells a sample goes is
// written in single operations, so that a compiler can't round it in two ways.
__device__ void look(const float* __restrict__ v, const float4* __restrict__ values, int side, float limit, float x,
                     float y, float z, float4* sum) {
  if (fabsf(v[NX] * x + v[NY] * y + v[NZ] * z) > v[THICK]) return;
  const int half = side / 2, columns = half + 1, lowest = -((side - 1) / 2);
  const float u = v[UX] * x + v[UY] * y + v[UZ] * z, w = v[VX] * x + v[VY] * y + v[VZ] * z;
  for (int sign = 1; sign >= -1; sign -= 2) {  // what lies at x < 0 is taken at the opposite point, conjugate
    const float s = (float)sign;
    const int left = max(0, (int)ceilf(s * u - v[WIDE_X])), right = min(half, (int)floorf(s * u + v[WIDE_X]));
    if (left > right) continue;
    const int low = max(lowest, (int)ceilf(s * w - v[WIDE_Y])), high = min(half, (int)floorf(s * w + v[WIDE_Y]));
    for (int ky = low; ky <= high; ky++)
      for (int kx = left; kx <= right; kx++) {
        const float a = (float)kx, b = (float)ky;
        const float g2 = fmaf(a, fmaf(v[QXX], a, v[QXY] * b), v[QYY] * b * b);
        const float px = fmaf(v[HX], g2, fmaf(v[AX], a, v[BX] * b));
        if ((px < 0.0f) != (sign < 0)) continue;
        const float py = fmaf(v[HY], g2, fmaf(v[AY], a, v[BY] * b)), pz = fmaf(v[HZ], g2, fmaf(v[AZ], a, v[BZ] * b));
        const float fx = 1.0f - fabsf(s * px - x), fy = 1.0f - fabsf(s * py - y), fz = 1.0f - fabsf(s * pz - z);
        if (fx <= 0.0f || fy <= 0.0f || fz <= 0.0f || px * px + py * py + pz * pz > limit) continue;
        const float4 value = values[(ky < 0 ? ky + side : ky) * columns + kx];
        const float share = fz * fy * fx;
        sum->x += share * value.x;
        sum->y += share * s * value.y;
        sum->z += share * value.z;
      }
  }
}

// A thread a cell. Views that pass a block's tile by are left out for all of its threads at once.
extern "C" __global__ void __launch_bounds__(THREADS, 6)
    add_slices(const float4* __restrict__ values, const float* __restrict__ views, float4* __restrict__ cells, int side,
               int entries, int first, int planes, int rows, int columns, float limit) {
  __shared__ unsigned passed[WORDS];
  const int x = blockIdx.x * TILE_X + threadIdx.x, y = blockIdx.y * TILE_Y + threadIdx.y;
  const int plane = blockIdx.z * TILE_Z + threadIdx.z, middle = rows / 2;
  const int thread = (threadIdx.z * TILE_Y + threadIdx.y) * TILE_X + threadIdx.x;
  const bool inside = x < columns && y < rows && plane < planes;
  const float tile_x = blockIdx.x * TILE_X + 0.5f * (TILE_X - 1);
  const float tile_y = (int)(blockIdx.y * TILE_Y) - middle + 0.5f * (TILE_Y - 1);
  const float tile_z = (int)(blockIdx.z * TILE_Z) + first - middle + 0.5f * (TILE_Z - 1);
  const float off_x = fmaxf(fabsf(tile_x) - 0.5f * (TILE_X - 1), 0.0f);
  const float off_y = fmaxf(fabsf(tile_y) - 0.5f * (TILE_Y - 1), 0.0f);
  const float off_z = fmaxf(fabsf(tile_z) - 0.5f * (TILE_Z - 1), 0.0f);
  const float reach = (float)columns;  // Nyquist and the two cells beyond it
  if (off_x * off_x + off_y * off_y + off_z * off_z > reach * reach) return;  // the whole block
  const long long at = ((long long)plane * rows + y) * columns + x, samples = (long long)side * (side / 2 + 1);
  float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if (inside) sum = cells[at];
  for (int begin = 0; begin < entries; begin += THREADS) {
    if (thread < WORDS) passed[thread] = 0;
    __syncthreads();
    if (begin + thread < entries) {
      const float* v = views + (long long)VIEW * (begin + thread);
      const float off = fabsf(v[NX] * tile_x + v[NY] * tile_y + v[NZ] * tile_z);
      const float half = 0.5f * ((TILE_X - 1) * fabsf(v[NX]) + (TILE_Y - 1) * fabsf(v[NY]) + (TILE_Z - 1) * fabsf(v[NZ]));
      if (off <= half + v[THICK]) atomicOr(passed + thread / 32, 1u << (thread % 32));
    }
    __syncthreads();
    if (inside)
      for (int word = 0; word < WORDS; word++)
        for (unsigned left = passed[word]; left; left &= left - 1) {  // in the order of the views
          const int e = begin + 32 * word + __ffs(left) - 1;
          look(views + (long long)VIEW * e, values + e * samples, side, limit, (float)x, (float)(y - middle),
               (float)(first + plane - middle), &sum);
        }
    __syncthreads();
  }
  if (inside) cells[at] = sum;
}

// Trilinear sample of the whole volume at p.
__device__ float2 sample(const float4* __restrict__ cells, int rows, int columns, double px, double py, double pz) {
  const bool mirrored = px < 0;
  const int middle = rows / 2;
  const double x = fabs(px), y = (mirrored ? -py : py) + middle, z = (mirrored ? -pz : pz) + middle;
  const int ix = (int)x, iy = (int)y, iz = (int)z;
  const float fx = (float)(x - ix), fy = (float)(y - iy), fz = (float)(z - iz);
  float2 total = make_float2(0.0f, 0.0f);
  for (int corner = 0; corner < 8; corner++) {
    const int dx = corner & 1, dy = corner >> 1 & 1, dz = corner >> 2;
    const float4 cell = cells[((long long)(iz + dz) * rows + iy + dy) * columns + ix + dx];
    const float share = (dx ? fx : 1.0f - fx) * (dy ? fy : 1.0f - fy) * (dz ? fz : 1.0f - fz);
    total.x += share * cell.x;
    total.y += share * cell.y;
  }
  if (mirrored) total.y = -total.y;
  return total;
}

// A thread a sample of an image.
extern "C" __global__ void cut_slices(const float4* __restrict__ cells, float2* __restrict__ spectra,
                                      const double* __restrict__ matrices, const double* __restrict__ shifts,
                                      const double* __restrict__ ctf, const float* __restrict__ tables,
                                      const int* __restrict__ table_of, int side, int rows, int columns, double limit,
                                      long long count) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int half = side / 2;
  const long long samples = (long long)side * (half + 1);
  const int n = (int)(i / samples), at = (int)(i % samples), row = at / (half + 1);
  const int kx = at % (half + 1), ky = row > half ? row - side : row;
  const double *m = matrices + 9LL * n, *c = ctf + (long long)COLUMNS * n;
  spectra[i] = make_float2(0.0f, 0.0f);
  if (!within(m, kx, ky, half, limit)) return;
  float2 aberrations = make_float2(0.0f, 0.0f), total = make_float2(0.0f, 0.0f);
  if (table_of[n] >= 0) aberrations = aberrations_at(tables, table_of[n] * samples + at);
  const Transfer t = transfer(c, kx, ky, aberrations.x);
  const int first = c[OVERLAP] == 0 ? 0 : -1, last = -first;
  for (int sheet = first; sheet <= last; sheet += 2) {
    const double bend = sheet * (c[GXX] * kx * kx + c[GXY] * kx * ky + c[GYY] * ky * ky);
    const double px = m[0] * kx + m[1] * ky + m[2] * bend, py = m[3] * kx + m[4] * ky + m[5] * bend;
    const double pz = m[6] * kx + m[7] * ky + m[8] * bend;
    if (sheet != 0 && px * px + py * py + pz * pz > limit) continue;
    const float2 f = sample(cells, rows, columns, px, py, pz);
    // flat: sin chi; a sheet: (sin chi - i sheet cos chi) / 2
    const float q = t.envelope * t.sine * (sheet ? 0.5f : 1.0f), r = -0.5f * t.envelope * (float)sheet * t.cosine;
    total.x += f.x * q - f.y * r;
    total.y += f.x * r + f.y * q;
  }
  const float2 p = phase_of(shifts + 2LL * n, kx, ky, aberrations.y);
  spectra[i] = make_float2(total.x * p.x - total.y * p.y, total.y * p.x + total.x * p.y);
}
