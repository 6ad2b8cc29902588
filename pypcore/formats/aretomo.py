"""Alignments as AreTomo 2 and 3 write them: ``.aln``.

The axis (ROT) is in degrees counter-clockwise from +y; TX and TY are where in the raw image the specimen's centre is,
in pixels of the raw image from its centre, so that an .xf has ``D = -A (TX, TY)``. SEC is the section of the
stack. AreTomo's centre is N/2, ours and IMOD's N/2 - 0.5: half a pixel of the
raw image, which is left as it is.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.geometry import tilt_rotation

Array = NDArray[np.float64]
_HEADER = re.compile(r"#\s*(\w+)\s*=\s*(.*)")
_LOOSE = 3.0  # degrees by which refined tilts may differ from the stage's, beyond one offset for all
_COLUMNS = "# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT"


@dataclass(frozen=True)
class Aln:
    """The global part of an alignment: a row for each view that is used.

    ``sections`` are their numbers in a stack of ``views`` (see ``sections_from_zero``); ``dark`` has the tilt of those
    left out, by their numbers of the same kind. ``axes`` and ``tilts`` in degrees, ``shifts`` [row, (x, y)] in
    px as AreTomo has them; ``size`` is (width, height) of the raw image.
    """

    size: tuple[int, int]
    views: int
    sections: NDArray[np.intp]
    axes: Array
    shifts: Array
    tilts: Array
    dark: dict[int, float] = field(default_factory=dict)
    patches: int = 0

    def transforms(self) -> tuple[Array, Array]:
        """Return what an .xf has for each row: matrices [row, 2, 2] and shifts [row, (x, y)], px."""
        matrices = tilt_rotation(self.axes)
        return matrices, -np.einsum("nij,nj->ni", matrices, self.shifts)


def read_aln(path: Path) -> Aln:
    """Read an alignment; raise InputError where it is none. Of a local alignment only the number of patches is kept."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    header: dict[str, list[list[str]]] = {}
    rows = []
    for number, line in enumerate(lines, 1):
        if line.lstrip("# ").startswith("Local Alignment"):
            break
        if line.startswith("#"):
            if found := _HEADER.match(line):
                header.setdefault(found[1], []).append(found[2].split())
            continue
        if words := line.split():
            try:
                row = [float(word) for word in words]
            except ValueError:
                row = []
            if len(row) != 10:
                raise InputError(f"{path}: line {number} is '{line.strip()[:50]}'; a line of an .aln is ten numbers")
            rows.append(row)
    try:
        width, height, views = (int(word) for word in header["RawSize"][0])
        dark = _dark(header.get("DarkFrame", []))
        patches = int(header.get("NumPatches", [["0"]])[0][0])
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: no '# RawSize = width height views' as AreTomo writes it; is it an .aln?") from error
    if not rows:
        raise InputError(f"{path}: no view in it; is it an .aln of AreTomo?")
    table = np.array(rows)
    sections = table[:, 0].astype(np.intp)
    if len(set(sections.tolist())) != len(sections):
        raise InputError(f"{path}: a section is named twice; make the alignment again")
    return Aln(
        size=(width, height),
        views=views,
        sections=sections,
        axes=table[:, 1],
        shifts=table[:, 3:5],
        tilts=table[:, 9],
        dark=dark,
        patches=patches,
    )


def _dark(lines: list[list[str]]) -> dict[int, float]:
    """Return the tilts of dark frames by number: the second, or the first where some versions write 0 for all."""
    column = 1 if len({words[1] for words in lines}) == len(lines) else 0
    return {int(words[column]): float(words[-1]) for words in lines}


def sections_from_zero(aln: Aln, angles: Array) -> NDArray[np.intp]:
    """Return the section of each row, from 0, in a stack with these ``angles`` (degrees, by section).

    Versions count from 0 or from 1, all views or only those that are not dark: what fits the angles up to one offset
    for all, the smaller one, is what was meant.
    """
    every = np.arange(len(angles))
    dark = {int(np.abs(angles - tilt).argmin()) for tilt in aln.dark.values()}
    kept = np.array([view for view in every if view not in dark], np.intp)
    fits: list[tuple[float, float, int]] = []
    ways: list[NDArray[np.intp]] = []
    for views in (every, kept) if dark else (every,):
        for base in (0, 1):
            sections = aln.sections - base
            if sections.min() >= 0 and sections.max() < len(views):
                differences = aln.tilts - angles[views[sections]]
                spread = round(float(np.ptp(differences)), 1)
                fits.append((spread, round(abs(float(np.median(differences))), 3), len(ways)))
                ways.append(views[sections])
    if not fits or min(fits)[0] > _LOOSE:
        raise InputError(
            f"alignment of sections {aln.sections.min()} to {aln.sections.max()}: they and their tilts don't fit the "
            f"{len(angles)} views of the series; is the .aln of another series?"
        )
    return ways[min(fits)[2]]


def write_aln(path: Path, aln: Aln) -> None:
    """Write an alignment as AreTomo 3 does, for ``-Cmd 2`` and for programs that read it; without a local part."""
    lines = [
        "# AreTomo Alignment / Priims bprmMn",
        f"# RawSize = {aln.size[0]} {aln.size[1]} {aln.views}",
        "# NumPatches = 0",
        *(f"# DarkFrame =  {section:4d} {section:4d} {tilt:8.2f}" for section, tilt in sorted(aln.dark.items())),
        "# AlphaOffset =     0.00",
        "# BetaOffset =     0.00",
        _COLUMNS,
    ]
    for section, axis, (x, y), tilt in zip(aln.sections, aln.axes, aln.shifts, aln.tilts, strict=True):
        factors = f"{1:7.2f}  {1:7.2f}  {1:7.2f}  {0:7.2f}"
        lines.append(f"{section:5d}  {axis:9.4f}  {1:9.5f}  {x:9.3f}  {y:9.3f}  {factors}  {tilt:8.2f}")
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
