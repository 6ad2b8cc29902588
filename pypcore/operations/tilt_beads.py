"""Gold beads in the task of a tilt series: the alignment on them, and where they are, to be erased."""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from pypcore.beads.align import Beads, align_on_beads, find_beads
from pypcore.beads.settings import BeadSettings
from pypcore.errors import InputError, UsageError
from pypcore.motion.parallel import Threads
from pypcore.operation import Context, Figure
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters, thickness_of
from pypcore.operations.tilt_aligning import Aligned
from pypcore.operations.tilt_images import TiltImages
from pypcore.operations.tilt_task import Task, enough


def on_beads(task: Task, start: Aligned, params: AlignTiltsParameters, context: Context) -> Aligned:
    """Align a series on its beads, from its alignment without markers; InputError where there are too few."""
    chosen = start.alignment.used.nonzero()[0]
    settings = _settings(task, params)
    with (
        TiltImages(start.series.select(chosen)) as images,
        Threads(context.threads) as threads,
        threadpool_limits(1, user_api="blas"),
    ):
        try:
            found = align_on_beads(images, start.alignment.select(chosen), settings, threads, context.log)
        except InputError as error:
            raise InputError(
                f"{task.item.path}: {error}: look at the images and at --bead-diameter ({params.bead_diameter:g} nm), "
                "or align without beads (--align-by views)"
            ) from error
    if found.freedom.scale != "fixed":
        context.log.warning(
            "%s: the magnification varies; NAME.xf has that, STAR file and .aln have no place for it", task.item.given
        )
    series = start.series.without({int(chosen[one.view]): one.reason for one in found.bad})
    whole = start.alignment
    arrays = {name: getattr(whole, name).copy() for name in ("angles", "matrices", "shifts", "used")}
    for name, array in arrays.items():
        array[chosen] = getattr(found.alignment, name)
    alignment = replace(whole, **arrays, local=None)
    enough(series, alignment)
    errors = np.full(len(series.views), np.nan)
    errors[chosen] = found.error
    beads = found.beads.among(chosen, alignment)
    angstroms = errors * task.pixel_size
    figures: dict[str, Figure] = {
        **start.figures,
        "alignment_from": "pypcore, gold beads",
        "alignment_error": float(np.sqrt(np.nanmean(angstroms**2))),
        "alignment_error_per_view": [float(one) if np.isfinite(one) else None for one in angstroms],
        "axis_error": found.axis_error,
        "beads": len(beads.steady),
        "beads_steady": int(beads.steady.sum()),
        "bead_residual": found.foretold * task.pixel_size,
        "bead_model": found.freedom.words(),
    }
    return replace(start, series=series, alignment=alignment, figures=figures, errors=errors, beads=beads)


def beads_to_erase(task: Task, aligned: Aligned, params: AlignTiltsParameters, context: Context) -> Beads:
    """Return the beads of the views used, in their order: those it was aligned on, or looked for now."""
    used = aligned.alignment.used.nonzero()[0]
    if aligned.beads is not None:
        return aligned.beads.select(used)
    with (
        TiltImages(aligned.series.select(used)) as images,
        Threads(context.threads) as threads,
        threadpool_limits(1, user_api="blas"),
    ):
        try:
            return find_beads(images, aligned.alignment.select(used), _settings(task, params), threads, context.log)
        except InputError as error:
            raise InputError(
                f"{task.item.path}: {error}: look at --bead-diameter ({params.bead_diameter:g} nm), "
                "or leave out --erase-beads"
            ) from error


def _settings(task: Task, params: AlignTiltsParameters) -> BeadSettings:
    assert params.bead_diameter is not None  # refused otherwise
    diameter = params.bead_diameter * 10 / task.pixel_size
    try:
        return BeadSettings(diameter, float(thickness_of(params, task.pixel_size)))
    except UsageError as error:
        raise InputError(f"{task.item.path}: {error} (--bead-diameter {params.bead_diameter:g} nm)") from error
