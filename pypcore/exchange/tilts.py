"""Tilt series and their alignments between RELION 5, IMOD, AreTomo and Warp, without their images."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.exchange.result import Exchanged
from pypcore.formats.aretomo import Aln, read_aln, sections_from_zero, write_aln
from pypcore.formats.relion_tomo import series_files, series_of_star, write_tilt_series
from pypcore.formats.star import read_star, write_star
from pypcore.formats.tilt_alignment import aln_of, write_xf_and_tlt
from pypcore.formats.tilt_angles import read_angles, write_angles
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.formats.warp_xml import read_warp_xml
from pypcore.formats.xf import read_xf
from pypcore.geometry import tilt_rotation
from pypcore.tilts.alignment import TiltAlignment

TARGETS = ("imod", "aretomo", "relion")
SUFFIXES = (".star", ".aln", ".xf", ".tlt", ".rawtlt", ".xml")


@dataclass(frozen=True)
class Described:
    """A tilt series as a file describes it. ``size`` is (width, height) of the raw images, None where not said.

    ``pixel_size`` in Å, None where not said: an .xf and an .aln are in pixels.
    """

    name: str
    series: TiltSeries
    alignment: TiltAlignment | None
    size: tuple[int, int] | None
    pixel_size: float | None


def read_series(path: Path, root: Path, size: tuple[int, int] | None, pixel_size: float | None) -> list[Described]:
    """Read the series that a STAR, .aln, .xf (with .tlt), .tlt, .rawtlt or Warp XML describes.

    ``root``: where paths in a STAR start. ``size`` (width, height), px, and ``pixel_size``, Å, win over what files say.
    """
    match path.suffix.lower():
        case ".star":
            return [_of_star(Path(file), root, size, pixel_size) for file in series_files(path, root)]
        case ".aln":
            return [_of_aln(path, pixel_size)]
        case ".xf":
            return [_of_xf(path, size, pixel_size)]
        case ".tlt" | ".rawtlt":
            series = TiltSeries(path, _views(path, read_angles(path)), pixel_size)
            return [Described(path.stem, series, None, size, pixel_size)]
        case ".xml":
            return [_of_warp(path, pixel_size)]
    raise InputError(f"{path}: none of {', '.join(SUFFIXES)}")


def write_as(target: str, described: Described, folder: Path, result: Exchanged, *, root: Path, force: bool) -> None:
    """Write one series for a program: ``imod`` (.xf, .tlt, .rawtlt), ``aretomo`` (.aln), ``relion`` (a STAR).

    Paths in a STAR are relative to ``root`` where they lie below it.
    """
    name, series, alignment = described.name, described.series, described.alignment
    if target == "imod":
        order = series.stack_order()
        if alignment is not None:
            xf, tlt = (result.place(folder, f"{name}{end}", force=force) for end in (".xf", ".tlt"))
            write_xf_and_tlt(xf, tlt, series, alignment)
        write_angles(result.place(folder, f"{name}.rawtlt", force=force), series.angles[order])
        if left_out := [f"{row + 1}" for row, view in enumerate(order) if not series.used[view]]:
            result.notes.append(f"{name}: views {','.join(left_out)} are left out (--exclude-views)")
        return
    if alignment is None:
        raise InputError(f"{series.path}: has no alignment, which {target} needs")
    if target == "aretomo":
        if described.size is None:
            raise InputError(f"{series.path}: an .aln has the size of the raw images; give it with --image-size X,Y")
        write_aln(result.place(folder, f"{name}.aln", force=force), aln_of(series, alignment))
        return
    if described.pixel_size is None:
        raise InputError(
            f"{series.path}: RELION's shifts are in Å; give the pixel size of the raw images (--pixel-size)"
        )
    path = result.place(folder, f"tilt_series/{name}.star", force=force)
    write_tilt_series(
        path,
        name,
        series,
        alignment,
        [1] * len(series.views),
        lambda image: str(image.relative_to(root) if image.is_relative_to(root) else image),
    )


def write_listing(described: list[Described], folder: Path, result: Exchanged, *, force: bool) -> None:
    """Write ``tilt_series.star``, which lists the series for RELION."""
    columns: dict[str, list[object]] = {
        "rlnTomoName": [one.name for one in described],
        "rlnTomoTiltSeriesStarFile": [str(folder / f"tilt_series/{one.name}.star") for one in described],
        "rlnVoltage": [one.series.voltage for one in described],
        "rlnSphericalAberration": [one.series.cs for one in described],
        "rlnAmplitudeContrast": [one.series.amplitude_contrast for one in described],
        "rlnMicrographOriginalPixelSize": [one.pixel_size for one in described],
        "rlnTomoTiltSeriesPixelSize": [one.pixel_size for one in described],
        "rlnTomoHand": [one.series.hand for one in described],
    }
    missing = [key for key, values in columns.items() if None in values]
    if missing:
        result.notes.append(f"not known, and left out of tilt_series.star: {', '.join(missing)}")
    kept = {key: values for key, values in columns.items() if key not in missing}
    write_star(result.place(folder, "tilt_series.star", force=force), {"global": kept})  # type: ignore[dict-item]


def _of_star(path: Path, root: Path, size: tuple[int, int] | None, pixel_size: float | None) -> Described:
    star = series_of_star(path, root)
    pixel = pixel_size or star.series.pixel_size
    if pixel is None and star.tilts is not None:
        raise InputError(f"{path}: no pixel size in it or in the STAR that lists it; give it (--pixel-size, in Å)")
    size = size or _size_of(star.series.views[0].file)
    shape = (size[1], size[0]) if size else (1, 1)
    alignment = star.alignment(shape, pixel) if pixel is not None else None
    return Described(star.name or path.stem, star.series, alignment, size, pixel)


def _of_aln(path: Path, pixel_size: float | None) -> Described:
    """Read an .aln by itself, dark views too: the angles beside it tell which is which, else its own, all by angle."""
    aln = read_aln(path)
    angles = _angles_of(aln, path)
    try:
        rows = sections_from_zero(aln, angles)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    axes = np.full(aln.views, float(np.median(aln.axes)))
    shifts, used = np.zeros((aln.views, 2)), np.zeros(aln.views, bool)
    stage = angles.copy()
    angles[rows], axes[rows], used[rows] = aln.tilts, aln.axes, True
    matrices = tilt_rotation(axes)
    matrices[rows], shifts[rows] = aln.transforms()
    width, height = aln.size
    found = TiltAlignment(angles, matrices, shifts, (height, width), pixel_size or 1.0, used=used)
    views = tuple(
        replace(view, excluded="" if used[row] else "dark, says AreTomo")
        for row, view in enumerate(_views(path, stage))
    )
    axis = float(np.median(aln.axes))
    return Described(path.stem, TiltSeries(path, views, pixel_size, axis), found, aln.size, pixel_size)


def _angles_of(aln: Aln, path: Path) -> NDArray[np.float64]:
    """Return the stage's angle of each view of the stack."""
    for beside in (path.with_suffix(".rawtlt"), path.with_suffix(".tlt")):
        if beside.is_file() and len(angles := read_angles(beside)) == aln.views:
            return angles
    listed = [*aln.tilts.tolist(), *aln.dark.values()]
    if len(listed) != aln.views:
        raise InputError(
            f"{path}: lists {len(listed)} of {aln.views} views, dark ones among them; put the angles of all beside it "
            f"as {path.stem}.rawtlt"
        )
    falling = len(aln.tilts) > 1 and aln.tilts[0] > aln.tilts[-1]
    return np.array(sorted(listed, reverse=bool(falling)))


def _of_xf(path: Path, size: tuple[int, int] | None, pixel_size: float | None) -> Described:
    matrices, shifts = read_xf(path)
    tlt = path.with_suffix(".tlt")
    angles = read_angles(tlt)
    if len(angles) != len(matrices):
        raise InputError(f"{tlt}: {len(angles)} lines for the {len(matrices)} of {path.name}; they must be as many")
    shape = (size[1], size[0]) if size else (1, 1)
    found = TiltAlignment(angles, matrices, shifts, shape, pixel_size or 1.0)
    raw = path.with_suffix(".rawtlt")
    stage = read_angles(raw) if raw.is_file() else angles
    series = TiltSeries(path, _views(path, stage if len(stage) == len(angles) else angles), pixel_size)
    return Described(path.stem, series, found, size, pixel_size)


def _of_warp(path: Path, pixel_size: float | None) -> Described:
    """Read Warp's XML: angles in IMOD's sense, the doses, which tilts are used, and the defocus where there is one."""
    warp = read_warp_xml(path)
    sign = -1.0 if warp.inverted else 1.0
    used = warp.used or [True] * len(warp.angles)
    rank = np.argsort(np.argsort(warp.doses, kind="stable"), kind="stable") if warp.doses else None
    views = tuple(
        View(
            file=Path(warp.movies[row]) if row < len(warp.movies) else path,
            section=None,
            angle=sign * angle,
            order=None if rank is None else int(rank[row]),
            defocus=warp.defocus[row] if warp.defocus else None,
            movie=warp.movies[row] if row < len(warp.movies) else "",
            excluded="" if used[row] else "not used in Warp",
        )
        for row, angle in enumerate(warp.angles)
    )
    return Described(path.stem, TiltSeries(path, views, pixel_size), None, None, pixel_size)


def _views(path: Path, angles: NDArray[np.float64]) -> tuple[View, ...]:
    """Return a view a section of the stack that an alignment is of; only its name is known."""
    stack = path.with_suffix(".st")
    return tuple(View(stack, row, float(angle)) for row, angle in enumerate(angles))


def _size_of(path: Path) -> tuple[int, int] | None:
    from pypcore.formats.movies import open_movie

    if not path.is_file():
        return None
    try:
        with open_movie(path, least=1, eer_group=1) as image:
            return image.shape[2], image.shape[1]
    except InputError:
        return None


def is_tilt_star(path: Path) -> bool:
    """Say whether a STAR file is of tilt series, or lists some."""
    names = ("rlnTomoTiltSeriesStarFile", "rlnTomoNominalStageTiltAngle")
    return any(name in block.columns for block in read_star(path).values() for name in names)
