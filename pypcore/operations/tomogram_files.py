"""Tomograms in files: filled slab by slab, in the orientation and the kind of number asked for."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.formats.mrc_stack import MrcVolumeWriter
from pypcore.geometry import TILT_ORIENTATIONS, tilt_oriented
from pypcore.operation import Context
from pypcore.tomogram.reconstruct import Reconstruction, Slab, Tilts

FOLDER = "tomograms"
ENDINGS = {"tomogram": ".mrc", "half1": "_half1.mrc", "half2": "_half2.mrc"}
_SIGMAS = 5.0  # of int8: mean ± so many standard deviations are ±127
_RANGE = 127
_THIN = 48  # of the volume's side is averaged into a slice of the picture


@dataclass(frozen=True)
class Written:
    """Where the tomogram and its halves are, its middle slices by name, and how int8 values become densities."""

    products: dict[str, Path]
    slices: dict[str, NDArray[np.float32]]
    zero: float = 0.0  # density = zero + step * value
    step: float = 1.0


def write_tomogram(
    name: str,
    work: Reconstruction,
    images: Tilts,
    second: Tilts | None,
    context: Context,
    *,
    kind: str,
    orientation: str,
    begun: float,
) -> Written:
    """Reconstruct into ``tomograms/NAME.mrc``, and ``_half1`` and ``_half2`` where they are made.

    Progress goes from ``begun`` to 1. For int8, the whole tomogram's mean ± 5 standard deviations become ±127, for its
    halves too, and what lies outside is cut off; the header's label says how to go back.
    """
    halves = work.settings.halves != "none"
    kinds = tuple(ENDINGS) if halves else ("tomogram",)
    places = {one: f"{FOLDER}/{name}{ENDINGS[one]}" for one in kinds}
    stored = "float32" if kind == "int8" else kind
    shape = tilt_oriented(np.broadcast_to(np.int8(0), work.settings.shape), orientation).shape

    def tell(share: float) -> None:
        context.progress(begun + (1 - begun) * share)

    with ExitStack() as stack:
        finals = {one: stack.enter_context(context.write(place)) for one, place in places.items()}
        context.scratch.mkdir(parents=True, exist_ok=True)
        writers = {}
        for one, final in finals.items():
            place = context.scratch / f"{name}_{one}.mrc" if kind == "int8" else final
            writers[one] = MrcVolumeWriter(place, shape, work.voxel_size, stored)
            stack.callback(writers[one].close)
        middle = _Middle(work.settings.shape)
        for slab in work.slabs(images, second, tell):
            parts = {"tomogram": slab.volume, "half1": slab.half1, "half2": slab.half2}
            section, row = _place(slab, work.settings.shape, orientation)
            for one, writer in writers.items():
                values = parts[one]
                assert values is not None  # halves are made where they were asked for
                writer.put(tilt_oriented(values, orientation), section, row)
            middle.add(slab)
        zero, step, label = 0.0, 1.0, ""
        if kind == "int8":
            zero, step = _scale(writers["tomogram"])
            label = f"int8: density = {zero:.6g} + {step:.6g} * value"
            for one, final in finals.items():
                draft = writers[one]
                writers[one] = MrcVolumeWriter(final, shape, work.voxel_size, kind)
                stack.callback(writers[one].close)
                for number, values in enumerate(draft.sections()):
                    whole = np.clip(np.rint((values - zero) / step), -_RANGE, _RANGE)
                    writers[one].put(whole[None], number, 0)
                draft.close()
                draft.path.unlink()
        for writer in writers.values():
            writer.finish(label)
    return Written({one: context.job / place for one, place in places.items()}, middle.slices, zero, step)


def _place(slab: Slab, shape: tuple[int, int, int], orientation: str) -> tuple[int, int]:
    """Return the first section and row of a slab in a file of this orientation."""
    axes, flipped = TILT_ORIENTATIONS[orientation]
    ranges = (slab.z, slab.y)
    first, second = (
        shape[axis] - ranges[axis].stop if number in flipped else ranges[axis].start
        for number, axis in enumerate(axes[:2])
    )
    return first, second


class _Middle:
    """The middle slices of a volume, each the mean of a few, gathered from its slabs: from above and two sides."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        z, y, x = shape
        self._few = [
            slice(
                size // 2 - max(1, size // _THIN) // 2, size // 2 - max(1, size // _THIN) // 2 + max(1, size // _THIN)
            )
            for size in shape
        ]
        self.slices: dict[str, NDArray[np.float32]] = {
            "xy": np.zeros((y, x), np.float32),
            "xz": np.zeros((z, x), np.float32),
            "zy": np.zeros((y, z), np.float32),
        }

    def add(self, slab: Slab) -> None:
        """Take what a slab has of them."""
        z, y, x = self._few
        inner_z, inner_y = _within(z, slab.z), _within(y, slab.y)
        self.slices["xy"][slab.y] += slab.volume[inner_z].sum(0) / (z.stop - z.start)
        self.slices["xz"][slab.z] += slab.volume[:, inner_y].sum(1) / (y.stop - y.start)
        self.slices["zy"][slab.y, slab.z] = slab.volume[:, :, x].mean(2).T


def _within(wanted: slice, part: slice) -> slice:
    """Return what of ``wanted`` is in ``part``, counted from its beginning."""
    low = min(max(wanted.start, part.start), part.stop)
    return slice(low - part.start, max(low, min(wanted.stop, part.stop)) - part.start)


def _scale(volume: MrcVolumeWriter) -> tuple[float, float]:
    """Return zero and step of int8 for a volume; sections are summed one after another, so that the order is fixed."""
    total = squares = 0.0
    for section in volume.sections():
        total += float(section.sum(dtype=np.float64))
        squares += float((section.astype(np.float64) ** 2).sum())
    size = int(np.prod(volume.shape))
    mean = total / size
    deviation = max(squares / size - mean**2, 0.0) ** 0.5
    return float(f"{mean:.6g}"), float(f"{_SIGMAS * deviation / _RANGE or 1.0:.6g}")
