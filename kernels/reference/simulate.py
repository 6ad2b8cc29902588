"""The kernels of simulated movies as NumPy float64: the definition of ``pypcore.kernels.cpu.simulate``."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cubic(x: Array) -> Array:
    """Cubic B-spline at distance ``x``, support 2 px."""
    x = np.abs(x)
    near = (4 - 6 * x**2 + 3 * x**3) / 6
    far = np.clip(2 - x, 0, None) ** 3 / 6
    return np.where(x < 1, near, far)


def quintic(x: Array) -> Array:
    """Quintic B-spline at distance ``x``, support 3 px."""
    x = np.abs(x)
    near = (66 - 60 * x**2 + 30 * x**4 - 10 * x**5) / 120
    middle = (51 + 75 * x - 210 * x**2 + 150 * x**3 - 45 * x**4 + 5 * x**5) / 120
    far = np.clip(3 - x, 0, None) ** 5 / 120
    return np.where(x < 1, near, np.where(x < 2, middle, far))


def deposit(image: Array, ys: Array, xs: Array) -> None:
    """Add one unit per point to a periodic ``image`` [y, x], spread by a cubic B-spline (4 x 4 px)."""
    height, width = image.shape
    iy, ix = np.floor(ys).astype(int), np.floor(xs).astype(int)
    for a in range(-1, 3):
        for b in range(-1, 3):
            weight = cubic(ys - (iy + a)) * cubic(xs - (ix + b))
            np.add.at(image, ((iy + a) % height, (ix + b) % width), weight)


def expose(
    spectrum: NDArray[np.complex128],
    ky: Array,
    kx: Array,
    decay: Array,
    exposure: float,
    blur_y: float,
    blur_x: float,
    prefilter_y: Array,
    prefilter_x: Array,
    out: NDArray[np.complex128],
) -> None:
    """Fade a half spectrum by radiation damage and motion inside the frame; divide by the spline's response."""
    k = np.hypot(ky[:, None], kx[None])
    rate = np.interp(k, np.linspace(0, np.hypot(0.5, 0.5), decay.size), decay)
    blur = np.sinc(ky[:, None] * blur_y + kx[None] * blur_x)
    out[:] = spectrum * np.exp(-exposure * rate) * blur / (prefilter_y[:, None] * prefilter_x[None])


def warp(coefficients: Array, dy: Array, dx: Array, cell: int, offset_y: int, offset_x: int, out: Array) -> None:
    """Sample a periodic quintic B-spline: ``out[y, x] = image(y + dy + offset_y, x + dx + offset_x)``."""
    height, width = out.shape
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    v = y + offset_y + _between(dy, y / cell, x / cell)
    u = x + offset_x + _between(dx, y / cell, x / cell)
    top, left = np.floor(v).astype(int), np.floor(u).astype(int)
    out[:] = 0
    for a in range(-2, 4):
        for b in range(-2, 4):
            taken = coefficients[(top + a) % coefficients.shape[0], (left + b) % coefficients.shape[1]]
            out += quintic(v - (top + a)) * quintic(u - (left + b)) * taken


def count(expected: Array, key: np.uint64, out: NDArray[np.uint8]) -> None:
    """Poisson counts of ``expected``, at most 255, drawn from ``key`` and the pixel's own number."""
    left = uniform(key, np.arange(expected.size, dtype=np.uint64)).reshape(expected.shape)
    probability = np.exp(-expected)
    out[:] = 0
    waiting = np.ones(expected.shape, bool)
    for n in range(1, 256):
        waiting &= left >= probability
        left = np.where(waiting, left - probability, left)
        probability = np.where(waiting, probability * expected / n, probability)
        out[waiting] = n


def uniform(key: np.uint64, numbers: NDArray[np.uint64]) -> Array:
    """Uniforms in [0, 1) with 53 bits: SplitMix64 (Steele, Lea, Flood 2014), counter-based."""
    with np.errstate(over="ignore"):
        z = key + (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _between(grid: Array, y: Array, x: Array) -> Array:
    iy, ix = y.astype(int), x.astype(int)
    fy, fx = y - iy, x - ix
    upper = grid[iy, ix] * (1 - fx) + grid[iy, ix + 1] * fx
    lower = grid[iy + 1, ix] * (1 - fx) + grid[iy + 1, ix + 1] * fx
    return upper * (1 - fy) + lower * fy
