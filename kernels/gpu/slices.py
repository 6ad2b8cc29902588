"""``insert_slices`` and ``extract_slices`` on a GPU. The definition is ``reference/slices.py``."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu.module import blocks, kernel
from pypcore.kernels.reference.slices import COLUMNS, GXX, GXY, GYY, OVERLAP

Float64 = NDArray[np.float64]
Index = NDArray[np.int32]

_TILE = (8, 4, 4)  # cells of a block (x, y, z), as slices.cu has them
_THREADS = 128  # a block, where a thread does a sample
_ROUNDING = 2e-3  # cells: wider than single precision can be off


@dataclass(frozen=True)
class Particles:
    """What the kernels are told of N images, as ``insert_slices`` is; ``tables`` and ``curves`` lie on the device."""

    matrices: Float64  # [N, 3, 3]
    shifts: Float64  # [N, 2]
    ctf: Float64  # [N, COLUMNS]
    tables: Any  # [T, n, n // 2 + 1, 2]
    table_of: Index  # [N]
    curves: Any = None  # [C, S]
    curve_of: Index | None = None  # [N]

    def on_device(self) -> list[Any]:
        """Return matrices, shifts, ctf, tables and table_of as the kernels take them."""
        import cupy

        given = (self.matrices.reshape(-1, 9), self.shifts, self.ctf)
        return [*(cupy.asarray(np.ascontiguousarray(a)) for a in given), self.tables, cupy.asarray(self.table_of)]


def insertion_bytes(side: int, *, bent: bool = False) -> int:
    """Return the device memory that ``add_slices`` takes for each image of ``side`` pixels, besides its spectrum."""
    return (2 if bent else 1) * side * (side // 2 + 1) * 16


def add_slices(cells: Any, first: int, spectra: Any, order: Index, given: Particles) -> None:
    """Do as ``insert_slices`` for the planes ``cells`` [P, y, x, 4] of a volume, from plane ``first`` on.

    ``spectra`` [N, n, n // 2 + 1] and ``cells`` lie on the current device, ``order`` [M] on the host. What a cell
    becomes depends neither on how many images are given at a time nor on which planes are.
    """
    import cupy

    assert given.curve_of is not None
    image, sheet = _entries(order, given.ctf)
    side, (planes, rows, columns, _) = spectra.shape[1], cells.shape
    if not image.size or not planes:
        return
    views = cupy.asarray(_views(given.matrices[image], given.ctf[image], sheet, side))
    samples = side * (side // 2 + 1)
    values = cupy.empty((image.size, samples, 4), cupy.float32)
    limit, count = (columns - 2.0) ** 2 * (1 + 1e-6), image.size * samples
    kernel("filter_samples", "slices")(
        (blocks(count, _THREADS),),
        (_THREADS,),
        (
            *(spectra, cupy.asarray(image), cupy.asarray(sheet), *given.on_device()),
            *(given.curves, cupy.asarray(given.curve_of), values),
            *(np.int32(side), np.int32(given.curves.shape[1]), np.float64(limit), np.int64(count)),
        ),
    )
    numbers = [np.int32(n) for n in (side, image.size, first, planes, rows, columns)]
    grid = tuple(blocks(n, tile) for n, tile in zip((columns, rows, planes), _TILE, strict=True))
    kernel("add_slices", "slices")(grid, _TILE, (values, views, cells, *numbers, np.float32(limit)))


def cut_slices(cells: Any, spectra: Any, given: Particles) -> None:
    """Do as ``extract_slices``; ``cells`` [z, y, x, 4] and ``spectra`` [N, n, n // 2 + 1] on the current device."""
    count, (_, rows, columns, _) = spectra.size, cells.shape
    if not count:
        return
    numbers = [np.int32(n) for n in (spectra.shape[1], rows, columns)]
    limit = np.float64((columns - 2.0) ** 2 * (1 + 1e-6))
    kernel("cut_slices", "slices")(
        (blocks(count, _THREADS),),
        (_THREADS,),
        (cells, spectra, *given.on_device(), *numbers, limit, np.int64(count)),
    )


def insert_slices(
    volume: NDArray[np.float32],
    spectra: NDArray[np.complex64],
    order: Index,
    matrices: Float64,
    shifts: Float64,
    ctf: Float64,
    tables: NDArray[np.float32],
    table_of: Index,
    curves: NDArray[np.float32],
    curve_of: Index,
    nearest: int,
    beyond: int,
) -> None:
    """See ``reference.slices.insert_slices``; to the current device and back."""
    import cupy

    given = Particles(matrices, shifts, ctf, cupy.asarray(tables), table_of, cupy.asarray(curves), curve_of)
    there, middle = cupy.asarray(spectra), len(volume) // 2
    for first, last in [(1 - beyond, beyond)] if nearest == 0 else [(1 - beyond, 1 - nearest), (nearest, beyond)]:
        planes = slice(max(0, middle + first), min(len(volume), middle + last))
        cells = cupy.asarray(volume[planes])
        add_slices(cells, planes.start, there, order, given)
        volume[planes] = cells.get()


def extract_slices(
    volume: NDArray[np.float32],
    spectra: NDArray[np.complex64],
    matrices: Float64,
    shifts: Float64,
    ctf: Float64,
    tables: NDArray[np.float32],
    table_of: Index,
) -> None:
    """See ``reference.slices.extract_slices``; to the current device and back."""
    import cupy

    found = cupy.empty(spectra.shape, cupy.complex64)
    cut_slices(cupy.asarray(volume), found, Particles(matrices, shifts, ctf, cupy.asarray(tables), table_of))
    spectra[...] = found.get()


def _entries(order: Index, ctf: Float64) -> tuple[Index, Index]:
    """Return the image and the sheet of each slice: one a flat image, two one after another a bent one."""
    bent = ctf[order, OVERLAP] != 0
    image = np.repeat(order, 1 + bent)
    sheet = np.repeat(bent.astype(np.int32), 1 + bent)
    sheet[np.flatnonzero(np.repeat(bent, 1 + bent))[1::2]] = -1
    return np.ascontiguousarray(image, np.int32), sheet


def _views(matrices: Float64, ctf: Float64, sheet: Index, side: int) -> NDArray[np.float32]:
    """Return what slices.cu wants to know of each slice, in its order."""
    along, bend = matrices[:, :, :2], matrices[:, :, 2] * sheet[:, None]
    back = np.linalg.pinv(along)  # [E, 2, 3]: the frequency whose sample is nearest
    normal = np.cross(along[:, :, 0], along[:, :, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    squares = ctf[:, [GXX, GXY, GYY]]
    most = (np.abs(squares[:, [0, 2]]).max(1) + np.abs(squares[:, 1]) / 2) * (side // 2) ** 2  # of g²
    # A sample has a share in cells less than one away along each axis; a bent one is that much off besides.
    thick = np.abs(normal).sum(1) + np.abs((normal * bend).sum(1)) * most + _ROUNDING
    wide = np.abs(back).sum(2) + np.abs((back @ bend[:, :, None])[:, :, 0]) * most[:, None] + _ROUNDING
    parts = (along[:, :, 0], along[:, :, 1], bend, squares, back[:, 0], back[:, 1], normal, thick[:, None], wide)
    return np.concatenate(parts, axis=1).astype(np.float32)


assert COLUMNS == 13, "slices.cu counts the columns of ctf too"
