"""``align-tilts``: from tilt series to their alignment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from pypcore import operation
from pypcore.items import Item
from pypcore.operation import Context, Done, Result
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters
from pypcore.operations.tilt_items import check_series, find_series, tilts_disk

# numpy and all that stands on it is imported where it is used: options and help texts come from here.

_MOVIES_SHARE = 0.6  # of the progress, where there are movies to correct


class AlignTilts:
    """Corrects the movies of each tilt series, where it has any, and finds how its views lie to each other."""

    name: ClassVar[str] = "align-tilts"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Align tilt series without markers; correct their movies first"

    Parameters: ClassVar[type[operation.Parameters]] = AlignTiltsParameters

    item_per_gpu: ClassVar[bool] = True  # a task's GPUs have a series each, unless they are named

    def needs_gpu(self, params: AlignTiltsParameters) -> bool:
        """Say that the device asked for decides."""
        return False

    def auxiliary(self, params: AlignTiltsParameters) -> list[Path]:
        """List the gain reference, the defects and the list of views to leave out."""
        return [path for path in (params.gain, params.defects, params.exclude_list) if path is not None]

    def discover(self, params: AlignTiltsParameters, inputs: list[str], root: Path) -> list[Path]:
        """Return the files that describe the series: mdocs, stacks, STAR files."""
        return find_series(inputs, root)

    def check(self, params: AlignTiltsParameters, items: Sequence[Item]) -> None:
        """Refuse a request that none of the first series can use."""
        check_series(items, params)

    def disk(self, params: AlignTiltsParameters, item: Item) -> int:
        """Estimate the bytes of the corrected tilts, where there are movies, and a little for the alignment."""
        return tilts_disk(item, params, images=3 if params.even_odd else 1) + 500_000

    def process(self, item: Item, params: AlignTiltsParameters, context: Context) -> Result:
        """Align one series; write the alignment in three forms, a STAR file, and a picture."""
        from pypcore.operations.align_tilts_products import write_alignment
        from pypcore.operations.tilt_aligning import align_task
        from pypcore.operations.tilt_task import begin, figures_of

        task = begin(item, params, context, halves=params.even_odd, share=_MOVIES_SHARE)
        aligned = align_task(task, params, context)
        products = {**task.products, **write_alignment(task, aligned.series, aligned.alignment, context)}
        products |= aligned.draw(task, context)
        return Result(products, {**figures_of(task, aligned.series, aligned.alignment), **aligned.figures})

    def finish(self, done: Iterable[Done], params: AlignTiltsParameters, context: Context) -> Result:
        """Write ``aligned_tilt_series.star``, ``aligned_tilt_series.csv`` and ``report.html``."""
        from pypcore.operations.tilt_merge import write_tables

        return write_tables(done, context, "aligned_tilt_series")
