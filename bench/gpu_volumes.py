"""The kernels of particles and tomograms on a GPU, for ``bench.gpu``; and what the CPU takes for the same."""

import time
from collections.abc import Callable

import numpy as np

from bench.gpu_timed import Timed, timed
from pypcore import kernels
from pypcore.geometry import rotation_matrices
from pypcore.kernels.gpu.affine import sample_many
from pypcore.kernels.gpu.slices import Particles, add_slices, cut_slices
from pypcore.kernels.gpu.tomogram import add_backprojection, add_projection
from pypcore.kernels.reference import slices as column
from pypcore.reconstruct.accumulator import volume_shape

BOX, IMAGES = 256, 256
TILTS, TOMOGRAM = 41, (128, 1024, 64)  # z, x, slices


def particles(box: int = BOX, images: int = IMAGES) -> list[tuple[Timed, float]]:
    """Time insertion and extraction of images; each with the milliseconds that one thread of the CPU takes."""
    import cupy

    rng, spectrum = np.random.default_rng(0), box * (box // 2 + 1)
    angles = (rng.uniform(0, 360, images), np.rad2deg(np.arccos(rng.uniform(-1, 1, images))), np.zeros(images))
    matrices = np.swapaxes(rotation_matrices(*angles), 1, 2).copy()
    matrices[:, :, 2] = 0
    ctf = np.zeros((images, column.COLUMNS))
    ctf[:, column.XX] = ctf[:, column.YY] = 40 / box**2
    ctf[:, [column.GXX, column.GYY]] = 1 / box**2
    ctf[:, [column.SCALE, column.WEIGHT]] = 1
    shifts, none = np.zeros((images, 2)), np.full(images, -1, np.int32)
    tables, curves = np.zeros((0, box, box // 2 + 1, 2), np.float32), np.zeros((0, 1), np.float32)
    spectra, cells = (
        np.ones((images, box, box // 2 + 1), np.complex64),
        np.zeros((*volume_shape(box, 1), 4), np.float32),
    )
    order = np.arange(images, dtype=np.int32)
    given = Particles(matrices, shifts, ctf, cupy.asarray(tables), none, cupy.asarray(curves), none)
    there, sums = cupy.asarray(spectra), cupy.asarray(cells)
    described = (matrices, shifts, ctf, tables, none)
    planes = (0, box)
    insert, extract = (kernels.get(name, "cython") for name in ("insert_slices", "extract_slices"))
    return [
        (
            Timed("insert_slices", timed(lambda: add_slices(sums, 0, there, order, given)), 8 * images * spectrum),
            on_cpu(lambda: insert(cells, spectra, order, *described, curves, none, *planes)),
        ),
        (
            Timed("extract_slices", timed(lambda: cut_slices(sums, there, given)), 8 * images * spectrum),
            on_cpu(lambda: extract(cells, spectra, *described)),
        ),
    ]


def tomogram(tilts: int = TILTS, shape: tuple[int, int, int] = TOMOGRAM) -> list[tuple[Timed, float]]:
    """Time both projections of a tile, and the stretching of views, in the same way."""
    import cupy

    z, x, slices = shape
    t = np.deg2rad(np.linspace(-60, 60, tilts))
    lines = np.stack([np.cos(t), np.sin(t), x / 2 - np.cos(t) * x / 2 - np.sin(t) * z / 2], 1)
    images, volume = np.ones((tilts, x, slices), np.float32), np.zeros((z, x, slices), np.float32)
    seen, made, rows = cupy.asarray(images), cupy.asarray(volume), cupy.asarray(lines)
    least = 4 * (images.size + 2 * volume.size)
    side = min(512, x)
    views, out = cupy.ones((tilts, side, side), np.float32), cupy.empty((tilts, side, side), np.float32)
    grids = np.tile([0.0, 0, 1, 0, 0, 1], (tilts, 1))
    back, forth = (kernels.get(name, "cython") for name in ("backproject", "project"))
    sample, one = kernels.get("sample_affine", "numba"), np.ones((side, side), np.float32)
    which = np.arange(tilts, dtype=np.int32)
    return [
        (
            Timed("backproject", timed(lambda: add_backprojection(seen, rows, made)), least),
            on_cpu(lambda: back(images, lines, volume)),
        ),
        (
            Timed("project", timed(lambda: add_projection(made, rows, seen)), 4 * (2 * images.size + volume.size)),
            on_cpu(lambda: forth(volume, lines, images)),
        ),
        (
            Timed("sample_affine", timed(lambda: sample_many(views, which, grids, out)), 8 * out.size),
            tilts * on_cpu(lambda: sample(one, np.eye(2), np.zeros(2), one.copy())),
        ),
    ]


def on_cpu(work: Callable[[], object]) -> float:
    """Milliseconds of one thread, by its own clock."""
    begin = time.thread_time()
    work()
    return (time.thread_time() - begin) * 1e3
