"""The sums of a reconstruction: particles added to one Fourier volume for each half map.

Sums are float32. Images go into the sums of their half in the order given, whatever the number of threads, so the same
calls of ``add`` give the same bits.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pypcore import kernels
from pypcore.kernels import fft
from pypcore.reconstruct.particles import Ctf, DoseWeights, Ewald, Optics, Poses
from pypcore.reconstruct.transfer import Frame, transfer_of

HALVES = 2
LANES = 4  # of a cell: real, imaginary, weight, nothing (so that a cell is 16 bytes, one wide load)
PACKED_LANES = 3  # what is worth keeping of them
CHUNK = 16  # images transformed at a time


def volume_shape(box: int, padding: int) -> tuple[int, int, int]:
    """Return the (z, y, x) cells of a Fourier volume; see ``kernels/reference/slices.py`` for where a frequency is."""
    radius = box * padding // 2
    return 2 * radius + 3, 2 * radius + 3, radius + 2


def memory_needed(box: int, padding: int = 1, threads: int = 1, image_box: int | None = None) -> int:
    """Return the bytes of an ``Accumulator`` while it adds: both sums, and images and spectra of a chunk a thread."""
    z, y, x = volume_shape(box, padding)
    side = image_box or box
    return HALVES * z * y * x * LANES * 4 + threads * CHUNK * side * (side // 2 + 1) * 8 * 3


class Accumulator:
    """Adds particles to the sums of two half maps.

    Args:
        box: voxels along an edge of the map; even.
        pixel_size: of the map, Å; images of other pixel sizes are brought to it.
        padding: 1 or 2: how many times finer the Fourier volume is than the map's own transform.
        threads: that may work at the same time.
        ewald: the curvature of the Ewald sphere, where it is to be corrected.
    """

    def __init__(
        self, box: int, pixel_size: float, *, padding: int = 1, threads: int = 1, ewald: Ewald | None = None
    ) -> None:
        if box < 8 or box % 2:
            raise ValueError(f"box is {box}; it has to be even and at least 8")
        if padding not in (1, 2):
            raise ValueError(f"padding is {padding}; it is 1 or 2")
        if not pixel_size > 0:
            raise ValueError(f"pixel_size is {pixel_size:g} Å; it has to be above 0")
        self.box, self.pixel_size, self.padding, self.threads, self.ewald = box, pixel_size, padding, threads, ewald
        self.sums = np.zeros((HALVES, *volume_shape(box, padding), LANES), np.float32)
        self.particles = np.zeros(HALVES, np.int64)  # added to each half
        self.weights = np.zeros(HALVES, np.float64)  # the sums of their weights

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
        insert = kernels.get("insert_slices", "cython")
        for first in range(0, count, CHUNK):
            part = slice(first, min(first + CHUNK, count))
            spectra = fft.rfft2(np.ascontiguousarray(images[part], np.float32))
            if (area[part] != 1).any():
                spectra *= area[part, None, None]
            for number in range(HALVES):
                order = np.flatnonzero((half[part] == number + 1) & (weight[part] > 0)).astype(np.int32)
                insert(
                    self.sums[number], spectra, order, transfer.matrices[part], transfer.shifts[part],
                    transfer.ctf[part], transfer.tables, transfer.table_of[part], curves, curve_of[part],
                )  # fmt: skip
        for number in range(HALVES):
            own = (half == number + 1) & (weight > 0)
            self.particles[number] += np.count_nonzero(own)
            self.weights[number] += weight[own].sum()

    def merge(self, other: "Accumulator") -> None:
        """Add another accumulator's sums to these."""
        for what in ("box", "pixel_size", "padding", "ewald"):
            if getattr(self, what) != getattr(other, what):
                raise ValueError(
                    f"sums of {what} {getattr(other, what)} can't be added to those of {getattr(self, what)}"
                )
        self.sums += other.sums
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
