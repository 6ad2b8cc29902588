"""``reconstruct``: from particles to half maps, a map and its resolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pypcore import operation
from pypcore.errors import InputError, UsageError
from pypcore.items import Found, Item
from pypcore.operation import Context, Done, Figure, Result
from pypcore.operations.reconstruct_parameters import ReconstructParameters

# numpy and all that stands on it is imported where it is used: options and help texts come from here.
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pypcore.compute import Compute
    from pypcore.operations.particle_items import Table
    from pypcore.partials import ArraySource
    from pypcore.reconstruct.accumulator import Accumulator
    from pypcore.reconstruct.particles import DoseWeights

_GB = 2**30


class Reconstruct:
    """Adds each particle's slice to the Fourier volume of its half; Merge makes maps of the sums."""

    name: ClassVar[str] = "reconstruct"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Reconstruct half maps and a map from particles with poses"

    Parameters: ClassVar[type[operation.Parameters]] = ReconstructParameters

    def __init__(self) -> None:
        self.root = Path()
        """Where the paths in STAR files start; known once items were discovered."""

    def needs_gpu(self, params: ReconstructParameters) -> bool:
        """Say that the device asked for decides."""
        return False

    def auxiliary(self, params: ReconstructParameters) -> list[Path]:
        """List the mask."""
        return [params.mask] if params.mask is not None else []

    def discover(self, params: ReconstructParameters, inputs: list[str], root: Path) -> list[Found]:
        """Return the micrographs of the STAR files, each with its particles."""
        from pypcore.operations.particle_items import discover_parts

        self.root = root
        return discover_parts(inputs, root, params.pixel_size, params.weight)

    def check(self, params: ReconstructParameters, items: Sequence[Item]) -> None:
        """Refuse an unknown symmetry, a mask of another box, and STAR files that can't be added together."""
        from pypcore.postprocess.masks import read_mask
        from pypcore.reconstruct.symmetry import point_group

        try:
            point_group(params.symmetry)
        except ValueError as error:
            raise UsageError(str(error)) from error
        tables = self._tables(params, items)
        try:
            box = _box(params, tables[0])
            if params.mask is not None:
                read_mask(params.mask, (box, box, box))
        except InputError as error:
            raise UsageError(str(error)) from error
        for table in tables:
            if params.dose_weighting and table.particles.exposure is None:
                raise UsageError(f"{table.particles.path}: no column rlnMicrographPreExposure; dose weighting needs it")
            if params.ctf and table.particles.defocus is None:
                raise UsageError(
                    f"{table.particles.path}: no column rlnDefocusU; give --no-ctf if its images are projections"
                )

    def _tables(self, params: ReconstructParameters, items: Sequence[Item]) -> list[Table]:
        files = {item.file: item for item in items}
        return [_table(params, item, self.root) for item in files.values()]

    def disk(self, params: ReconstructParameters, item: Item) -> int:
        """An item leaves nothing of its own but its share of a partial."""
        return 0

    def partial_bytes(self, params: ReconstructParameters, items: Sequence[Item]) -> int:
        """Return the size of both halves' sums."""
        from pypcore.reconstruct.accumulator import HALVES, PACKED_LANES, volume_shape

        z, y, x = volume_shape(_box(params, self._tables(params, items[:1])[0]), params.padding)
        return HALVES * z * y * x * PACKED_LANES * 4

    def merge_bytes(self, params: ReconstructParameters, items: Sequence[Item]) -> int:
        """Return what maps, mask and FSC take beside the sums."""
        from pypcore.operations.reconstruct_merge import memory_needed

        return memory_needed(_box(params, self._tables(params, items[:1])[0]), params)

    def begin_sum(self, params: ReconstructParameters, items: Sequence[Item], context: Context) -> MapSums:
        """Return empty sums; the memory that they and the images take is said, and refused where it is not there."""
        from pypcore.reconstruct.accumulator import memory_needed

        table = _table(params, items[0], context.root)
        box = _box(params, table)
        most = max(len(rows) for rows in table.parts.values())
        needed = memory_needed(box, params.padding, context.threads, table.side) + most * table.side**2 * 4
        context.log.info("box %d, padding %d: sums and images take %.2f GB", box, params.padding, needed / _GB)
        if needed > context.memory:
            raise MemoryError(
                f"box {box} with padding {params.padding} needs {needed / _GB:.2f} GB, a task has "
                f"{context.memory / _GB:.2f} GB; give more --memory (GB per thread)"
            )
        merging = self.merge_bytes(params, items)
        if merging > context.memory:
            context.log.warning(
                "Merge will need %.2f GB, a task has %.2f GB: give it more --memory (GB per thread) by then",
                merging / _GB,
                context.memory / _GB,
            )
        return MapSums(_accumulator(params, table, context.threads, context.compute))

    def process(self, item: Item, params: ReconstructParameters, context: Context) -> Result:
        """Read the particles of a micrograph, and see that nothing is wrong with them."""
        from pypcore.operations.particle_items import read_images

        table = _table(params, item, context.root)
        rows = table.parts[item.part]
        half, weight = table.particles.half[rows], table.particles.weight[rows]
        figures: dict[str, Figure] = {
            "particles": len(rows),
            "half1": int((half == 1).sum()),
            "half2": int((half == 2).sum()),
            "weight": float(weight.sum()),
        }
        return Result(
            figures=figures, part=Part(read_images(table, rows), table, rows, params.ctf, params.dose_weighting)
        )

    def combine(self, total: npt.NDArray[Any], part: npt.NDArray[Any]) -> None:
        """Add two sums."""
        total += part

    def finish(self, done: Iterable[Done], params: ReconstructParameters, context: Context) -> Result:
        """Make half maps, map, FSC, tables and a picture of the sums."""
        from pypcore.operations.reconstruct_merge import make_products

        finished = list(done)
        tables: dict[str, Table] = {}
        for one in finished:
            if one.item.file not in tables:
                tables[one.item.file] = _table(params, one.item, context.root)
        first = tables[finished[0].item.file]
        return make_products(finished, tables, _box(params, first), params, context)


@dataclass(frozen=True)
class Part:
    """Particles of a micrograph, read and found to be good."""

    images: npt.NDArray[np.float32]
    table: Table
    rows: npt.NDArray[np.int64]
    ctf: bool
    dose_weighting: bool

    def dose(self) -> DoseWeights | None:
        """Return what the exposure before each image left of the amplitudes, by frequency (Grant and Grigorieff)."""
        import numpy as np

        from pypcore.motion.weights import damage
        from pypcore.reconstruct.particles import DoseWeights

        particles, side = self.table.particles, self.images.shape[1]
        if not self.dose_weighting or particles.exposure is None:
            return None
        group, exposure = particles.group[self.rows], particles.exposure[self.rows]
        known, which = np.unique(np.stack([group, exposure], axis=1), axis=0, return_inverse=True)
        curves = np.empty((len(known), side // 2 + 2), np.float32)
        for curve, (number, before) in zip(curves, known, strict=True):
            optics = particles.optics[int(number)]
            frequency = np.arange(len(curve)) / (side * optics.pixel_size)
            curve[:] = damage(np.array([before]), frequency, optics.voltage)[0]
        return DoseWeights(curves, which.reshape(-1).astype(np.int32))


class MapSums:
    """The sums of both halves, as the engine keeps them."""

    def __init__(self, accumulator: Accumulator) -> None:
        self.accumulator = accumulator

    def add(self, part: Part) -> None:
        """Add the particles of a micrograph."""
        particles, rows = part.table.particles, part.rows
        self.accumulator.add(
            part.images,
            particles.poses(rows),
            particles.ctf(rows) if part.ctf else None,
            particles.optics,
            particles.half[rows],
            particles.weight[rows],
            group=particles.group[rows],
            dose=part.dose(),
        )

    def state(self) -> Mapping[str, ArraySource]:
        """Return real part, imaginary part and weight of every cell, and how many particles and weights there are."""
        from pypcore.partials import ArraySource
        from pypcore.reconstruct.accumulator import PACKED_LANES

        sums, accumulator = self.accumulator.sums, self.accumulator
        shape = (*sums.shape[1:4], PACKED_LANES)
        return {
            **{name: ArraySource("<f4", shape, _planes(sums[n])) for n, name in enumerate(HALF_NAMES)},
            "particles": ArraySource("<i8", (len(HALF_NAMES),), lambda: [accumulator.particles]),
            "weights": ArraySource("<f8", (len(HALF_NAMES),), lambda: [accumulator.weights]),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up sums of the same box and padding."""
        from pypcore.reconstruct.accumulator import PACKED_LANES

        for number, name in enumerate(HALF_NAMES):
            mine, found = self.accumulator.sums[number], state[name]
            if found.shape != (*mine.shape[:3], PACKED_LANES):
                raise ValueError(f"{name} has the shape {found.shape}")
            mine[..., :PACKED_LANES] = found
            mine[..., PACKED_LANES:] = 0
        self.accumulator.particles[:] = state["particles"]
        self.accumulator.weights[:] = state["weights"]

    def clear(self) -> None:
        """Begin again at nothing."""
        self.accumulator.sums[:] = 0
        self.accumulator.particles[:] = 0
        self.accumulator.weights[:] = 0


HALF_NAMES = ("half1", "half2")


def _planes(half: npt.NDArray[np.float32]) -> Any:
    def chunks() -> Iterator[npt.NDArray[np.float32]]:
        import numpy as np

        from pypcore.reconstruct.accumulator import PACKED_LANES

        for plane in half:
            yield np.ascontiguousarray(plane[..., :PACKED_LANES])

    return chunks


def _accumulator(params: ReconstructParameters, table: Table, threads: int, compute: Compute) -> Accumulator:
    from pypcore.reconstruct.accumulator import Accumulator
    from pypcore.reconstruct.particles import Ewald

    ewald = None
    if params.ewald != "no":
        assert params.diameter is not None
        ewald = Ewald(params.diameter, 1 if params.ewald == "+1" else -1)
    pixel_size = table.particles.optics[0].pixel_size
    return Accumulator(
        _box(params, table), pixel_size, padding=params.padding, threads=threads, ewald=ewald, compute=compute
    )


def _table(params: ReconstructParameters, item: Item, root: Path) -> Table:
    from pypcore.operations.particle_items import read_table

    return read_table(item.path, root, params.pixel_size, params.weight)


def _box(params: ReconstructParameters, table: Table) -> int:
    return params.box or table.side
