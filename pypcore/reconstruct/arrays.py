"""Back-projection and projection of arrays in one call, for those who build on top of it.

>>> import pypcore
>>> from pypcore.reconstruct.particles import Ctf, Poses
>>> poses = Poses(rot, tilt, psi, shift_y, shift_x)
>>> density = pypcore.backproject(images, poses, Ctf(u, v, angle), pixel_size=1.06)
>>> images = pypcore.project(density, poses, Ctf(u, v, angle), pixel_size=1.06)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from pypcore import kernels
from pypcore.compute import CPU, Compute
from pypcore.kernels import fft
from pypcore.reconstruct.accumulator import LANES, Accumulator, chunk_size, volume_shape
from pypcore.reconstruct.finish import Finish, make_map
from pypcore.reconstruct.particles import Ctf, DoseWeights, Ewald, Optics, Poses
from pypcore.reconstruct.transfer import Frame, transfer_of

if TYPE_CHECKING:
    from pypcore.reconstruct.device_map import DeviceMap

Images = NDArray[np.float32]  # [N, y, x]
Map = NDArray[np.float32]  # [z, y, x]


def backproject(
    images: Images,
    poses: Poses,
    ctf: Ctf | None = None,
    *,
    pixel_size: float,
    optics: Optics | Sequence[Optics] | None = None,
    group: ArrayLike = 0,
    weight: ArrayLike = 1.0,
    dose: DoseWeights | None = None,
    box: int | None = None,
    padding: int = 1,
    finish: Finish | None = None,
    ewald: Ewald | None = None,
    threads: int = 1,
    compute: Compute = CPU,
) -> Map:
    """Reconstruct a map from particles, all in memory.

    Args:
        images: [N, y, x], square, protein white.
        poses: N of them.
        ctf: N of them; None for plain projections.
        pixel_size: of the map, Å; of the images too unless ``optics`` say otherwise.
        optics: one group or several; default: 300 kV, Cs 2.7 mm, amplitude contrast 0.1.
        group: each particle's number in ``optics``, from 0.
        weight: of each particle.
        dose: weights by frequency.
        box: of the map, voxels; default that of the images.
        padding: 1 or 2.
        finish: symmetry, iterated weights, Wiener weight.
        ewald: curvature of the Ewald sphere.
        threads: that may work.
        compute: the CPU, or GPUs.

    Returns:
        The map [z, y, x], unmasked; its projections are the images.
    """
    side = box or images.shape[1]
    accumulator = Accumulator(side, pixel_size, padding=padding, threads=threads, ewald=ewald, compute=compute)
    # Both sums take particles, so that two threads have work; the map is that of all.
    half = 1 + np.arange(len(images)) % 2
    accumulator.add(images, poses, ctf, optics or Optics(pixel_size), half, weight, group=group, dose=dose)
    sums = accumulator.sums[0]
    sums += accumulator.sums[1]
    return make_map(sums, accumulator.box, padding, finish, threads=threads)


def project(
    volume: Map,
    poses: Poses,
    ctf: Ctf | None = None,
    *,
    pixel_size: float,
    optics: Optics | Sequence[Optics] | None = None,
    group: ArrayLike = 0,
    padding: int = 2,
    ewald: Ewald | None = None,
    threads: int = 1,
    compute: Compute = CPU,
) -> Images:
    """Project a map along poses, with CTF, shift and aberrations: what ``backproject`` takes back.

    Args:
        volume: [z, y, x], a cube of even side.
        poses: N of them.
        ctf: N of them; None for plain projections.
        pixel_size: of the map and of the images, Å.
        optics: one group or several, with the map's pixel size.
        group: each image's number in ``optics``, from 0.
        padding: 1 or 2: how many times finer the map's transform is sampled.
        ewald: curvature of the Ewald sphere.
        threads: that may work.
        compute: the CPU, or GPUs.

    Returns:
        Images [N, y, x] of the map's side: sums along lines, in units of voxels.
    """
    projector = Projector(volume, pixel_size, padding=padding, threads=threads, ewald=ewald, compute=compute)
    return projector.project(poses, ctf, optics or Optics(pixel_size), group)


class Projector:
    """A map made ready for many projections: its padded transform, kept."""

    def __init__(
        self,
        volume: Map,
        pixel_size: float,
        *,
        padding: int = 2,
        threads: int = 1,
        ewald: Ewald | None = None,
        compute: Compute = CPU,
    ) -> None:
        box = volume.shape[0]
        if volume.shape != (box, box, box) or box % 2 or box < 8:
            raise ValueError(f"the map has shape {volume.shape}; it has to be a cube of an even side of at least 8")
        self.box, self.pixel_size, self.padding, self.threads, self.ewald = box, pixel_size, padding, threads, ewald
        self.cells = _cells(volume, padding, threads)
        self.compute = compute
        self._there: DeviceMap | None = None

    def project(self, poses: Poses, ctf: Ctf | None, optics: Optics | Sequence[Optics], group: ArrayLike = 0) -> Images:
        """Return the images [N, y, x] of poses."""
        count, box = len(poses), self.box
        if ctf is not None and len(ctf) != count:
            raise ValueError(f"{len(ctf)} ctf for {count} poses")
        groups = [optics] if isinstance(optics, Optics) else list(optics)
        frame = Frame(box, box, self.pixel_size, self.padding)
        numbers = np.broadcast_to(np.asarray(group, np.int64), count)
        transfer = transfer_of(frame, poses, ctf, groups, numbers, ewald=self.ewald)
        images = np.empty((count, box, box), np.float32)
        if self.compute.on_gpu:
            self._on_gpus().project(transfer, images)
            return images
        extract = kernels.get("extract_slices", "cython")
        chunk = chunk_size(box)
        for first in range(0, count, chunk):
            part = slice(first, min(first + chunk, count))
            spectra = np.empty((part.stop - first, box, box // 2 + 1), np.complex64)
            extract(
                self.cells, spectra, transfer.matrices[part], transfer.shifts[part], transfer.ctf[part],
                transfer.tables, transfer.table_of[part],
            )  # fmt: skip
            images[part] = fft.irfft2(spectra, (box, box))
        return images

    def _on_gpus(self) -> "DeviceMap":
        from pypcore.reconstruct.device_map import DeviceMap

        if self._there is None:
            self._there = DeviceMap(self.cells, self.compute.ordinals)
        return self._there


def _cells(volume: Map, padding: int, threads: int) -> NDArray[np.float32]:
    """The map's transform as cells [z, y, x, 4], its origin in the middle; the interpolation's envelope divided out."""
    box, side = volume.shape[0], volume.shape[0] * padding
    envelope = 1 / np.sinc((np.arange(box) - box // 2) / side) ** 2
    ready = (volume * envelope[:, None, None] * envelope[:, None] * envelope).astype(np.float32)
    padded = np.zeros((side,) * 3, np.float32)
    at = (np.arange(box) - box // 2) % side
    padded[np.ix_(at, at, at)] = ready
    spectrum = scipy.fft.rfftn(padded, workers=threads)
    radius = side // 2
    k = np.arange(-radius - 1, radius + 2)
    cells = np.zeros((*volume_shape(box, padding), LANES), np.float32)
    picked = spectrum[np.ix_(k % side, k % side, np.arange(radius + 1))]
    cells[:, :, : radius + 1, 0], cells[:, :, : radius + 1, 1] = picked.real, picked.imag
    cells[:, :, radius + 1] = cells[::-1, ::-1, radius - 1] * np.array([1, -1, 1, 1], np.float32)
    return cells
