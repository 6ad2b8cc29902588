"""``python -m bench.gpu``: each kernel, and a whole movie, on a GPU, beside the CPU.

Time, the bytes that a kernel has to move at least over it, and the ratio of that to the device's memory bandwidth.
Written to be run where there is a GPU; it has not run on one.
"""

import logging
import os
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import gpu_volumes
from bench.gpu_timed import Timed, timed
from pypcore.compute import Compute
from pypcore.cuda import cuda_here
from pypcore.errors import SetupError
from pypcore.kernels.gpu import devices
from pypcore.kernels.gpu.cut import cut
from pypcore.kernels.gpu.filter import add_spectrum
from pypcore.kernels.gpu.gradient import Coefficients, patch_gradients
from pypcore.kernels.gpu.shrink import add_shrunk
from pypcore.kernels.gpu.warp import add_warped
from pypcore.kernels.reference.gradient import packed_size
from pypcore.kernels.reference.warp import CELL
from pypcore.motion import MotionSettings, correct_movie
from pypcore.motion.small import low_pass

SHAPE, FRAMES = (4092, 5760), 40  # a K3 movie


class Noise:
    """A movie of counts, made when it is read."""

    path, dtype, shape = Path("noise"), np.dtype(np.uint8), (FRAMES, *SHAPE)

    def read(self, index: int) -> np.ndarray:
        return np.random.default_rng(index).integers(0, 4, SHAPE, np.uint8)


def kernels() -> list[Timed]:
    """Time each kernel on the current device."""
    import cupy

    height, width = shape = SHAPE
    rng, pixels = np.random.default_rng(0), height * width
    frame = cupy.asarray(rng.random(shape, np.float32))
    sums, step = 5, 4
    cells = (-(-height // CELL), -(-width // CELL))
    shifts = cupy.asarray(rng.integers(-4000, 4000, (2, *cells)).astype(np.int32))
    weights, out = cupy.ones(sums, np.float32), cupy.zeros((sums, *shape), np.float32)
    found = [Timed("warp_accumulate", timed(lambda: add_warped(frame, shifts, 0, weights, 0, out)), 4 * pixels * 11)]
    extent = (height // step, width // step)
    small, taps = cupy.zeros(extent, np.float32), cupy.asarray(low_pass(step))
    milliseconds = timed(lambda: add_shrunk(frame, 0.5, taps, step, small, extent))
    found.append(Timed("shrink_frame", milliseconds, 4 * pixels + 2 * 4 * pixels // step + 8 * pixels // step**2))
    spectrum = cupy.zeros((height, width // 2 + 1), np.complex64)
    total, bins = cupy.zeros_like(spectrum), cupy.zeros(spectrum.shape, np.uint16)
    curve, along_y, along_x = (cupy.ones(n, np.float32) for n in (4096, *spectrum.shape))
    milliseconds = timed(lambda: add_spectrum(spectrum, bins, curve, along_y, along_x, total))
    found.append(Timed("add_filtered", milliseconds, 26 * spectrum.size))
    box, patches, frames = min(160, *extent), 8, FRAMES
    movie = cupy.zeros((frames, *extent), np.float32)
    corners = cupy.zeros((patches, frames, 2), np.int32)
    windows = [cupy.ones((patches, box), np.float32) for _ in range(2)]
    milliseconds = timed(lambda: cut(movie, corners, windows[0], windows[1], 0))
    found.append(Timed("cut_windows", milliseconds, 8 * patches * frames * box**2))
    runs = np.array([[row, 1, box // 2] for row in range(box // 2)], np.int32)
    k = [np.linspace(-1, 1, n).astype(np.float32) for n in (box, box // 2 + 1)]
    count = int(runs[:, 2].sum())
    shell = (np.arange(count) * 60 // count).astype(np.int32)
    kept = Coefficients(runs, shell, k[0], k[1], frames, 60)
    size = packed_size(runs, frames)
    packed = cupy.zeros((patches, size), np.int16)
    scale, gain = cupy.ones((patches, frames), np.float32), cupy.ones((patches, 60), np.float32)
    moved = cupy.zeros((patches, frames, 2), np.float32)
    milliseconds = timed(lambda: patch_gradients(kept, packed, scale, moved, gain))
    found.append(Timed("patch_gradient", milliseconds, 2 * 2 * patches * size))
    return found


def bandwidth() -> float:
    """Bytes a second that the current device's memory can move, by its clock and width."""
    import cupy

    attributes = cupy.cuda.Device().attributes
    return 2 * attributes["MemoryClockRate"] * 1e3 * attributes["GlobalMemoryBusWidth"] / 8


def whole_movie(compute: Compute, threads: int) -> float:
    """Seconds for one movie, the second time."""
    asked = MotionSettings(pixel_size=0.83, dose=1.25)
    quiet = logging.getLogger("bench.gpu")
    took = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        correct_movie(Noise(), asked, threads=threads, memory=64 * 2**30, compute=compute, log=quiet)
        took = time.perf_counter() - begin
    return took


def main() -> None:
    """Measure and print."""
    here = cuda_here()
    if not here.devices:
        raise SystemExit(str(SetupError(f"bench.gpu needs a GPU: {here.reason}")))
    console = Console()
    console.print(f"{here.models[0].name}; {here.described}")
    with devices.on(0):
        most, rows = bandwidth(), kernels()
        volumes = [*gpu_volumes.particles(), *gpu_volumes.tomogram()]
    table = Table(title=f"kernels, frame of {SHAPE[1]} x {SHAPE[0]}", title_justify="left")
    for heading in ("kernel", "ms", "GB/s", "of the device's bandwidth"):
        table.add_column(heading)
    for row in rows:
        rate = row.bytes / row.milliseconds * 1e3
        table.add_row(row.name, f"{row.milliseconds:.3f}", f"{rate / 1e9:.0f}", f"{rate / most:.0%}")
    console.print(table)
    table = Table(title="kernels of particles and tomograms, beside one thread of the CPU", title_justify="left")
    for heading in ("kernel", "ms", "GB/s", "of the device's bandwidth", "ratio to the CPU"):
        table.add_column(heading)
    for row, slower in volumes:
        rate = row.bytes / row.milliseconds * 1e3
        figures = (f"{row.milliseconds:.3f}", f"{rate / 1e9:.0f}", f"{rate / most:.0%}")
        table.add_row(row.name, *figures, f"{slower / row.milliseconds:.0f}")
    console.print(table)
    threads = len(os.sched_getaffinity(0))
    on_cpu = whole_movie(Compute(), threads)
    for count in range(1, here.devices + 1):
        on_gpu = whole_movie(Compute("cuda", tuple(range(count))), threads)
        console.print(
            f"a movie of {FRAMES} frames: {on_gpu:.2f} s on {count} GPU, {on_cpu:.2f} s on {threads} threads: "
            f"ratio {on_cpu / on_gpu:.1f}"
        )


if __name__ == "__main__":
    main()
