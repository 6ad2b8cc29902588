"""What simulated movies are made of, pixel by pixel. Definitions: ``pypcore.kernels.reference.simulate``."""

import math

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels._jit import inlined, jit


@inlined
def _uniform(key: np.uint64, number: np.uint64) -> float:
    """Uniform in [0, 1) with 53 bits: SplitMix64 (Steele, Lea, Flood 2014), counter-based."""
    z = key + (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * 2.0**-53


@inlined
def _bilinear(grid: NDArray[np.float64], iy: int, ix: int, fy: float, fx: float) -> float:
    upper = grid[iy, ix] * (1 - fx) + grid[iy, ix + 1] * fx
    lower = grid[iy + 1, ix] * (1 - fx) + grid[iy + 1, ix + 1] * fx
    return upper * (1 - fy) + lower * fy


@inlined
def _cubic(f: float, weights: NDArray[np.float32]) -> None:
    """Weights of a cubic B-spline at taps -1 to 2 for a point ``f`` in [0, 1) past tap 0."""
    g = 1 - f
    weights[0] = g * g * g / 6
    weights[1] = (3 * f * f * f - 6 * f * f + 4) / 6
    weights[2] = (3 * g * g * g - 6 * g * g + 4) / 6
    weights[3] = f * f * f / 6


@inlined
def _quintic(f: float, weights: NDArray[np.float32]) -> None:
    """Weights of a quintic B-spline at taps -2 to 3 for a point ``f`` in [0, 1) past tap 0."""
    for side in range(2):
        x = f if side == 0 else 1 - f  # distance to the nearer of the two middle taps
        near, middle, far = x, x + 1, x + 2
        near = (66 + near * near * (-60 + near * near * (30 - 10 * near))) / 120
        middle = (51 + middle * (75 + middle * (-210 + middle * (150 + middle * (-45 + 5 * middle))))) / 120
        rest = 3 - far
        far = rest * rest * rest * rest * rest / 120
        if side == 0:
            weights[2], weights[1], weights[0] = near, middle, far
        else:
            weights[3], weights[4], weights[5] = near, middle, far


@jit
def deposit(image: NDArray[np.float32], ys: NDArray[np.float32], xs: NDArray[np.float32]) -> None:
    """Add one unit per point to a periodic ``image`` [y, x], spread by a cubic B-spline (4 x 4 px)."""
    height, width = image.shape
    wy = np.empty(4, np.float32)
    wx = np.empty(4, np.float32)
    for n in range(ys.size):
        iy = math.floor(ys[n])
        ix = math.floor(xs[n])
        _cubic(ys[n] - iy, wy)
        _cubic(xs[n] - ix, wx)
        for a in range(4):
            row = (iy - 1 + a) % height
            for b in range(4):
                image[row, (ix - 1 + b) % width] += wy[a] * wx[b]


@jit
def expose(
    spectrum: NDArray[np.complex64],
    ky: NDArray[np.float64],
    kx: NDArray[np.float64],
    decay: NDArray[np.float64],
    exposure: float,
    blur_y: float,
    blur_x: float,
    prefilter_y: NDArray[np.float64],
    prefilter_x: NDArray[np.float64],
    out: NDArray[np.complex64],
) -> None:
    """Fade a half spectrum by radiation damage and motion inside the frame; divide by the spline's response.

    ``ky``, ``kx`` in cycles/px; ``decay`` [n] holds 1/(2 Ne) at n equal steps of frequency from 0 to the
    spectrum's corner; ``blur`` is how far the specimen goes during the frame, px.
    """
    steps = (decay.size - 1) / math.hypot(0.5, 0.5)
    for i in range(ky.size):
        for j in range(kx.size):
            position = math.hypot(ky[i], kx[j]) * steps
            n = min(int(position), decay.size - 2)
            rest = position - n
            factor = math.exp(-exposure * (decay[n] * (1 - rest) + decay[n + 1] * rest))
            angle = math.pi * (ky[i] * blur_y + kx[j] * blur_x)
            if abs(angle) > 1e-4:
                factor *= math.sin(angle) / angle
            out[i, j] = spectrum[i, j] * np.float32(factor / (prefilter_y[i] * prefilter_x[j]))


@jit
def warp(
    coefficients: NDArray[np.float32],
    dy: NDArray[np.float64],
    dx: NDArray[np.float64],
    cell: int,
    offset_y: int,
    offset_x: int,
    out: NDArray[np.float32],
) -> None:
    """Sample a periodic quintic B-spline: ``out[y, x] = image(y + dy + offset_y, x + dx + offset_x)``.

    ``dy``, ``dx`` are given every ``cell`` px of ``out`` and interpolated linearly in between.
    """
    canvas_height, canvas_width = coefficients.shape
    height, width = out.shape
    wy = np.empty(6, np.float32)
    wx = np.empty(6, np.float32)
    for i in range(height):
        iy = i // cell
        fy = i / cell - iy
        for j in range(width):
            ix = j // cell
            fx = j / cell - ix
            v = i + offset_y + _bilinear(dy, iy, ix, fy, fx)
            u = j + offset_x + _bilinear(dx, iy, ix, fy, fx)
            top = math.floor(v) - 2
            left = math.floor(u) - 2
            _quintic(v - top - 2, wy)
            _quintic(u - left - 2, wx)
            total = np.float32(0.0)
            if top >= 0 and left >= 0 and top + 6 <= canvas_height and left + 6 <= canvas_width:
                for a in range(6):
                    row = np.float32(0.0)
                    for b in range(6):
                        row += wx[b] * coefficients[top + a, left + b]
                    total += wy[a] * row
            else:
                for a in range(6):
                    row = np.float32(0.0)
                    for b in range(6):
                        row += wx[b] * coefficients[(top + a) % canvas_height, (left + b) % canvas_width]
                    total += wy[a] * row
            out[i, j] = total


@jit
def count(expected: NDArray[np.float32], key: np.uint64, out: NDArray[np.uint8]) -> None:
    """Poisson counts of ``expected`` [y, x], at most 255, drawn from ``key`` and the pixel's own number.

    A pixel's draw depends on nothing but its expectation, its place and the key: not on other pixels,
    threads, or the order of work.
    """
    height, width = expected.shape
    for i in range(height):
        for j in range(width):
            left = _uniform(key, np.uint64(i * width + j))
            mean = float(expected[i, j])
            probability = math.exp(-mean)
            n = 0
            while left >= probability and n < 255:
                left -= probability
                n += 1
                probability *= mean / n
            out[i, j] = n
