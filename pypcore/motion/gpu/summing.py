"""Adding up the frames on GPUs: each sums its share of the frames; what follows is done by the first."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.filter import add_spectrum
from pypcore.kernels.gpu.warp import add_warped
from pypcore.motion.frames import Frames
from pypcore.motion.gpu.small import Uploads, upload_bytes
from pypcore.motion.summing import Combine, Warp, around

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Tell = Callable[[str], object]
Curves = dict[str, list[tuple[int, Array]]]


def add(warp: Warp, frames: Frames, factors: Array, ordinals: tuple[int, ...]) -> Any:
    """Return the sums [R, y, x] of all frames times ``factors`` [T, R], moved back, on the current device.

    It is the first of ``ordinals``. Sums of several devices are added in their order.
    """
    import cupy

    weights = np.ascontiguousarray(factors, np.float32)
    shares = devices.shares(frames.count, len(ordinals))
    sums: list[Any] = [None] * len(ordinals)
    uploads: list[Any] = [None] * len(ordinals)

    def begin(n: int) -> None:
        import cupy

        sums[n] = cupy.zeros((weights.shape[1], warp.height, warp.width), np.float32)
        uploads[n] = Uploads(frames)

    def some(n: int, chunk: list[tuple[int, NDArray[np.generic]]]) -> None:
        import cupy

        mine = [(t, raw) for t, raw in chunk if t in shares[n]]
        for (t, _), counts in zip(mine, uploads[n].counts([raw for _, raw in mine]), strict=True):
            shifts, offset = warp.cells(t)
            add_warped(counts, cupy.asarray(shifts), offset, cupy.asarray(weights[t]), 0, sums[n])

    devices.each(ordinals, begin)
    for chunk in frames.chunks():
        devices.each(ordinals, lambda n, chunk=chunk: some(n, chunk))  # type: ignore[misc]
    uploads.clear()
    if len(ordinals) == 1:
        return sums[0]
    return cupy.asarray(devices.added(devices.each(ordinals, lambda n: sums[n].get())))


def each_sum(
    warp: Warp,
    frames: Frames,
    factors: Array,
    take: Callable[[int, Any], None],
    ordinals: tuple[int, ...],
    *,
    besides: int,
    tell: Tell,
) -> None:
    """Hand the number of each sum, and the sum on the first device, to ``take``.

    As many are made in one pass over the frames as there is room for, with ``besides`` bytes for other things. ``take``
    is called once for each sum that it does not fail on: it changes nothing before all its own memory is had.
    """
    taken: set[int] = set()

    def some(low: int, high: int) -> None:
        sums = add(warp, frames, factors[:, low:high], ordinals)
        for r in range(low, high):
            if r not in taken:
                take(r, sums[r - low])
                taken.add(r)

    fixed = upload_bytes(frames) + besides
    memory.batches(
        factors.shape[1], 4 * warp.height * warp.width, some, what="sums of all frames", fixed=fixed, tell=tell
    )


class DeviceCombine(Combine):
    """As ``Combine``, on the current device."""

    def __init__(self, combine: Combine) -> None:
        """Take up what ``combine`` has laid out."""
        import cupy

        self.grid, self.k = combine.grid, combine.k
        self._along = [cupy.asarray(one) for one in combine.unspline]
        self._bins = cupy.asarray(combine.bin)
        self._around = [cupy.asarray(around(*sizes)) for sizes in zip(self.grid.shape, self.grid.padded, strict=True)]

    def bytes(self) -> int:
        """Return what a padded sum, its spectrum and the transform's own room take."""
        return 20 * self.grid.padded[0] * (self.grid.padded[1] + 2)

    def spectrum(self, image: Any) -> Any:
        """Transform a sum, mirrored into the padding, and crop it for binning."""
        import cupy

        (height, width), (ny, nx) = self.grid.shape, self.grid.padded
        full = cupy.empty((ny, nx), np.float32)
        mean = image.mean(dtype=np.float64)  # kept apart: float32 is for what varies
        full[:height, :width] = image - mean.astype(np.float32)
        full[:height, width:] = full[:height, self._around[1]]
        full[height:] = full[self._around[0]]
        half = cupy.fft.rfft2(full)
        half[0, 0] += mean.astype(np.float32) * np.float32(ny * nx)
        cy, cx = self.grid.cropped
        if (cy, cx) != (ny, nx):
            half = cupy.concatenate([half[: cy // 2, : cx // 2 + 1], half[ny - cy // 2 :, : cx // 2 + 1]])
            half[cy // 2] = 0
            half[:, -1] = 0
            half *= np.float32(cy * cx / (ny * nx))
        return half

    def empty(self) -> Any:
        """Return the spectrum of nothing, to add to."""
        import cupy

        height, width = self.grid.cropped
        return cupy.zeros((height, width // 2 + 1), np.complex64)

    def add(self, spectrum: Any, curve: Any, total: Any) -> None:
        """Add the spectrum of a sum to ``total``: times a radial ``curve`` on the device, the spline undone."""
        add_spectrum(spectrum, self._bins, curve, self._along[0], self._along[1], total)

    def image(self, total: Any) -> Image:
        """Transform back, cut off the padding, and bring the image to the host."""
        import cupy

        height, width = self.grid.binned
        found: Image = cupy.ascontiguousarray(cupy.fft.irfft2(total, s=self.grid.cropped)[:height, :width]).get()
        return found


def combined(
    warp: Warp,
    frames: Frames,
    factors: Array,
    curves: Curves,
    combine: Combine,
    ordinals: tuple[int, ...],
    tell: Tell,
) -> dict[str, Image]:
    """Make all images: each takes of which sum, by which radial curve, ``curves`` say."""
    import cupy

    on_device = DeviceCombine(combine)
    spectra = {name: on_device.empty() for name in curves}

    def take(r: int, image: Any) -> None:
        spectrum = on_device.spectrum(image)
        wanted = [(name, curve) for name, parts in curves.items() for number, curve in parts if number == r]
        given = [(spectra[name], cupy.asarray(curve.astype(np.float32))) for name, curve in wanted]
        for total, curve in given:
            on_device.add(spectrum, curve, total)

    each_sum(warp, frames, factors, take, ordinals, besides=on_device.bytes(), tell=tell)
    memory.free()
    return {name: on_device.image(spectra.pop(name)) for name in list(spectra)}
