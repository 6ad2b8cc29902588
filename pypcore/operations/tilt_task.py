"""The work on one tilt series: its movies corrected, its views aligned, or an alignment taken over."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.relion_tomo import StarSeries
from pypcore.formats.tilt_alignment import find_alignment, read_alignment
from pypcore.formats.tilt_series import FEWEST, TiltSeries
from pypcore.items import Item, stem
from pypcore.operation import Context, Figure
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters
from pypcore.operations.tilt_images import TiltImages, survey
from pypcore.operations.tilt_items import open_series
from pypcore.operations.tilt_movies import are_movies, correct_tilts
from pypcore.tilts.alignment import TiltAlignment


@dataclass(frozen=True)
class Task:
    """A series whose views are images. ``frames`` and ``motion`` (Å) are those of the views' movies, if any."""

    item: Item
    series: TiltSeries
    star: StarSeries | None
    pixel_size: float
    frames: list[int]
    products: dict[str, Path] = field(default_factory=dict)
    motion: list[float] = field(default_factory=list)


def begin(item: Item, params: AlignTiltsParameters, context: Context, *, halves: bool, share: float) -> Task:
    """Open a series and correct its movies where it has any; ``halves`` of their frames are made too.

    What was noted and chosen on the way is logged. Progress runs to ``share`` where movies are corrected.
    """
    series, star = open_series(item, params, context.root)
    assert series.pixel_size is not None  # refused otherwise
    for note in series.notes:
        context.log.warning("%s: %s", item.given, note)
    for fact, who in series.sources.items():
        context.log.info("%s: %s from %s", item.given, fact.replace("_", " "), who)
    if not are_movies(series, params):
        return Task(item, series, star, series.pixel_size, [1] * len(series.views))
    corrected = correct_tilts(item.name, series, params, series.pixel_size, context, halves=halves, share=share)
    return Task(item, corrected.series, star, series.pixel_size, corrected.frames, corrected.products, corrected.motion)


def given_alignment(task: Task, folder: Path | None, image_shape: tuple[int, int]) -> tuple[TiltAlignment, str] | None:
    """Return an alignment that is there already, and where: in ``folder``, in the STAR file, or beside the item.

    Raises InputError where ``folder`` is given and has none for this series.
    """
    names = dict.fromkeys((task.item.name, stem(task.item.path)))
    if folder is not None:
        found = next((path for name in names if (path := find_alignment(folder, name))), None)
        if found is None:
            raise InputError(
                f"{folder}: neither {task.item.name}.xf with {task.item.name}.tlt nor {task.item.name}.aln; "
                "give the folder of the alignments (--alignment), or leave it out to align"
            )
    elif task.star is not None:
        aligned = task.star.alignment(image_shape, task.pixel_size)
        return None if aligned is None else (aligned, "the STAR file")
    else:
        found = find_alignment(task.item.path.parent, stem(task.item.path))
    if found is None:
        return None
    try:
        return read_alignment(found, task.series, image_shape, task.pixel_size), str(found)
    except InputError as error:
        raise error if folder is not None else InputError(f"{error}; or align anew with --realign") from error


def look(task: Task, threads: int, log: logging.Logger) -> Task:
    """Leave out views whose images can't be used (black, NaN), with the reason; InputError where too few are left."""
    chosen = np.flatnonzero(task.series.used)
    with TiltImages(task.series.select(chosen)) as images:
        reasons = {int(chosen[number]): reason for number, reason in survey(images, threads).items()}
    for view, reason in reasons.items():
        log.warning("%s: view %d is left out: %s", task.item.given, task.series.views[view].number, reason)
    series = task.series.without(reasons).check(sorted_by_angle=False)
    return replace(task, series=series)


def spread(found: TiltAlignment, chosen: "np.typing.NDArray[np.intp]", series: TiltSeries) -> TiltAlignment:
    """Return the alignment of all views from that of the ``chosen``: the others get the axis and aren't used."""
    count = len(series.views)
    if len(chosen) == count:
        return found
    angles = series.angles.copy()
    angles[chosen] = found.angles
    matrices = np.repeat(found.matrices[:1], count, axis=0)
    matrices[chosen] = found.matrices
    shifts = np.zeros((count, 2))
    shifts[chosen] = found.shifts
    used = np.zeros(count, bool)
    used[chosen] = found.used
    local = found.local
    if local is not None:
        nodes = np.zeros((count, *local.nodes.shape[1:]))
        nodes[chosen] = local.nodes
        local = replace(local, nodes=nodes)
    return replace(found, angles=angles, matrices=matrices, shifts=shifts, used=used, local=local)


def figures_of(task: Task, series: TiltSeries, alignment: TiltAlignment) -> dict[str, Figure]:
    """Return what a user is shown of a series and its alignment; lists have a value a view."""
    used = alignment.used
    excluded = {str(view.number): view.excluded for view in series.views if view.excluded}
    figures: dict[str, Any] = {
        "views": len(series.views),
        "views_used": int(used.sum()),
        "views_excluded": excluded,
        "tilt_min": float(alignment.specimen_angles[used].min()),
        "tilt_max": float(alignment.specimen_angles[used].max()),
        "tilt_axis": float(np.median(alignment.axes[used])),
        "tilt_offset": float(np.median(alignment.specimen_angles[used] - series.angles[used])),
        "x_tilt": float(alignment.x_tilt),
        "pixel_size": task.pixel_size,
        "voltage": series.voltage,
        "cs": series.cs,
        "amplitude_contrast": series.amplitude_contrast,
        "handedness": series.hand,
        "pixel_size_from": series.sources.get("pixel_size", ""),
        "largest_shift": float(np.hypot(*alignment.shifts[used].T).max()) * task.pixel_size,
        "total_dose": _total_dose(series),
        "angles": [float(angle) for angle in series.angles],
        "shifts": [[float(x), float(y)] for x, y in alignment.shifts],
    }
    if task.motion:
        figures["motion_total"] = float(np.mean(task.motion))
        figures["motion_per_tilt"] = task.motion
    if series.notes:
        figures["notes"] = list(series.notes)
    return figures


def _total_dose(series: TiltSeries) -> float | None:
    """Return the dose after the last view, e-/Å²; None where it isn't known."""
    if series.prior_doses() is None:
        return None
    return max((view.prior_dose or 0.0) + (view.dose or 0.0) for view in series.views)


def enough(series: TiltSeries, alignment: TiltAlignment) -> None:
    """Raise InputError where an alignment leaves too few views."""
    if alignment.used.sum() < FEWEST:
        raise InputError(
            f"{series.path}: {alignment.used.sum()} of {len(series.views)} views could be aligned; "
            f"{FEWEST} or more are needed: look at the images, and at --tilt-axis"
        )
