"""Back-projection of a stack of weighted images, some planes of the volume at a time."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.motion.parallel import Threads
from pypcore.tomogram.stack import ROW

Array = NDArray[np.float64]
Volume = NDArray[np.float32]

DEPTH, BREADTH = 32, 128  # planes and columns done at a time, for ROW slices: 1 MiB, which stays in a core's cache


def scratch_bytes(parts: int) -> int:
    """Return the memory that one thread works in, for ``parts`` volumes at once."""
    return parts * DEPTH * BREADTH * ROW * 4


def lines_from(lines: Array, z: int, x: int) -> Array:
    """Return ``lines`` [T, 3] for a block of the volume that begins at plane ``z``, column ``x``."""
    here = lines.copy()
    here[:, 2] += lines[:, 0] * x + lines[:, 1] * z
    return here


def backproject(
    stack: Volume, lines: Array, parts: Sequence[slice], planes: range, out: Sequence[Volume], threads: Threads
) -> None:
    """Write ``planes`` of volumes, each of the tilts ``parts[i]``, into ``out[i]`` [z, y, x].

    Where ``out`` has one volume more than there are parts, it is their sum. Threads share nothing but what they
    read, and the order of each voxel's sum is fixed: the result does not depend on how many there are.
    """
    own = threading.local()  # fresh memory for each block would cost a fault a page
    kernel, turn = kernels.get("backproject", "cython"), kernels.get("tile_to_planes", "cython")
    _, height, width = out[0].shape

    def block(job: tuple[int, int, int]) -> None:
        tile, z, x = job
        depth, breadth = min(DEPTH, planes.stop - z), min(BREADTH, width - x)
        where = (
            slice(z - planes.start, z - planes.start + depth),
            slice(tile * ROW, min((tile + 1) * ROW, height)),
            slice(x, x + breadth),
        )
        here = lines_from(lines, z, x)
        if not hasattr(own, "scratch"):
            own.scratch = np.empty((len(parts), DEPTH * BREADTH * ROW), np.float32)
        done = []
        for part, volume, room in zip(parts, out, own.scratch, strict=False):
            voxels = room[: depth * breadth * ROW].reshape(depth, breadth, ROW)
            voxels[:] = 0
            kernel(stack[tile, part], np.ascontiguousarray(here[part]), voxels)
            turn(voxels, volume[where])
            done.append(voxels)
        if len(out) > len(parts):
            total = done[0]
            for more in done[1:]:
                total += more
            turn(total, out[-1][where])

    jobs = (
        (tile, z, x)
        for z in range(planes.start, planes.stop, DEPTH)
        for tile in range(len(stack))
        for x in range(0, width, BREADTH)
    )
    threads.run(block, jobs)
