"""The alignment of one tilt series as operations have it: found, or taken over from another program."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pypcore.compute import Compute
from pypcore.errors import InputError
from pypcore.formats.tilt_series import TiltSeries
from pypcore.motion.parallel import Threads
from pypcore.operation import Context, Figure
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters, thickness_of
from pypcore.operations.align_tilts_products import ALIGNMENTS
from pypcore.operations.tilt_images import TiltImages
from pypcore.operations.tilt_picture import draw_alignment
from pypcore.operations.tilt_task import Task, enough, look, spread
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tilts.settings import AlignSettings

if TYPE_CHECKING:
    from pypcore.beads.align import Beads


@dataclass(frozen=True)
class Aligned:
    """A series and its alignment, a row a view; why views are left out stands in the series.

    ``errors`` [view] are the expected errors of the shifts, px, where they were found here.
    """

    series: TiltSeries
    alignment: TiltAlignment
    figures: dict[str, Figure] = field(default_factory=dict)
    errors: NDArray[np.float64] | None = None
    thickness: int = 1  # unbinned pixels, drawn into the picture
    beads: "Beads | None" = None  # those that it stands on, of all views

    @classmethod
    def taken(cls, series: TiltSeries, found: TiltAlignment, where: str, thickness: int) -> "Aligned":
        """Return an alignment that was taken over; views that either leaves out are left out."""
        series = series.without(dict.fromkeys(np.flatnonzero(~found.used).tolist(), "left out by the alignment"))
        alignment = replace(found, used=series.used)
        return cls(series, alignment, {"alignment_from": where}, None, thickness)

    def of(self, series: TiltSeries) -> "Aligned":
        """Return the same of a series of which more is known."""
        return replace(self, series=series)

    def draw(self, task: Task, context: Context) -> dict[str, Path]:
        """Draw ``alignments/NAME.png``, and write the beads where there are any; return what and where."""
        place = f"{ALIGNMENTS}/{task.item.name}.png"
        chosen = self.alignment.used.nonzero()[0]
        with context.write(place) as temporary, TiltImages(self.series.select(chosen)) as images:
            draw_alignment(
                temporary,
                task.item.name,
                images,
                self.alignment,
                self.series.angles,
                {
                    index: f"{view.number}: {view.excluded}"
                    for index, view in enumerate(self.series.views)
                    if view.excluded
                },
                self.errors,
                self.thickness,
                threads=context.threads,
                memory=context.memory,
            )
        pictures = {"alignment_picture": context.job / place}
        if self.beads is None:
            return pictures
        from pypcore.operations.bead_products import write_beads

        return pictures | write_beads(task, self.series, self.alignment, self.beads, context)


def image_shape_of(task: Task) -> tuple[int, int]:
    """Return the shape (y, x) of a series' images."""
    with TiltImages(task.series.select(task.series.used.nonzero()[0][:1])) as images:
        return images.shape[1], images.shape[2]


def align_task(task: Task, params: AlignTiltsParameters, context: Context) -> Aligned:
    """Align a series from its images; views that can't take part are left out, and said why."""
    aligned = _without_markers(task, params, context)
    if params.align_by == "views":
        return aligned
    from pypcore.operations.tilt_beads import on_beads

    return on_beads(task, aligned, params, context)


def _without_markers(task: Task, params: AlignTiltsParameters, context: Context) -> Aligned:
    from pypcore.tilts.align import align  # late: an alignment that is given needs none of it

    task = look(task, context.threads, context.log)
    chosen = task.series.used.nonzero()[0]
    settings = AlignSettings(
        axis_search=params.axis_search,
        offset_search=params.offset_search,
        specimen=params.specimen,
        local=params.local,
    )
    with (
        TiltImages(task.series.select(chosen)) as images,
        Threads(context.threads) as threads,
        threadpool_limits(1, user_api="blas"),  # our own threads are busy already
        _on(context.compute),
    ):
        try:
            found = align(
                images,
                task.series.angles[chosen],
                task.pixel_size,
                task.series.axis,
                settings,
                threads,
                context.log,
                on_gpu=context.compute.on_gpu,
            )
        except InputError as error:
            raise InputError(f"{task.item.path}: {error}") from error
    series = task.series.without({int(chosen[one.view]): one.reason for one in found.bad})
    alignment = spread(found.alignment, chosen, series)
    alignment = replace(alignment, used=series.used & alignment.used)
    enough(series, alignment)
    errors = np.full(len(series.views), np.nan)
    errors[chosen] = found.error
    figures: dict[str, Figure] = {
        "alignment_from": "pypcore",
        "alignment_error": _rms(errors),
        "alignment_error_per_view": _plain(errors),
        "agreement_per_view": _plain(found.agreement),
        "axis_error": _plain(np.array([found.axis_error]))[0],
        "offset_error": _plain(np.array([found.offset_error]))[0],
        "thickness_found": found.thickness,
    }
    if params.local != (0, 0):
        figures |= {
            "local_shift": found.local.shift if found.local else 0.0,
            "local_error": found.local.error if found.local else None,
        }
    return Aligned(series, alignment, figures, errors / task.pixel_size, thickness_of(params, task.pixel_size))


def _on(compute: Compute) -> AbstractContextManager[None]:
    """Make the task's first GPU current, where it has any: one series keeps one busy."""
    if not compute.on_gpu:
        return nullcontext()
    from pypcore.kernels.gpu import devices

    return devices.on(compute.ordinals[0])


def _rms(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.nanmean(errors**2)))


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers as JSON has them: None for NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]
