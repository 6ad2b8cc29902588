"""Tilt series and tomograms in RELION 5's STAR files: read, and written so that RELION 5 goes on from them.

The specimen of a view is turned by XTilt about x, YTilt about y, ZRot about z, then moved by (XShift, YShift) Å. ZRot
is the tilt axis, YTilt the tilt angle, both in IMOD's sense; the shift is ``-A⁻¹ D`` of an .xf. RELION's centres are at
N/2 and ours at N/2 - 0.5: half a raw pixel, which RELION's own import of IMOD's alignments leaves too, and so do we.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.formats.ctffind import Defocus
from pypcore.formats.local_shifts import read_local
from pypcore.formats.star import Block, read_star, write_star
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.geometry import tilt_inverse, tilt_rotation
from pypcore.tilts.alignment import TiltAlignment

Array = NDArray[np.float64]
_LISTED = "rlnTomoTiltSeriesStarFile"
_LOCAL = "pypcoreLocalShifts"
_ALIGNED = ("rlnTomoYTilt", "rlnTomoZRot", "rlnTomoXShiftAngst", "rlnTomoYShiftAngst")


@dataclass(frozen=True)
class StarSeries:
    """A tilt series of RELION's: the series, and its alignment [view] where it has one (angles, axes, shifts in Å)."""

    series: TiltSeries
    name: str
    tilts: Array | None = None
    axes: Array | None = None
    shifts: Array | None = None  # [view, (x, y)], Å
    x_tilt: float = 0.0
    local: Path | None = None  # our local shifts, where it names any

    def alignment(self, image_shape: tuple[int, int], pixel_size: float) -> TiltAlignment | None:
        """Return the alignment for raw images of ``image_shape`` (y, x) and ``pixel_size`` Å, or None."""
        if self.tilts is None or self.axes is None or self.shifts is None:
            return None
        matrices = tilt_rotation(self.axes)
        moved = -np.einsum("nij,nj->ni", matrices, self.shifts / pixel_size)
        used, local = self.series.used, None
        if self.local is not None:
            local = read_local(self.local, self.series.angles, used, image_shape, pixel_size)
        return TiltAlignment(
            self.tilts, matrices, moved, image_shape, pixel_size, used=used, x_tilt=self.x_tilt, local=local
        )


def series_files(path: Path, root: Path) -> list[Path]:
    """Return the STAR files of the tilt series that ``path`` lists, or ``path`` where it is one itself."""
    blocks = read_star(path)
    for block in blocks.values():
        if listed := block.columns.get(_LISTED):
            return [Path(_lying(Path(name), root, path)) for name in listed]
    if any(_is_series(block) for block in blocks.values()):
        return [path]
    raise InputError(
        f"{path}: no column {_LISTED} nor rlnTomoNominalStageTiltAngle; give a STAR file of tilt series (RELION 5)"
    )


def series_of_star(path: Path, root: Path) -> StarSeries:
    """Read the STAR file of one tilt series; micrographs where it names them, else movies. Views come by angle."""
    name, block = next(((n, b) for n, b in read_star(path).items() if _is_series(b)), ("", Block()))
    columns = block.columns
    if not columns:
        raise InputError(f"{path}: no table with rlnTomoNominalStageTiltAngle; give the STAR file of a tilt series")
    named = columns.get("rlnMicrographName") or columns.get("rlnMicrographMovieName")
    if not named:
        raise InputError(f"{path}: neither rlnMicrographName nor rlnMicrographMovieName; it names no images")
    angles = _numbers(columns, "rlnTomoNominalStageTiltAngle", path)
    doses = _numbers(columns, "rlnMicrographPreExposure", path) if "rlnMicrographPreExposure" in columns else None
    defocus = _defocus(columns, path)
    nominal = _numbers(columns, "rlnTomoNominalDefocus", path) if "rlnTomoNominalDefocus" in columns else None
    order, dose = _order(columns, doses, path), _dose(doses)
    views = []
    for index, text in enumerate(named):
        section, _, file = text.rpartition("@")
        views.append(
            View(
                file=_lying(Path(file), root, path),
                section=int(section) - 1 if section else None,
                angle=float(angles[index]),
                order=None if order is None else int(order[index]),
                prior_dose=None if doses is None else float(doses[index]),
                dose=dose,
                defocus=defocus[index] if defocus else None,
                nominal_defocus=None if nominal is None else float(nominal[index]),
                movie=Path(columns["rlnMicrographMovieName"][index]).name
                if "rlnMicrographMovieName" in columns
                else "",
                even=_half(columns, "rlnMicrographNameEven", index, root, path),
                odd=_half(columns, "rlnMicrographNameOdd", index, root, path),
            )
        )
    row = _listed_row(path)
    sources = {"angles": str(path)} | ({"dose": "rlnMicrographPreExposure"} if doses is not None else {})
    # A micrograph has the pixel size of the series, a movie that of the original.
    key = "rlnTomoTiltSeriesPixelSize" if "rlnMicrographName" in columns else "rlnMicrographOriginalPixelSize"
    pixel_size = _one(row, key)
    if pixel_size is not None:
        sources["pixel_size"] = key
    voltage = _one(row, "rlnVoltage")
    if voltage is not None:
        sources["voltage"] = "rlnVoltage"
    axis = None
    if "rlnTomoNominalTiltAxisAngle" in columns:
        axis = float(_numbers(columns, "rlnTomoNominalTiltAxisAngle", path)[0])
        sources["axis"] = "rlnTomoNominalTiltAxisAngle"
    by_angle = np.argsort(angles, kind="stable")
    hand = _one(row, "rlnTomoHand")
    series = TiltSeries(
        path,
        tuple(views[i] for i in by_angle),
        pixel_size,
        axis,
        voltage,
        cs=_one(row, "rlnSphericalAberration"),
        amplitude_contrast=_one(row, "rlnAmplitudeContrast"),
        hand=None if hand is None else int(hand),
        sources=sources,
    )
    if not all(key in columns for key in _ALIGNED):
        return StarSeries(series, name)
    tilts, axes, x, y = (_numbers(columns, key, path)[by_angle] for key in _ALIGNED)
    x_tilts = _numbers(columns, "rlnTomoXTilt", path) if "rlnTomoXTilt" in columns else np.zeros(1)
    local = _lying(Path(columns[_LOCAL][0]), root, path) if _LOCAL in columns else None
    return StarSeries(series, name, tilts, axes, np.stack([x, y], 1), float(np.median(x_tilts)), local)


def _half(columns: dict[str, list[str]], key: str, index: int, root: Path, star: Path) -> Path | None:
    return _lying(Path(columns[key][index].rpartition("@")[2]), root, star) if key in columns else None


def _is_series(block: Block) -> bool:
    return "rlnTomoNominalStageTiltAngle" in block.columns


def _numbers(columns: dict[str, list[str]], key: str, path: Path) -> Array:
    try:
        values = np.array([float(text) for text in columns[key]])
    except ValueError as error:
        raise InputError(f"{path}: {key}: {error}; it should be a number in each row") from error
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {key} is NaN or infinite in a row; correct the file")
    return values


def _order(columns: dict[str, list[str]], doses: Array | None, path: Path) -> NDArray[np.intp] | None:
    """Return the rank in time of each view, among all that were taken where the file says so; else by dose."""
    if "rlnTomoTiltMovieIndex" in columns:
        return _numbers(columns, "rlnTomoTiltMovieIndex", path).astype(np.intp) - 1
    return None if doses is None else np.argsort(np.argsort(doses, kind="stable"), kind="stable")


def _dose(doses: Array | None) -> float | None:
    """Return the dose of a view, e-/Å²: the least by which those before two views differ; None where they don't."""
    steps = np.diff(np.unique(doses)) if doses is not None else np.zeros(0)
    return float(steps.min()) if len(steps) else None


def _defocus(columns: dict[str, list[str]], path: Path) -> list[Defocus] | None:
    keys = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
    if not all(key in columns for key in keys):
        return None
    phases = _numbers(columns, "rlnPhaseShift", path) if "rlnPhaseShift" in columns else np.zeros(len(columns[keys[0]]))
    rows = zip(*(_numbers(columns, key, path) for key in keys), phases, strict=True)
    return [Defocus(*(float(value) for value in row)) for row in rows]


def _lying(file: Path, root: Path, star: Path) -> Path:
    """Return where a file named in a STAR file is: under the project (``root``), else found from the STAR file up."""
    for folder in (root, *star.absolute().parents):
        if (folder / file).exists():
            return folder / file
    return root / file


def _listed_row(path: Path) -> dict[str, str]:
    """Return the row for this series in the STAR file one folder up that lists it: voltage, pixel size and others."""
    for candidate in sorted(path.absolute().parent.parent.glob("*.star")):
        try:
            blocks = read_star(candidate)
        except InputError:
            continue  # a STAR file of another kind is no concern of ours
        for block in blocks.values():
            for index, name in enumerate(block.columns.get(_LISTED, [])):
                if Path(name).name == path.name:
                    return {key: values[index] for key, values in block.columns.items()}
    return {}


def _one(row: dict[str, str], key: str) -> float | None:
    try:
        return float(row[key])
    except (KeyError, ValueError):
        return None


def write_tilt_series(
    path: Path,
    name: str,
    series: TiltSeries,
    alignment: TiltAlignment,
    frames: Sequence[int],
    as_given: Callable[[Path], str],
    local: Path | None = None,
) -> None:
    """Write the aligned views that are used, as RELION 5 has them, in the order they were taken where that is known.

    ``frames`` are those of each view's movie (1: none); ``as_given`` turns a path into one relative to the project;
    ``local`` is the file of local shifts, where there are any, which RELION passes over.
    """
    _, moved = tilt_inverse(alignment.matrices, alignment.shifts)
    shifts = moved * alignment.pixel_size
    rows = [index for index in range(len(series.views)) if alignment.used[index]]
    if all(series.views[i].order is not None for i in rows):
        rows.sort(key=lambda index: series.views[index].order or 0)
    columns: dict[str, list[Any]] = {
        "rlnMicrographName": [_named(series.views[i], series.views[i].file, as_given) for i in rows],
        "rlnTomoTiltMovieFrameCount": [frames[i] for i in rows],
        "rlnTomoNominalStageTiltAngle": [series.views[i].angle for i in rows],
        "rlnTomoXTilt": [float(alignment.x_tilt)] * len(rows),
        "rlnTomoYTilt": [float(alignment.specimen_angles[i]) for i in rows],
        "rlnTomoZRot": [float(alignment.axes[i]) for i in rows],
        "rlnTomoXShiftAngst": [round(float(shifts[i, 0]), 4) for i in rows],
        "rlnTomoYShiftAngst": [round(float(shifts[i, 1]), 4) for i in rows],
    }
    if series.axis is not None:
        columns["rlnTomoNominalTiltAxisAngle"] = [series.axis] * len(rows)
    if all(series.views[i].order is not None for i in rows):
        columns["rlnTomoTiltMovieIndex"] = [(series.views[i].order or 0) + 1 for i in rows]
    doses = series.prior_doses()
    if doses is not None:
        columns["rlnMicrographPreExposure"] = [float(doses[i]) for i in rows]
    nominal = [series.views[i].nominal_defocus for i in rows]
    if None not in nominal:
        columns["rlnTomoNominalDefocus"] = nominal
    defocus = [series.views[i].defocus for i in rows]
    if None not in defocus:
        known = [one for one in defocus if one is not None]
        columns["rlnDefocusU"] = [one.u for one in known]
        columns["rlnDefocusV"] = [one.v for one in known]
        columns["rlnCtfAstigmatism"] = [abs(one.u - one.v) for one in known]
        columns["rlnDefocusAngle"] = [one.angle for one in known]
        columns["rlnPhaseShift"] = [one.phase for one in known]
    for key, kind in (("rlnMicrographNameEven", "even"), ("rlnMicrographNameOdd", "odd")):
        halves = [getattr(series.views[i], kind) for i in rows]
        if None not in halves:
            columns[key] = [_named(series.views[i], half, as_given) for i, half in zip(rows, halves, strict=True)]
    if local is not None:
        columns[_LOCAL] = [as_given(local)] * len(rows)
    write_star(path, {name: columns})


def _named(view: View, file: Path, as_given: Callable[[Path], str]) -> str:
    return as_given(file) if view.section is None else f"{view.section + 1:06d}@{as_given(file)}"
