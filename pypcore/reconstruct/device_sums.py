"""The sums of a reconstruction on GPUs: each has some planes of them, and adds to these what falls there.

A cell gathers (``kernels/gpu/slices.cu``), image by image in the order given, so that no cell has two writers, no two
sums are to be added, and what a cell becomes depends neither on how many images are in hand at a time nor on how many
GPUs there are. Two GPUs have a half map each; more share the planes of a half, and each gets that half's images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.slices import Particles, add_slices, insertion_bytes
from pypcore.reconstruct.transfer import Batch

_BATCH = 512  # images at a time, at most: more would only take memory
_EMPTY = 0.2  # of the work on a plane through the middle: what one without samples takes


@dataclass(frozen=True)
class Share:
    """Planes of a half map: its number from 0, and which of them."""

    half: int
    planes: slice


def shares(halves: int, planes: int, count: int) -> list[list[Share]]:
    """Divide the planes of all halves among ``count`` GPUs, in equal parts of the work for evenly spread views."""
    height = np.abs(np.arange(planes) - planes // 2) / (planes / 2)
    work = np.tile(1 - height + _EMPTY, halves).cumsum()
    parts = [work[-1] * n / count * (1 - 1e-9) for n in range(1, count)]
    edges = [0, *(1 + int(np.searchsorted(work, part)) for part in parts), halves * planes]
    found = []
    for low, high in pairwise(edges):
        own = [(half, max(low - half * planes, 0), min(high - half * planes, planes)) for half in range(halves)]
        found.append([Share(half, slice(first, last)) for half, first, last in own if first < last])
    return found


class DeviceSums:
    """The sums of both halves, while they are on GPUs."""

    def __init__(self, sums: NDArray[np.float32], ordinals: Sequence[int]) -> None:
        """Take ``sums`` [half, z, y, x, 4] to the devices."""
        self.ordinals = ordinals
        self.shares = shares(len(sums), sums.shape[1], len(ordinals))

        def take(place: int) -> list[Any]:
            import cupy

            own = [sums[one.half, one.planes] for one in self.shares[place]]
            memory.need(sum(part.nbytes for part in own), f"1/{len(ordinals)} of the sums, which GPUs share,")
            return [cupy.asarray(part) for part in own]

        self.cells: list[list[Any]] = devices.each(ordinals, take)

    def add(self, batch: Batch) -> None:
        """Add images; each GPU its own halves' to its own planes."""
        devices.each(self.ordinals, lambda place: self._add_here(place, batch))

    def into(self, sums: NDArray[np.float32]) -> None:
        """Write what they have become into ``sums``."""

        def bring(place: int) -> None:
            for one, cells in zip(self.shares[place], self.cells[place], strict=True):
                sums[one.half, one.planes] = cells.get()

        devices.each(self.ordinals, bring)

    def _add_here(self, place: int, batch: Batch) -> None:
        import cupy

        side, transfer = batch.images.shape[1], batch.transfer
        tables, curves = cupy.asarray(transfer.tables), cupy.asarray(batch.curves)
        bent = bool((transfer.matrices[:, :, 2] != 0).any())
        for one, cells in zip(self.shares[place], self.cells[place], strict=True):
            own = np.flatnonzero(batch.half == one.half + 1)

            def add(low: int, high: int, own: Any = own, cells: Any = cells, first: int = one.planes.start) -> None:
                chosen = own[low:high]
                spectra = cupy.fft.rfft2(cupy.asarray(np.asarray(batch.images[chosen], np.float32)))
                if (batch.area[chosen] != 1).any():
                    spectra *= cupy.asarray(batch.area[chosen])[:, None, None]
                rows = (transfer.matrices[chosen], transfer.shifts[chosen], transfer.ctf[chosen])
                given = Particles(*rows, tables, transfer.table_of[chosen], curves, batch.curve_of[chosen])
                add_slices(cells, first, spectra, np.arange(len(chosen), dtype=np.int32), given)

            memory.batches(own.size, image_bytes(side, bent=bent), add, what=f"images of {side} px", most=_BATCH)


def image_bytes(side: int, *, bent: bool = False) -> int:
    """Return the device memory that adding an image takes: itself, its spectrum, the transform's room, its values."""
    return 4 * side * side + 3 * 8 * side * (side // 2 + 1) + insertion_bytes(side, bent=bent)
