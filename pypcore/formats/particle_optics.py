"""Optics groups of particles: of ``data_optics`` in RELION 3.1 and newer, of the rows themselves in 3.0."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.star_table import StarTable
from pypcore.reconstruct.particles import Optics

Integers = npt.NDArray[np.int64]

_IDENTITY = {"00": 1.0, "01": 0.0, "10": 0.0, "11": 1.0}
_OPTICS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
_MORE_OPTICS = ("rlnBeamTiltX", "rlnBeamTiltY", "rlnCtfDataAreCtfPremultiplied", "rlnImageDimensionality")


def read_optics(document: Any, table: StarTable, pixel_size: float | None) -> tuple[tuple[Optics, ...], Integers]:
    """Return the optics groups and each particle's; ``pixel_size`` of the images, Å, overrides what the file says."""
    for block in document:
        if block.name == "optics":
            loop = next((item.loop for item in block if item.loop is not None), None)
            if loop is None:
                raise InputError(f"{table.path}: data_optics has no table")
            return _optics_groups(StarTable(table.path, block, loop), table, pixel_size)
    return _optics_of_rows(table, pixel_size)


def _optics_groups(
    groups: StarTable, table: StarTable, pixel_size: float | None
) -> tuple[tuple[Optics, ...], Integers]:
    """Read ``data_optics`` of version 3.1 and newer, and the group of each particle."""
    numbers = groups.numbers("rlnOpticsGroup").astype(np.int64)
    row_of = {int(number): row for row, number in enumerate(numbers)}
    wanted = table.numbers("rlnOpticsGroup").astype(np.int64)
    unknown = [int(number) for number in np.unique(wanted) if int(number) not in row_of]
    if unknown:
        raise InputError(f"{table.path}: particles are of optics group {unknown[0]}, which data_optics has not")
    if pixel_size is None:
        groups.need("rlnImagePixelSize", "the pixel size of the images is needed: give --pixel-size, in Å")
    sizes = np.full(groups.rows, pixel_size) if pixel_size else groups.numbers("rlnImagePixelSize")
    for name in _OPTICS:
        groups.need(name, "it decides the CTF")
    names = groups.text("rlnOpticsGroupName") if groups.has("rlnOpticsGroupName") else [str(n) for n in numbers]
    matrix = [groups.numbers(f"rlnMagMat{place}", default) for place, default in _IDENTITY.items()]
    odd, even = (_zernike(groups, name) for name in ("rlnOddZernike", "rlnEvenZernike"))
    columns = {name: groups.numbers(name, 0.0) for name in (*_OPTICS, *_MORE_OPTICS)}
    found = []
    for row in range(groups.rows):
        if columns["rlnImageDimensionality"][row] == 3:
            raise InputError(
                f"{table.path}: optics group {names[row]} has 3-D images (subtomograms); 2-D ones are needed"
            )
        m00, m01, m10, m11 = (float(one[row]) for one in matrix)
        found.append(
            Optics(
                pixel_size=_positive(table.path, "rlnImagePixelSize", sizes[row]),
                voltage=_positive(table.path, "rlnVoltage", columns["rlnVoltage"][row]),
                cs=float(columns["rlnSphericalAberration"][row]),
                amplitude_contrast=float(columns["rlnAmplitudeContrast"][row]),
                beam_tilt=(float(columns["rlnBeamTiltX"][row]), float(columns["rlnBeamTiltY"][row])),
                odd_zernike=odd[row],
                even_zernike=even[row],
                magnification=((m00, m01), (m10, m11)),
                images="premultiplied" if columns["rlnCtfDataAreCtfPremultiplied"][row] else "raw",
            )
        )
    return tuple(found), np.array([row_of[int(number)] for number in wanted], np.int64)


def _optics_of_rows(table: StarTable, pixel_size: float | None) -> tuple[tuple[Optics, ...], Integers]:
    """Make optics groups of what the rows of version 3.0 say of optics: one for each combination, as they come."""
    if pixel_size is not None:
        sizes = np.full(table.rows, pixel_size)
    elif table.has("rlnDetectorPixelSize") and table.has("rlnMagnification"):
        # µm on the detector over the magnification, in Å
        sizes = table.numbers("rlnDetectorPixelSize") * 1e4 / table.numbers("rlnMagnification")
    elif table.has("rlnImagePixelSize"):
        sizes = table.numbers("rlnImagePixelSize")
    else:
        raise InputError(
            f"{table.path}: says no pixel size (no data_optics, nor rlnDetectorPixelSize with rlnMagnification); "
            "give --pixel-size, in Å"
        )
    for name in _OPTICS:
        table.need(name, "it decides the CTF")
    names = (*_OPTICS, "rlnBeamTiltX", "rlnBeamTiltY")
    rows = np.stack([sizes, *(table.numbers(name, 0.0) for name in names)], axis=1)
    _, first, inverse = np.unique(rows.round(9), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    optics = []
    for row in first[order]:
        size, voltage, cs, amplitude, tilt_x, tilt_y = (float(value) for value in rows[row])
        size, voltage = _positive(table.path, "pixel size", size), _positive(table.path, "rlnVoltage", voltage)
        optics.append(Optics(size, voltage, cs, amplitude, (tilt_x, tilt_y)))
    return tuple(optics), rank[inverse.reshape(-1)]


def _positive(path: Path, name: str, value: float) -> float:
    if value <= 0:
        raise InputError(f"{path}: {name} is {value:g}; it must be greater than 0")
    return float(value)


def _zernike(groups: StarTable, name: str) -> list[tuple[float, ...]]:
    """Read RELION's ``[1.0,2.0,…]``; empty where there is none."""
    if not groups.has(name):
        return [()] * groups.rows
    found = []
    for text in groups.text(name):
        inner = text.strip().strip("[]")
        try:
            found.append(tuple(float(part) for part in inner.split(",")) if inner else ())
        except ValueError as error:
            raise InputError(f"{groups.path}: {name} is '{text}', not a list of numbers in brackets") from error
    return found


def image_sides(document: Any, path: Path, groups: int) -> tuple[int | None, ...]:
    """Return the side of each group's images, pixels; None where it is not said."""
    for block in document:
        if block.name == "optics":
            for item in block:
                if item.loop is not None and "_rlnImageSize" in item.loop.tags:
                    sides = StarTable(path, block, item.loop).numbers("rlnImageSize")
                    return tuple(int(side) for side in sides)
    return (None,) * groups
