"""The defocus of the views of a tilt series, as other programs estimated it."""

from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.ctffind import Defocus, read_ctffind
from pypcore.formats.tilt_series import TiltSeries
from pypcore.formats.warp_xml import WarpTilts, read_warp_xml
from pypcore.items import Item, stem

_ENDINGS = ("_CTF.txt", "_ctffind.txt", "_ctffind4.txt", ".txt", ".xml")
_SAME = 1.0  # degrees
_CLEAR = 0.5  # degrees by which one sense of Warp's angles must fit better than the other


def with_defocus(item: Item, series: TiltSeries, folder: Path | None) -> TiltSeries:
    """Return the series with the defocus that ``folder`` has for it (None: as it is).

    Raises InputError where there is none, or it is of other views.
    """
    if folder is None:
        return series
    names = dict.fromkeys((item.name, stem(item.path)))
    paths = [folder / f"{name}{ending}" for name in names for ending in _ENDINGS]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise InputError(f"{folder}: none of {', '.join(path.name for path in paths)} there; check --defocus")
    found = _of_warp(path, series) if path.suffix.lower() == ".xml" else _of_ctffind(path, series)
    return replace(
        series,
        views=tuple(replace(view, defocus=one) for view, one in zip(series.views, found, strict=True)),
        sources={**series.sources, "defocus": str(path)},
    )


def _of_ctffind(path: Path, series: TiltSeries) -> list[Defocus]:
    """Return the defocus of each view; lines are numbered in the order of the stack."""
    found, order = read_ctffind(path), series.stack_order()
    if sorted(found) != list(range(1, len(order) + 1)):
        raise InputError(f"{path}: {len(found)} views, numbered to {max(found)}, for {len(order)}; one each is needed")
    return [found[int(place) + 1] for place in np.argsort(order)]


def _of_warp(path: Path, series: TiltSeries) -> list[Defocus]:
    """Return the defocus of each view: tilts are told by the names of their movies, else by their angles."""
    warp = read_warp_xml(path)
    if not warp.defocus:
        raise InputError(f"{path}: no defocus in it yet; run Warp's CTF estimation first")
    by_name = {PurePath(name).stem: one for name, one in zip(warp.movies, warp.defocus, strict=False) if name}
    names = [PurePath(view.movie).stem for view in series.views]
    if all(name in by_name for name in names):
        return [by_name[name] for name in names]
    angles = np.array(_in_our_sense(warp, series, path))
    nearest = [int(np.abs(angles - view.angle).argmin()) for view in series.views]
    for view, tilt in zip(series.views, nearest, strict=True):
        if abs(angles[tilt] - view.angle) > _SAME:
            raise InputError(f"{path}: no tilt at {view.angle:g} degrees; is it the XML of {series.path.name}?")
    return [warp.defocus[tilt] for tilt in nearest]


def _in_our_sense(warp: WarpTilts, series: TiltSeries, path: Path) -> list[float]:
    """Return Warp's angles in the sense of the series: Warp may have turned them over (warp#432).

    The angles themselves may tell, or the doses before each tilt; InputError where neither does.
    """
    turned = [-angle for angle in warp.angles]
    off = [_mismatch(angles, series) for angles in (warp.angles, turned)]
    if abs(off[0] - off[1]) < _CLEAR and warp.doses and series.prior_doses() is not None:
        off = [_dose_mismatch(angles, warp.doses, series) for angles in (warp.angles, turned)]
    if abs(off[0] - off[1]) < _CLEAR:
        raise InputError(
            f"{path}: neither its movies' names nor its angles or doses tell which tilt is which view of "
            f"{series.path.name}; give the defocus as CTFFIND or a STAR file has it"
        )
    return warp.angles if off[0] < off[1] else turned


def _mismatch(angles: list[float], series: TiltSeries) -> float:
    """Return the largest distance, degrees, of a view's angle from the nearest tilt."""
    return float(np.abs(np.array(angles)[:, None] - series.angles).min(0).max())


def _dose_mismatch(angles: list[float], doses: list[float], series: TiltSeries) -> float:
    """Return the mean difference, e-/Å², of a view's dose from the nearest tilt's, beyond one that all have."""
    nearest = np.abs(np.array(angles)[:, None] - series.angles).argmin(0)
    ours = series.prior_doses()
    assert ours is not None
    differences = np.array(doses)[nearest] - ours
    return float(np.abs(differences - np.median(differences)).mean())
