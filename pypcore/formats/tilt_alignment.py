"""Alignments of tilt series in files: IMOD's ``.xf`` with ``.tlt``, AreTomo's ``.aln``, local shifts beside them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.aretomo import Aln, read_aln, sections_from_zero, write_aln
from pypcore.formats.local_shifts import local_beside, read_local
from pypcore.formats.tilt_angles import read_angles, write_angles
from pypcore.formats.tilt_series import TiltSeries
from pypcore.formats.xf import read_xf, write_xf
from pypcore.geometry import tilt_inverse, tilt_rotation
from pypcore.tilts.alignment import TiltAlignment


def find_alignment(folder: Path, name: str) -> Path | None:
    """Return ``NAME.xf`` where its ``NAME.tlt`` is there too, else ``NAME.aln``; None where neither is."""
    xf = folder / f"{name}.xf"
    if xf.is_file() and xf.with_suffix(".tlt").is_file():
        return xf
    aln = folder / f"{name}.aln"
    return aln if aln.is_file() else None


def read_alignment(path: Path, series: TiltSeries, image_shape: tuple[int, int], pixel_size: float) -> TiltAlignment:
    """Read the alignment of ``series`` from an ``.xf``, with the ``.tlt`` beside it, or an ``.aln``.

    The rows of an .xf are those of the stack; views that are not in an .aln aren't used. ``image_shape`` (y, x) and
    ``pixel_size`` (Å) are those of the images. Local shifts that lie beside it (``NAME_local.star``) belong to it.
    Raises InputError where it is the alignment of another series.
    """
    whole = _read_whole(path, series, image_shape, pixel_size)
    local = local_beside(path)
    if local is None:
        return whole
    return replace(whole, local=read_local(local, series.angles, whole.used, image_shape, pixel_size))


def _read_whole(path: Path, series: TiltSeries, image_shape: tuple[int, int], pixel_size: float) -> TiltAlignment:
    order = series.stack_order()
    if path.suffix == ".aln":
        return _of_aln(path, series, order, image_shape, pixel_size)
    matrices, shifts = read_xf(path)
    angles = read_angles(path.with_suffix(".tlt"))
    for file, count in ((path, len(matrices)), (path.with_suffix(".tlt"), len(angles))):
        if count != len(order):
            raise InputError(f"{file}: {count} lines for the {len(order)} views of {series.path}; they must be as many")
    place = np.argsort(order)  # the row of each view
    return TiltAlignment(angles[place], matrices[place], shifts[place], image_shape, pixel_size, used=series.used)


def _of_aln(
    path: Path, series: TiltSeries, order: "np.typing.NDArray[np.intp]", image_shape: tuple[int, int], pixel_size: float
) -> TiltAlignment:
    aln = read_aln(path)
    if aln.size != image_shape[::-1]:
        raise InputError(
            f"{path}: of images of {aln.size[0]} x {aln.size[1]} pixels, but those of {series.path} have "
            f"{image_shape[1]} x {image_shape[0]}; is it of a binned stack?"
        )
    try:
        rows = order[sections_from_zero(aln, series.angles[order])]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    angles, axes = series.angles.copy(), np.full(len(order), float(np.median(aln.axes)))
    shifts, used = np.zeros((len(order), 2)), np.zeros(len(order), bool)
    angles[rows], axes[rows], used[rows] = aln.tilts, aln.axes, True
    matrices = tilt_rotation(axes)
    matrices[rows], shifts[rows] = aln.transforms()
    return TiltAlignment(angles, matrices, shifts, image_shape, pixel_size, used=used & series.used)


def write_xf_and_tlt(xf: Path, tlt: Path, series: TiltSeries, alignment: TiltAlignment) -> None:
    """Write a line for each view in the order of the stack; those not used have theirs too, as IMOD's have."""
    order = series.stack_order()
    write_xf(xf, alignment.matrices[order], alignment.shifts[order])
    write_angles(tlt, alignment.specimen_angles[order])


def aln_of(series: TiltSeries, alignment: TiltAlignment) -> Aln:
    """Return what AreTomo would have written for this alignment."""
    order = series.stack_order()
    used = [row for row, view in enumerate(order) if alignment.used[view]]
    views = order[used]
    _, specimen = tilt_inverse(alignment.matrices, alignment.shifts)
    height, width = alignment.image_shape
    return Aln(
        size=(width, height),
        views=len(order),
        sections=np.array(used),
        axes=alignment.axes[views],
        shifts=specimen[views],
        tilts=alignment.specimen_angles[views],
        dark={row: float(series.views[view].angle) for row, view in enumerate(order) if not alignment.used[view]},
    )


__all__ = ["aln_of", "find_alignment", "read_alignment", "write_aln", "write_xf_and_tlt"]
