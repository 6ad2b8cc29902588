"""Projections of a map on GPUs: each holds the whole map, and cuts out its share of the slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.slices import Particles, cut_slices
from pypcore.reconstruct.transfer import Transfer

_BATCH = 512  # images at a time, at most


class DeviceMap:
    """A map's cells, kept on GPUs."""

    def __init__(self, cells: NDArray[np.float32], ordinals: Sequence[int]) -> None:
        """Take ``cells`` [z, y, x, 4] to each device."""

        def take(place: int) -> Any:
            import cupy

            memory.need(cells.nbytes, "the map's transform")
            return cupy.asarray(cells)

        self.ordinals = ordinals
        self.cells: list[Any] = devices.each(ordinals, take)

    def project(self, transfer: Transfer, images: NDArray[np.float32]) -> None:
        """Write the projections that ``transfer`` describes into ``images`` [N, y, x]."""
        parts = devices.shares(len(images), len(self.ordinals))
        devices.each(self.ordinals, lambda place: self._project(place, transfer, images, parts[place]))

    def _project(self, place: int, transfer: Transfer, images: NDArray[np.float32], own: range) -> None:
        import cupy

        side = images.shape[1]
        tables = cupy.asarray(transfer.tables)

        def some(low: int, high: int) -> None:
            part = slice(own.start + low, own.start + high)
            spectra = cupy.empty((high - low, side, side // 2 + 1), cupy.complex64)
            rows = (transfer.matrices[part], transfer.shifts[part], transfer.ctf[part])
            cut_slices(self.cells[place], spectra, Particles(*rows, tables, transfer.table_of[part]))
            images[part] = cupy.fft.irfft2(spectra, (side, side)).get()

        each = 4 * side * side + 3 * 8 * side * (side // 2 + 1)  # an image, its spectrum, the transform's room
        memory.batches(len(own), each, some, what=f"projections of {side} px", most=_BATCH)
