"""Inputs for the kernels of movies and their motion."""

from typing import Any

import imagecodecs
import numpy as np
from cases import Arguments, Case

from pypcore import kernels
from pypcore.kernels.reference.gradient import packed_size
from pypcore.kernels.reference.warp import CELL, UNIT


def warp_case(rng: np.random.Generator, size: int) -> Arguments:
    height, width, first, sums = size + 9, 5 * size + 3, 3, 3
    types = [np.uint8, np.int8, np.uint16, np.int16, np.float32]
    frames = [rng.integers(0, 9, (height, width)).astype(kind) for kind in types]
    cells = (-(-size // CELL), -(-width // CELL))
    shifts = (rng.normal(size=(5, 2, *cells)) * 3 * UNIT).astype(np.int32)
    shifts[0] = np.array([0, UNIT])[:, None, None]  # whole pixels
    shifts[1, 1] += 70 * UNIT  # beyond the edge, and the offset far from it
    shifts[2, 0] -= 3 * height * UNIT  # so far that mirrors are seen in mirrors
    offsets = rng.integers(-20, 60, 5).astype(np.int32)
    weights = rng.normal(size=(5, sums)).astype(np.float32)
    weights[3] = 0
    gain = rng.random((height, width), np.float32) if size != 37 else None
    out = rng.normal(size=(sums, size, width)).astype(np.float32)
    return [frames, gain, shifts, offsets, weights, first, out], [6]


def _patch(rng: np.random.Generator, size: int) -> dict[str, Any]:
    frames, shape, shells = 5, (size, 2 * size + 1), 7
    rows = np.arange(0, size, 2)
    firsts = rng.integers(0, size, rows.size)
    runs = np.stack([rows, firsts, rng.integers(1, size + 2, rows.size)], 1).astype(np.int32)
    runs[-1, 1:] = shape[1] - 3, 3  # up to the edge
    return {
        "spectra": (rng.normal(size=(frames, *shape)) + 1j * rng.normal(size=(frames, *shape))).astype(np.complex64),
        "runs": runs,
        "shell": rng.integers(0, shells, runs[:, 2].sum()).astype(np.int32),
        "damage": rng.random((frames, runs[:, 2].sum())).astype(np.float32),
        "k": [rng.uniform(-2, 2, n).astype(np.float32) for n in shape],
        "packed": np.zeros(packed_size(runs, frames), np.int16),
        "scale": np.zeros(frames, np.float32),
    }


def pack_case(rng: np.random.Generator, size: int) -> Arguments:
    p = _patch(rng, size)
    p["spectra"][2] = 0  # a frame of nothing
    p["spectra"] = p["spectra"][1:4]
    return [*(p[name] for name in ("spectra", "runs", "damage", "packed", "scale")), 1], [3, 4]


def gradient_case(rng: np.random.Generator, size: int) -> Arguments:
    p = _patch(rng, size)
    gain = rng.random(p["shell"].max() + 1).astype(np.float32)
    shifts = 3 * rng.normal(size=(len(p["spectra"]), 2))
    kernels.get("pack_spectra", "reference")(p["spectra"], p["runs"], p["damage"], p["packed"], p["scale"], 0)
    arguments = [p["packed"], p["scale"], p["runs"], p["shell"], *p["k"], shifts, gain]
    return [*arguments, np.ones(shifts.shape), np.ones(gain.size)], [8, 9]


def nibbles_case(rng: np.random.Generator, size: int) -> Arguments:
    width = size - 1 + size % 2
    return [rng.integers(0, 256, (size, (width + 1) // 2)).astype(np.uint8), width], []


def shrink_case(rng: np.random.Generator, size: int) -> Arguments:
    step = {37: 3, 64: 4}.get(size, 1)
    height, width = 5 * size + 2, 11 * size + 7
    frame = rng.integers(0, 9, (height, width)).astype(np.uint16 if size == 37 else np.uint8)
    gain = rng.random((height, width), np.float32) if size != 37 else None
    out = rng.normal(size=(height // step, width // step + 3)).astype(np.float32)[:, :-3]  # rows of a wider image
    taps = rng.random(10 * step + step % 2 if step > 1 else 1).astype(np.float32)
    return [frame, gain, 1.5, taps, step, out], [5]


def lzw_case(rng: np.random.Generator, size: int) -> Arguments:
    counts = rng.poisson(1.4, size**2).astype(np.uint8)
    return [imagecodecs.lzw_encode(counts), np.zeros(counts.size, np.uint8)], [1]


def sum_case(rng: np.random.Generator, size: int) -> Arguments:
    kinds = [np.uint8, np.int8, np.uint16, np.int16, np.float32]
    frames = [rng.integers(0, 99, (size, 70)).astype(kind) for kind in kinds]
    return [frames, rng.random((size, 70), np.float32)], [1]


def filter_case(rng: np.random.Generator, size: int) -> Arguments:
    shape = (size, size // 2 + 1)
    spectrum, total = ((rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64) for _ in range(2))
    curve, along_y, along_x = (rng.random(n).astype(np.float32) for n in (40, *shape))
    return [spectrum, rng.integers(0, 40, shape).astype(np.uint16), curve, along_y, along_x, total], [5]


def cut_case(rng: np.random.Generator, size: int) -> Arguments:
    shape, box = (size + 5, 2 * size + 1), (size + 1, size - 3)
    frames = rng.normal(size=(5, *shape)).astype(np.float32)
    corners = np.array([[0, 0], [-3, shape[1] - 4], [size, -size // 4]], np.int32)  # within, and over edges
    if size == 37:
        corners[0] = 0, 3 * size  # outside
    windows = [rng.random(n).astype(np.float32) for n in box]
    return [frames, corners, *windows, 2, np.zeros((3, *box), np.float32)], [5]


CASES: dict[str, Case] = {
    "add_filtered": filter_case,
    "cut_windows": cut_case,
    "lzw_decode": lzw_case,
    "pack_spectra": pack_case,
    "patch_gradient": gradient_case,
    "shrink_frame": shrink_case,
    "sum_frames": sum_case,
    "unpack_nibbles": nibbles_case,
    "warp_accumulate": warp_case,
}
