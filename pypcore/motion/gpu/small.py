"""The small copy, made on GPUs: each makes the groups of frames that are its share, and then has all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.copies import Copies
from pypcore.kernels.gpu.shrink import add_shrunk
from pypcore.motion.frames import Frames
from pypcore.motion.small import SmallMovie, fade, group_of, low_pass, small_shape


@dataclass(frozen=True)
class DeviceMovie(SmallMovie):
    """A small movie on each device; ``frames`` are the first one's."""

    on: list[Any] = field(default_factory=list)


class Uploads:
    """Raw frames on their way to a device, where they become counts with the gain applied."""

    def __init__(self, frames: Frames) -> None:
        """Get ready on the current device."""
        import cupy

        self._gain = None if frames.gain is None else cupy.asarray(frames.gain)
        self._shape = (frames.height, frames.width)
        self._copies: Copies | None = None  # made when the frames' type is known

    def counts(self, raw: list[NDArray[np.generic]]) -> Iterator[Any]:
        """Yield each frame [h, w] float32."""
        if not raw:
            return
        self._copies = self._copies or Copies(self._shape, raw[0].dtype)
        for frame in self._copies.each(raw):
            counts = frame.astype(np.float32)
            if self._gain is not None:
                counts *= self._gain
            yield counts


def upload_bytes(frames: Frames) -> int:
    """Return what one device takes for uploads: two raw buffers, the counts, the gain."""
    return frames.height * frames.width * (2 * 4 + 4 + 4 * (frames.gain is not None))


def shrink(frames: Frames, step: int, group: int, ordinals: tuple[int, ...]) -> DeviceMovie:
    """Make the small copy; arguments and meaning as of ``small.shrink``."""
    shape = small_shape(frames.height, frames.width, step)
    extent = (frames.height // step, frames.width // step)
    groups = group_of(frames.count, group)
    count = int(groups[-1]) + 1
    shares = devices.shares(count, len(ordinals))
    taps = low_pass(step)
    rim = np.outer(fade(extent[0], step), fade(extent[1], step)).astype(np.float32)
    made: list[Any] = [None] * len(ordinals)
    uploads: list[Any] = [None] * len(ordinals)

    def begin(n: int) -> None:
        import cupy

        size = 4 * shape[0] * shape[1]
        memory.need(
            count * size + upload_bytes(frames) + 4 * extent[0] * frames.width, f"the small copy of {count} frames"
        )
        made[n] = cupy.zeros((len(shares[n]), *shape), np.float32)
        uploads[n] = Uploads(frames)

    def add(n: int, chunk: list[tuple[int, NDArray[np.generic]]]) -> None:
        import cupy

        mine = [(int(groups[t]), raw) for t, raw in chunk if int(groups[t]) in shares[n]]
        on_device = cupy.asarray(taps)
        for (g, _), counts in zip(mine, uploads[n].counts([raw for _, raw in mine]), strict=True):
            add_shrunk(counts, frames.mean, on_device, step, made[n][g - shares[n].start], extent)

    def finish(n: int) -> Any:
        import cupy

        uploads[n] = None
        whiten(cupy, made[n][:, : extent[0], : extent[1]], cupy.asarray(rim))
        return made[n].get() if len(ordinals) > 1 else None

    devices.each(ordinals, begin)
    for chunk in frames.chunks():
        devices.each(ordinals, lambda n, chunk=chunk: add(n, chunk))  # type: ignore[misc]
    parts = devices.each(ordinals, finish)
    if len(ordinals) > 1:
        whole = np.concatenate(parts)

        def give(n: int) -> None:
            import cupy

            made[n] = None
            made[n] = cupy.asarray(whole)

        devices.each(ordinals, give)
    return DeviceMovie(made[0], step, extent, on=made)


def whiten(xp: Any, images: Any, rim: Any) -> None:
    """Bring each of ``images`` [T, y, x] to mean 0 and noise of variance 1, and fade it by ``rim``, in place."""
    height, width = (n // 2 * 2 for n in images.shape[1:])
    for image in images:
        image -= image.mean(dtype=np.float64).astype(np.float32)
        rows = image[0:height:2, :width] - image[1:height:2, :width]
        across = rows[:, ::2] - rows[:, 1::2]
        noise = xp.sqrt((across**2).mean(dtype=np.float64)) / 2
        image *= rim / xp.where(noise > 0, noise, 1).astype(np.float32)
