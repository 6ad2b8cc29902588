"""The sums of a reconstruction: particles added to one Fourier volume for each half map.

Threads share the two volumes: each takes a slab of planes of one of them, and of each image the samples that fall
there, so no cell has two writers and none needs a copy. Images go into a cell in the order given, whatever the number
of threads and slabs: the same calls of ``add`` give the same bits. Sums are float32. On GPUs: ``device_sums``.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pypcore import kernels
from pypcore.compute import CPU, Compute
from pypcore.kernels import fft
from pypcore.reconstruct.particles import Ctf, DoseWeights, Ewald, Optics, Poses
from pypcore.reconstruct.transfer import Batch, Frame, transfer_of

if TYPE_CHECKING:
    from pypcore.reconstruct.device_sums import DeviceSums

Step = partial[None]

HALVES = 2
LANES = 4  # of a cell: real, imaginary, weight, nothing (so that a cell is 16 bytes, one wide load)
PACKED_LANES = 3  # what is worth keeping of them
LONG = 160  # px: from there on a transform is work enough that two threads are better served with fewer at a time


def volume_shape(box: int, padding: int) -> tuple[int, int, int]:
    """Return the (z, y, x) cells of a Fourier volume; see ``kernels/reference/slices.py`` for where a frequency is."""
    radius = box * padding // 2
    return 2 * radius + 3, 2 * radius + 3, radius + 2


def memory_needed(box: int, padding: int = 1, threads: int = 1, image_box: int | None = None) -> int:
    """Return the bytes of an ``Accumulator`` while it adds: both sums, and spectra of two chunks."""
    z, y, x = volume_shape(box, padding)
    side = image_box or box
    spectra = side * (side // 2 + 1) * 8
    return HALVES * z * y * x * LANES * 4 + (2 * chunk_size(side) + 3 * batch_size(side) * threads) * spectra


def batch_size(image_box: int) -> int:
    """Return how many images are transformed together, whatever the number of threads: last bits may depend on it."""
    return 8 if image_box < LONG else 4


def chunk_size(image_box: int) -> int:
    """Return how many images are in hand at a time: 8 MB of spectra, in whole batches."""
    spectrum, batch = image_box * (image_box // 2 + 1) * 8, batch_size(image_box)
    return batch * max(1, min(16, 2**23 // (batch * spectrum)))


def slabs(radius: int, count: int) -> list[tuple[int, int]]:
    """Cut planes 0 <= |z| <= ``radius`` + 1 into up to ``count`` slabs of equal work, for evenly spread views."""
    # Of the samples of slices in all directions, the share 2 a - a² has |z| < a radius.
    inner = radius * (1 - np.sqrt(1 - np.arange(count) / count))
    edges = [*sorted({int(edge) for edge in np.rint(inner)}), radius + 2]
    return list(pairwise(edges))


class Accumulator:
    """Adds particles to the sums of two half maps.

    With several threads the last of them may still be at work when ``add`` returns; whoever looks at ``sums`` waits.

    Args:
        box: voxels along an edge of the map; even.
        pixel_size: of the map, Å; images of other pixel sizes are brought to it.
        padding: 1 or 2: how many times finer the Fourier volume is than the map's own transform.
        threads: that may work at the same time.
        ewald: the curvature of the Ewald sphere, where it is to be corrected.
        compute: the CPU, or GPUs.
    """

    def __init__(
        self,
        box: int,
        pixel_size: float,
        *,
        padding: int = 1,
        threads: int = 1,
        ewald: Ewald | None = None,
        compute: Compute = CPU,
    ) -> None:
        if box < 8 or box % 2:
            raise ValueError(f"box is {box}; it has to be even and at least 8")
        if padding not in (1, 2):
            raise ValueError(f"padding is {padding}; it is 1 or 2")
        if not pixel_size > 0:
            raise ValueError(f"pixel_size is {pixel_size:g} Å; it has to be above 0")
        self.box, self.pixel_size, self.padding, self.threads, self.ewald = box, pixel_size, padding, threads, ewald
        self._sums = np.zeros((HALVES, *volume_shape(box, padding), LANES), np.float32)
        self._there: DeviceSums | None = None  # on GPUs, while these have what ``_sums`` lacks
        self.compute = compute
        self.particles = np.zeros(HALVES, np.int64)  # added to each half
        self.weights = np.zeros(HALVES, np.float64)  # the sums of their weights
        self._spectra = [np.empty((0, 0, 0), np.complex64)] * 2
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reconstruct") if threads > 1 else None
        self._at_work: list[Future[None]] = []

    @property
    def sums(self) -> NDArray[np.float32]:
        """The sums of both halves, [half, z, y, x, LANES], with all in them that was added, in the host's memory.

        Those on GPUs come home when they are asked for.
        """
        self._wait()
        if self._there is not None:
            self._there.into(self._sums)
            self._there = None
        return self._sums

    def add(
        self,
        images: NDArray[np.float32],
        poses: Poses,
        ctf: Ctf | None,
        optics: Optics | Sequence[Optics],
        half: ArrayLike,
        weight: ArrayLike = 1.0,
        *,
        group: ArrayLike = 0,
        dose: DoseWeights | None = None,
    ) -> None:
        """Add particles.

        Args:
            images: [N, y, x], square, of an even side; a protein is white. Their mean is of no effect.
            poses: N of them.
            ctf: N of them; None for images without one (plain projections).
            optics: the optics group, or several.
            half: 1 or 2 for each particle: the half map it belongs to.
            weight: of each particle, or of all; those of 0 are left out.
            group: the number, from 0, of each particle's optics group.
            dose: weights by frequency.
        """
        count = len(images)
        if images.ndim != 3 or images.shape[1] != images.shape[2] or images.shape[1] % 2:
            raise ValueError(f"images have shape {images.shape}; they are [N, side, side] with an even side")
        for name, given in (("poses", poses), ("ctf", ctf)):
            if given is not None and len(given) != count:
                raise ValueError(f"{len(given)} {name} for {count} images")
        groups = [optics] if isinstance(optics, Optics) else list(optics)
        half = np.broadcast_to(np.asarray(half, np.int64), count)
        group = np.broadcast_to(np.asarray(group, np.int64), count)
        weight = np.broadcast_to(np.asarray(weight, np.float64), count)
        if not np.isin(half, (1, 2)).all():
            raise ValueError(f"half {half[~np.isin(half, (1, 2))][0]}: it is 1 or 2")
        if count and not 0 <= group.min() <= group.max() < len(groups):
            raise ValueError(f"groups go up to {group.max()}, with {len(groups)} optics given")
        if not (np.isfinite(weight).all() and (weight >= 0).all()):
            raise ValueError("weights have to be numbers of at least 0")
        frame = Frame(images.shape[1], self.box, self.pixel_size, self.padding)
        transfer = transfer_of(frame, poses, ctf, groups, group, weight, self.ewald)
        # A pixel's value is density along a line: summed over pixels of another size it differs by their area.
        area = np.array([(each.pixel_size / self.pixel_size) ** 2 for each in groups])[group].astype(np.float32)
        curves = np.zeros((0, 1), np.float32) if dose is None else np.asarray(dose.curves, np.float32)
        curve_of = np.full(count, -1, np.int32) if dose is None else np.broadcast_to(dose.which, count).astype(np.int32)
        if count:
            add = self._add_there if self.compute.on_gpu else self._add_here
            add(Batch(images, area, half * (weight > 0), transfer, curves, curve_of))
        for number in range(HALVES):
            own = (half == number + 1) & (weight > 0)
            self.particles[number] += np.count_nonzero(own)
            self.weights[number] += weight[own].sum()

    def _add_here(self, batch: Batch) -> None:
        images, transfer = batch.images, batch.transfer
        rows = (transfer.matrices, transfer.shifts, transfer.ctf)
        chunk = chunk_size(images.shape[1])
        # One chunk is transformed while the one before goes into the sums, the last one while the caller reads more
        # images: who is done with one has the other to do.
        for first in range(0, len(images), chunk):
            part = slice(first, first + chunk)
            transforms, spectra = self._transforms(images[part], batch.area[part])
            self._begin(transforms)
            self._wait()
            weighed = (batch.curves, batch.curve_of[part])
            described = (*(row[part] for row in rows), transfer.tables, transfer.table_of[part], *weighed)
            self._begin(self._insertions(spectra, batch.half[part], described))

    def _add_there(self, batch: Batch) -> None:
        from pypcore.reconstruct.device_sums import DeviceSums

        if self._there is None:
            self._there = DeviceSums(self._sums, self.compute.ordinals)
        self._there.add(batch)

    def _transforms(
        self, images: NDArray[np.float32], area: NDArray[np.float32]
    ) -> tuple[list[Step], NDArray[np.complex64]]:
        count, side = images.shape[:2]
        # Two chunks in turn, kept: fresh memory of this size costs as much as the transform.
        if self._spectra[0].shape[1:] != (side, side // 2 + 1):
            self._spectra = [np.empty((chunk_size(side), side, side // 2 + 1), np.complex64) for _ in range(2)]
        self._spectra.reverse()
        spectra = self._spectra[0][:count]

        def transform(own: slice) -> None:
            spectra[own] = fft.rfft2(np.ascontiguousarray(images[own], np.float32))
            if (area[own] != 1).any():
                spectra[own] *= area[own, None, None]

        batch = batch_size(side)
        return [partial(transform, slice(first, first + batch)) for first in range(0, count, batch)], spectra

    def _insertions(
        self, spectra: NDArray[np.complex64], half: NDArray[np.int64], described: tuple[object, ...]
    ) -> list[Step]:
        insert = kernels.get("insert_slices", "cython")
        orders = [np.flatnonzero(half == 1 + number).astype(np.int32) for number in range(HALVES)]
        return [
            partial(insert, self._sums[number], spectra, orders[number], *described, *planes)
            for planes in slabs(self.box * self.padding // 2, -(-self.threads // HALVES))
            for number in range(HALVES)
        ]

    def _begin(self, steps: list[Step]) -> None:
        for step in steps:
            if self._pool:
                self._at_work.append(self._pool.submit(step))
            else:
                step()

    def _wait(self) -> None:
        begun, self._at_work = self._at_work, []
        wait(begun)
        for each in begun:
            each.result()

    def merge(self, other: "Accumulator") -> None:
        """Add another accumulator's sums to these."""
        for what in ("box", "pixel_size", "padding", "ewald"):
            if getattr(self, what) != getattr(other, what):
                raise ValueError(
                    f"sums of {what} {getattr(other, what)} can't be added to those of {getattr(self, what)}"
                )
        own = self.sums
        own += other.sums
        self.particles += other.particles
        self.weights += other.weights

    def packed_planes(self) -> Iterator[NDArray[np.float32]]:
        """Yield what has to be kept, plane by plane: half 1's z = 0, 1, ..., half 2's; each [y, x, PACKED_LANES]."""
        for half in self.sums:
            for plane in half:
                yield np.ascontiguousarray(plane[..., :PACKED_LANES])

    def add_packed(self, planes: Iterable[NDArray[np.float32]], particles: ArrayLike, weights: ArrayLike) -> None:
        """Add what ``packed_planes`` of another accumulator gave, with its ``particles`` and ``weights``."""
        own = (plane for half in self.sums for plane in half)
        for mine, plane in zip(own, planes, strict=True):
            mine[..., :PACKED_LANES] += plane
        self.particles += np.asarray(particles, np.int64)
        self.weights += np.asarray(weights, np.float64)
