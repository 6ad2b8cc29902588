"""AreTomo's ``.aln``: read, and turned into IMOD's ``.xf`` and ``.tlt``.

A row is a section that was kept: ROT is the tilt axis counter-clockwise from y (degrees), TX and TY the displacement in
unbinned pixels of the raw section. IMOD's transform is aligned = A (raw - centre) + D + centre with
A a turn by -ROT and D = A (-TX, -TY), as AreTomo's own -OutImod writes it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TiltAlignment:
    """``size`` (width, height, sections) of the raw series; ``sections`` kept, from 0; for each the tilt axis and
    tilt (degrees) and the displacement (x, y) in unbinned pixels; ``dark`` are the sections left out."""

    size: tuple[int, int, int]
    sections: npt.NDArray[np.int64]
    axis: Floats
    tilt: Floats
    shift: Floats
    dark: tuple[int, ...]

    def transforms(self) -> Floats:
        """Return IMOD's transforms of the kept sections: rows of A11 A12 A21 A22 DX DY."""
        turn = np.deg2rad(-self.axis)
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = -self.shift.T
        return np.stack([cos, -sin, sin, cos, cos * x - sin * y, sin * x + cos * y], axis=1)


def read_aln(path: Path, first_section: int) -> TiltAlignment:
    """Read an ``.aln``; sections count from ``first_section`` in it: 0 in AreTomo2's, 1 in AreTomo3's."""
    size, dark, rows = (0, 0, 0), list[int](), list[list[float]]()
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.replace("=", " ").split()
            if "RawSize" in words[:2]:
                size = (int(words[2]), int(words[3]), int(words[4]))
            elif "DarkFrame" in words[:2]:
                dark.append(int(words[3]) - first_section)
            elif line.startswith("# Local"):
                break
            elif words and not words[0].startswith("#"):
                rows.append([float(word) for word in words[:10]])
        table = np.array(rows).reshape(-1, 10)
    except (OSError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not an alignment of AreTomo ({error})") from error
    if not size[2] or not len(table):
        raise InputError(f"{path}: not an alignment of AreTomo (no RawSize, or no row)")
    sections = table[:, 0].astype(np.int64) - first_section
    return TiltAlignment(size, sections, table[:, 1], table[:, 9], table[:, 3:5], tuple(dark))


def write_xf(path: Path, alignment: TiltAlignment) -> None:
    """Write the kept sections' transforms, in the order of the rows."""
    lines = (
        "".join(f"{value:12.7f}" for value in row[:4]) + f"{row[4]:12.3f}{row[5]:12.3f}"
        for row in alignment.transforms()
    )
    path.write_text("".join(f"{line}\n" for line in lines))


def write_tlt(path: Path, alignment: TiltAlignment) -> None:
    """Write the kept sections' tilts, degrees, in the order of the rows."""
    path.write_text("".join(f"{tilt:8.2f}\n" for tilt in alignment.tilt))
