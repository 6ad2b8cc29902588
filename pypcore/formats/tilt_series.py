"""A tilt series, whatever it was described by: its views, and what is known of them and from whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.formats.ctffind import Defocus
from pypcore.formats.tilt_angles import check_angles

FEWEST = 3  # views: fewer make no tomogram
_SAME_ANGLE = 0.1  # degrees


@dataclass(frozen=True)
class View:
    """One view. ``section`` counts from 0 in the stack ``file``; None: the file is this view's movie or image.

    ``angle`` of the stage, degrees. ``order`` is its rank in time from 0, ``prior_dose`` what the specimen had taken
    before it and ``dose`` what it took in it, e-/Å²: None where unknown. ``excluded`` says why it is left out.
    """

    file: Path
    section: int | None
    angle: float
    order: int | None = None
    prior_dose: float | None = None
    dose: float | None = None
    defocus: Defocus | None = None
    nominal_defocus: float | None = None  # µm, underfocus negative
    even: Path | None = None  # the same of its even frames alone, and of its odd ones
    odd: Path | None = None
    movie: str = ""  # the name of the movie that it was recorded as
    number: int = 0  # by which a user names it, from 1: in the order of the stack, or by angle
    excluded: str = ""

    @property
    def label(self) -> str:
        """How a message names it."""
        where = self.file.name if self.section is None else f"section {self.section + 1}"
        return f"{where} ({self.angle:g} degrees)"


@dataclass(frozen=True)
class TiltSeries:
    """The views in the order of the stack, or by angle where they are files.

    ``pixel_size`` in Å, of the images as recorded; ``axis`` in degrees counter-clockwise from +y; ``voltage`` in kV;
    ``cs`` in mm; ``hand``, as RELION has it, is 1 where defocus grows with depth along the beam
    (``geometry.tilt_depth``), -1 where it falls. None where unknown. ``sources`` says of each fact who said so,
    ``notes`` what a user should know. ``recorded_size`` is (width, height) of the images that an
    mdoc's pixel size is of.
    """

    path: Path
    views: tuple[View, ...]
    pixel_size: float | None = None
    axis: float | None = None
    voltage: float | None = None
    cs: float | None = None
    amplitude_contrast: float | None = None
    hand: int | None = None
    recorded_size: tuple[int, int] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def stack_order(self) -> NDArray[np.intp]:
        """Return the views in the order of the stack they lie in, whole; of files of their own, as they are here."""
        sections = [-1 if view.section is None else view.section for view in self.views]
        one = len({view.file for view in self.views}) == 1
        if one and sorted(sections) == list(range(len(sections))):
            return np.argsort(sections)
        return np.arange(len(sections))

    @property
    def angles(self) -> NDArray[np.float64]:
        """Angle of each view, degrees."""
        return np.array([view.angle for view in self.views])

    @property
    def used(self) -> NDArray[np.bool_]:
        """Views that are not left out."""
        return np.array([not view.excluded for view in self.views])

    def prior_doses(self) -> NDArray[np.float64] | None:
        """Dose before each view, e-/Å²; None where one of those used does not say it."""
        doses = [view.prior_dose for view in self.views]
        if any(dose is None for dose, view in zip(doses, self.views, strict=True) if not view.excluded):
            return None
        return np.array([dose or 0.0 for dose in doses])

    def without(self, reasons: dict[int, str]) -> "TiltSeries":
        """Return the series with more views left out: index to reason; a view keeps the first reason it got."""
        views = [
            replace(view, excluded=view.excluded or reasons.get(number, "")) for number, view in enumerate(self.views)
        ]
        return replace(self, views=tuple(views))

    def select(self, views: Sequence[int] | NDArray[np.intp]) -> "TiltSeries":
        """Return the series of some views alone."""
        return replace(self, views=tuple(self.views[int(index)] for index in views))

    def note(self, *texts: str) -> "TiltSeries":
        """Return the series with more notes."""
        return replace(self, notes=(*self.notes, *texts))

    def check(self, *, sorted_by_angle: bool) -> "TiltSeries":
        """Return the series; raise InputError where its angles can't be, or too few views are left."""
        check_angles(self.angles, self.sources.get("angles", self.path), sorted_by_angle=sorted_by_angle)
        if self.used.sum() < FEWEST:
            left = "; ".join(f"{view.label}: {view.excluded}" for view in self.views if view.excluded)
            raise InputError(
                f"{self.path}: {self.used.sum()} of {len(self.views)} views can be used"
                f"{f' ({left[:200]})' if left else ''}; a tomogram needs {FEWEST} or more"
            )
        return self


def with_dose(series: TiltSeries, dose: float | None) -> TiltSeries:
    """Return the series with the dose of a view (e-/Å²) as the user gave it; doses on record otherwise.

    What is before a view is then the dose times its rank; the order of acquisition must be known for that.
    """
    if dose is None:
        return series
    views = tuple(
        replace(view, dose=dose, prior_dose=None if view.order is None else dose * view.order) for view in series.views
    )
    return replace(series, views=views, sources={**series.sources, "dose": "the request"})


def sort_views(views: Sequence[View]) -> tuple[View, ...]:
    """Return views by angle, those of one angle in the order they were taken."""
    return tuple(sorted(views, key=lambda view: (view.angle, view.order or 0)))


def duplicates_of(views: Sequence[View], keep: str) -> dict[int, str]:
    """Return which views stand for an angle (within 0.1 degrees) that another stands for too, and why they may go.

    ``keep`` is ``last`` (SerialEM takes a view again when the first was bad), ``first`` or ``all``. The same image
    named twice counts once, whatever ``keep`` is. Where no order is known the later in the list is the later.
    """
    reasons: dict[int, str] = {}
    kept: list[int] = []
    for index in sorted(range(len(views)), key=lambda i: (views[i].order or 0, i)):
        view = views[index]
        twins = [k for k in kept if (views[k].file, views[k].section) == (view.file, view.section)]
        if not twins and keep != "all":
            twins = [k for k in kept if abs(views[k].angle - view.angle) < _SAME_ANGLE]
        if twins and keep == "first":
            reasons[index] = f"the same angle as {views[twins[0]].label}, taken before"
            continue
        reasons |= dict.fromkeys(twins, f"the same angle as {view.label}, taken after")
        kept = [k for k in kept if k not in twins] + [index]
    return reasons
