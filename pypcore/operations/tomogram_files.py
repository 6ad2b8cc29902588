"""Tomograms in files: filled slab by slab, in the orientation and the kind of number asked for."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.formats.mrc_stack import KINDS, MrcVolumeWriter, as_stored
from pypcore.geometry import tilt_oriented, tilt_unoriented
from pypcore.operation import Context
from pypcore.operations.tilt_images import TiltImages
from pypcore.tomogram.reconstruct import Reconstruction

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
    images: TiltImages,
    second: TiltImages | None,
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
    shape = tilt_oriented(np.empty(work.settings.shape, np.int8), orientation).shape

    def tell(share: float) -> None:
        context.progress(begun + (1 - begun) * share)

    with ExitStack() as stack:
        finals = {one: stack.enter_context(context.write(place)) for one, place in places.items()}
        context.scratch.mkdir(parents=True, exist_ok=True)
        drafts = {
            one: (context.scratch / f"{name}_{one}.mrc" if kind == "int8" else final) for one, final in finals.items()
        }
        writers = {one: MrcVolumeWriter(draft, shape, work.voxel_size, stored) for one, draft in drafts.items()}
        volumes = {one: tilt_unoriented(writer.data, orientation) for one, writer in writers.items()}
        for slab in work.slabs(images, second, tell):
            parts = {"tomogram": slab.volume, "half1": slab.half1, "half2": slab.half2}
            for one, volume in volumes.items():
                values = parts[one]
                assert values is not None  # halves are made where they were asked for
                volume[slab.z, slab.y] = as_stored(values, KINDS[stored][1], finals[one])
        slices = _middle(volumes["tomogram"])
        zero, step, label = 0.0, 1.0, ""
        if kind == "int8":
            zero, step = _scale(writers["tomogram"].data)
            label = f"int8: density = {zero:.6g} + {step:.6g} * value"
            for one, final in finals.items():
                draft = writers[one].data
                writers[one] = MrcVolumeWriter(final, shape, work.voxel_size, kind)
                for section, values in zip(writers[one].data, draft, strict=True):
                    section[:] = np.clip(np.rint((values - zero) / step), -_RANGE, _RANGE)
                drafts[one].unlink()
        for writer in writers.values():
            writer.finish(label)
    return Written({one: context.job / place for one, place in places.items()}, slices, zero, step)


def _middle(volume: NDArray[np.generic]) -> dict[str, NDArray[np.float32]]:
    """Return the middle slices of a volume [z, y, x], each the mean of a few: from above, the front and the side."""
    z, y, x = volume.shape

    def mean(axis: int, size: int) -> NDArray[np.float32]:
        few = max(1, size // _THIN)
        low = size // 2 - few // 2
        part = volume[(slice(None),) * axis + (slice(low, low + few),)]
        return np.asarray(part, np.float32).mean(axis)

    return {"xy": mean(0, z), "xz": mean(1, y), "zy": mean(2, x).T}


def _scale(volume: NDArray[np.float32]) -> tuple[float, float]:
    """Return zero and step of int8 for a volume; sections are summed one after another, so that the order is fixed."""
    total = squares = 0.0
    for section in volume:
        total += float(section.sum(dtype=np.float64))
        squares += float((section.astype(np.float64) ** 2).sum())
    mean = total / volume.size
    deviation = max(squares / volume.size - mean**2, 0.0) ** 0.5
    return float(f"{mean:.6g}"), float(f"{_SIGMAS * deviation / _RANGE or 1.0:.6g}")
