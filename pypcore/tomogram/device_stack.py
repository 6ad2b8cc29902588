"""Tomograms on GPUs: tiles of slices are shared over the devices, and what a device has of the images stays there.

A tile's slices need nothing of another tile's: no sums are to be added, and the result does not depend on how many
devices there are, nor on how many planes or slices of a tile are in hand at a time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.tomogram import add_backprojection
from pypcore.tomogram import weighting
from pypcore.tomogram.sirt import Operators, Sirt, on_gpu, tile_bytes
from pypcore.tomogram.stack import ROW

Array = NDArray[np.float64]
Volume = NDArray[np.float32]
Job = tuple[int, int]  # which volume, and its first slice

_PLANES = 128  # of a tile at a time, at most
_WEIGHING = 10  # times a tile of images: rows twice as long, their transforms, the library's own room


class DeviceStack:
    """A stack of images, weighted, ready for back-projection into any planes of the volume."""

    def __init__(self, stack: Volume, weights: Volume | None, ordinals: Sequence[int]) -> None:
        """Take ``stack`` [tile, T, u, ROW] to the devices; ``weights`` [T, k] of its images, unless they have them."""
        self.stack, self.weights, self.ordinals = stack, weights, ordinals
        self.held: dict[int, Any] = {}  # tiles on their devices: as many as there is room for
        devices.each(ordinals, self._hold)

    def backproject(self, lines: Array, parts: Sequence[slice], planes: range, out: Sequence[Volume]) -> None:
        """Do as ``wbp.backproject``."""

        def work(place: int) -> None:
            for tile in self._own(place):
                self._backproject(tile, lines, parts, planes, out)

        devices.each(self.ordinals, work)

    def _own(self, place: int) -> range:
        return range(place, len(self.stack), len(self.ordinals))

    def _hold(self, place: int) -> None:
        for tile in self._own(place):
            if memory.room() > 2 * _WEIGHING * self.stack[tile].nbytes:  # and as much again for the work to come
                self.held[tile] = self._weighted(tile)

    def _weighted(self, tile: int) -> Any:
        import cupy

        size = self.stack[tile].nbytes
        memory.need(_WEIGHING * size if self.weights is not None else size, f"{ROW} slices of all images")
        images = cupy.asarray(self.stack[tile])
        return images if self.weights is None else weighting.apply_to_tile(cupy, images, cupy.asarray(self.weights))

    def _backproject(
        self, tile: int, lines: Array, parts: Sequence[slice], planes: range, out: Sequence[Volume]
    ) -> None:
        import cupy

        _, height, width = out[0].shape
        images = self.held.get(tile)
        if images is None:
            images = self._weighted(tile)
        rows = slice(tile * ROW, min((tile + 1) * ROW, height))

        def some(low: int, high: int) -> None:
            here, part = lines.copy(), slice(low, high)
            here[:, 2] += lines[:, 1] * planes[low]
            total = None
            for own, volume in zip(parts, out, strict=False):
                voxels = cupy.zeros((high - low, width, ROW), cupy.float32)
                add_backprojection(images[own], cupy.asarray(np.ascontiguousarray(here[own])), voxels)
                _to_planes(voxels, volume[part, rows])
                total = voxels if total is None else total + voxels
            if len(out) > len(parts):
                _to_planes(total, out[-1][part, rows])

        each = 4 * ROW * width * (len(parts) + 3)
        memory.batches(len(planes), each, some, what=f"planes of {width} x {ROW} voxels", most=_PLANES)


class DeviceSirt:
    """The solvers of a series, on each device."""

    def __init__(self, make: Callable[[Operators], list[Sirt]], size: int, ordinals: Sequence[int]) -> None:
        """``make`` returns the solvers of all volumes, for the device that is current; ``size``: what they take."""

        def solvers(place: int) -> list[Sirt]:
            memory.need(size, "the paths of all rays")
            return make(on_gpu())

        self.ordinals = ordinals
        self.solvers = devices.each(ordinals, solvers)

    def run(self, jobs: Sequence[Job], images: Callable[[Job], Volume], out: Callable[[Job], Volume]) -> None:
        """Solve tiles, each on a device that is free: ``images(job)`` [T, u, ROW] into ``out(job)`` [z, y, x]."""

        def work(place: int, job: Job) -> None:
            _solve(self.solvers[place][job[0]], images(job), out(job))

        devices.take_turns(self.ordinals, jobs, work)


def _solve(solver: Sirt, images: Volume, out: Volume) -> None:
    import cupy

    def some(low: int, high: int) -> None:
        own = cupy.asarray(np.ascontiguousarray(images[:, :, low:high]))
        _to_planes(solver(own), out[:, low:high])

    tilts, width, _ = images.shape
    z, _, x = solver.settings.shape
    each = 2 * tile_bytes(solver.settings, tilts, width, 1, whole=True)
    memory.batches(out.shape[1], each, some, what=f"slices of {x} x {z} voxels", most=ROW)


def _to_planes(tile: Any, out: Volume) -> None:
    """Write the first slices of a tile [z, x, slices] on the device into ``out`` [z, y, x] of the host."""
    import cupy

    out[:] = cupy.ascontiguousarray(tile[:, :, : out.shape[1]].transpose(0, 2, 1)).get()
