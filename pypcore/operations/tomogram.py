"""``tomogram``: from tilt series to tomograms, the whole way in one task."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from zlib import crc32

from pypcore import operation
from pypcore.errors import InputError
from pypcore.items import Item
from pypcore.operation import Context, Done, Figure, Result
from pypcore.operations.tilt_items import check_series, find_series, tilts_disk
from pypcore.operations.tomogram_parameters import TomogramParameters

# numpy and all that stands on it is imported where it is used: options and help texts come from here.
if TYPE_CHECKING:
    from pypcore.operations.tilt_aligning import Aligned
    from pypcore.operations.tilt_images import TiltImages
    from pypcore.operations.tilt_task import Task
    from pypcore.tomogram.reconstruct import Reconstruction

_CERTAIN = 3.0  # standard errors
_MOVIES_SHARE, _ALIGNED_SHARE = 0.5, 0.7  # of the progress: where movies are done, and where the alignment is


class Tomogram:
    """Corrects tilt movies where there are any, aligns where no alignment is given, and reconstructs."""

    name: ClassVar[str] = "tomogram"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = (
        "Reconstruct tomograms from tilt series: movies corrected, tilts aligned, halves on request"
    )

    Parameters: ClassVar[type[operation.Parameters]] = TomogramParameters
    intermediates: ClassVar[dict[str, str]] = dict.fromkeys(
        ("tilts", "tilts_even", "tilts_odd"), "corrected tilts, which the tomograms are made of; RELION reads them too"
    )

    item_per_gpu: ClassVar[bool] = True  # a task's GPUs have a series each, unless they are named

    def needs_gpu(self, params: TomogramParameters) -> bool:
        """Say that the device asked for decides."""
        return False

    def auxiliary(self, params: TomogramParameters) -> list[Path]:
        """List the gain reference, the defects and the list of views to leave out."""
        return [path for path in (params.gain, params.defects, params.exclude_list) if path is not None]

    def discover(self, params: TomogramParameters, inputs: list[str], root: Path) -> list[Path]:
        """Return the files that describe the series: mdocs, stacks, STAR files."""
        return find_series(inputs, root)

    def check(self, params: TomogramParameters, items: Sequence[Item]) -> None:
        """Refuse a request that none of the first series can use."""
        check_series(items, params)

    def disk(self, params: TomogramParameters, item: Item) -> int:
        """Estimate the bytes of the tomograms, and of the corrected tilts where there are movies."""
        from pypcore.operations.tomogram_settings import disk_of

        frames = params.even_odd or params.halves == "frames"
        return tilts_disk(item, params, images=3 if frames else 1) + disk_of(item, params) + 1_000_000

    def process(self, item: Item, params: TomogramParameters, context: Context) -> Result:
        """Make one tomogram, and whatever must come before it."""
        from pypcore.operations.align_tilts_products import write_alignment
        from pypcore.operations.tilt_task import begin, figures_of

        frames = params.even_odd or params.halves == "frames"
        task = begin(item, params, context, halves=frames, share=_MOVIES_SHARE)
        aligned = self._alignment(task, params, context)
        context.progress(_ALIGNED_SHARE)
        products = {**task.products, **write_alignment(task, aligned.series, aligned.alignment, context)}
        products |= aligned.draw(task, context)
        made, figures = self._reconstruct(task, aligned, params, context)
        return Result(
            {**products, **made}, {**figures_of(task, aligned.series, aligned.alignment), **aligned.figures, **figures}
        )

    def _alignment(self, task: Task, params: TomogramParameters, context: Context) -> Aligned:
        from pypcore.operations.align_tilts_parameters import thickness_of
        from pypcore.operations.tilt_aligning import Aligned, align_task, image_shape_of
        from pypcore.operations.tilt_defocus import with_defocus
        from pypcore.operations.tilt_task import enough, given_alignment, look

        anew = params.realign or params.align_by == "beads"
        known = None if anew else given_alignment(task, params.alignment, image_shape_of(task))
        if known is None:
            aligned = align_task(task, params, context)
        else:
            found, where = known
            context.log.info("%s: alignment from %s", task.item.given, where)
            series = look(task, context.threads, context.log).series
            aligned = Aligned.taken(series, found, where, thickness_of(params, task.pixel_size))
            enough(series, aligned.alignment)
        return aligned.of(with_defocus(task.item, aligned.series, params.defocus))

    def _reconstruct(
        self, task: Task, aligned: Aligned, params: TomogramParameters, context: Context
    ) -> tuple[dict[str, Path], dict[str, Figure]]:
        from pypcore.operations.tilt_images import TiltImages
        from pypcore.operations.tilt_picture import draw_tomogram
        from pypcore.operations.tomogram_files import write_tomogram
        from pypcore.operations.tomogram_settings import plan_reconstruction

        used = aligned.alignment.used.nonzero()[0]
        series, alignment = aligned.series.select(used), aligned.alignment.select(used)
        frames = params.halves == "frames"
        if frames and any(view.even is None for view in series.views):
            raise InputError(f"{task.item.path}: no even and odd frames: it isn't made of movies; give --halves tilts")
        beads = None
        if params.erase_beads:
            from pypcore.beads.erase import Erased
            from pypcore.operations.tilt_beads import beads_to_erase

            beads = beads_to_erase(task, aligned, params, context)
        with TiltImages(series, "even" if frames else "all") as images:
            second = TiltImages(series, "odd") if frames else None
            try:
                work = plan_reconstruction(series, alignment, images, params, context)
                hand = _checked_hand(task, work, images, context) if params.ctf != "none" else {}
                name = crc32(task.item.name.encode())
                written = write_tomogram(
                    task.item.name,
                    work,
                    images if beads is None else Erased(images, beads, [name, 0]),
                    second if beads is None or second is None else Erased(second, beads, [name, 1]),
                    context,
                    kind=params.type,
                    orientation=params.orientation,
                    begun=_ALIGNED_SHARE,
                )
            finally:
                if second is not None:
                    second.close()
        picture = f"tomograms/{task.item.name}.png"
        with context.write(picture) as temporary:
            draw_tomogram(temporary, task.item.name, written.slices, work.voxel_size)
        z, y, x = work.settings.shape
        binning = work.settings.binning
        figures: dict[str, Figure] = {
            "bin": binning,
            "voxel_size": work.voxel_size,
            "size_x": round(x * binning),
            "size_y": round(y * binning),
            "size_z": round(z * binning),
            "voxels": [x, y, z],
            "memory_planned": work.plan.needed,
        }
        figures |= hand
        if beads is not None:
            figures["beads_erased"] = len(beads.places)
        if params.type == "int8":
            figures |= {"int8_zero": written.zero, "int8_step": written.step}
        return {**written.products, "tomogram_picture": context.job / picture}, figures

    def finish(self, done: Iterable[Done], params: TomogramParameters, context: Context) -> Result:
        """Write ``tomograms.star``, ``tomograms.csv`` and ``report.html``."""
        from pypcore.operations.tilt_merge import write_tables

        return write_tables(done, context, "tomograms")


def _checked_hand(task: Task, work: Reconstruction, images: TiltImages, context: Context) -> dict[str, Figure]:
    """Say whether the images agree with the handedness given; nothing is changed by it."""
    try:
        check = work.check_hand(images)
    except InputError as error:
        context.log.warning("%s: %s", task.item.given, error)
        return {}
    hand, sigma = -check.hand, check.sigma  # RELION's hand is the other way round
    if abs(sigma) < _CERTAIN:
        verdict = f"the images don't tell whether handedness {hand:+d} is right"
    elif sigma > 0:
        verdict = f"handedness {hand:+d} agrees with the images"
    else:
        verdict = f"handedness {-hand:+d} fits the images better: look at it, and change it"
    level = logging.INFO if sigma > -_CERTAIN else logging.WARNING
    context.log.log(level, "%s: %s (%+.1f standard errors)", task.item.given, verdict, sigma)
    return {"handedness_check": verdict, "handedness_sigma": sigma}
