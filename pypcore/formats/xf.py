"""IMOD's transforms of the views of a tilt series, ``.xf``: a line a view, ``A11 A12 A21 A22 DX DY``.

``aligned = A (raw - centre) + D + centre``, (x, y) in pixels of the raw image: see ``pypcore.geometry``.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError

Array = NDArray[np.float64]


def read_xf(path: Path) -> tuple[Array, Array]:
    """Return the matrices [view, 2, 2] and the shifts [view, (x, y)], pixels; raise InputError for another file."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; a line of an .xf is six numbers") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if words := line.split():
            try:
                row = [float(word) for word in words]
            except ValueError:
                row = []
            if len(row) != 6 or not np.isfinite(row).all():
                raise InputError(f"{path}: line {number} is '{line.strip()[:60]}'; a line of an .xf is six numbers")
            if abs(row[0] * row[3] - row[1] * row[2]) < 1e-3:
                raise InputError(f"{path}: line {number}: a matrix that flattens the view; make the alignment again")
            rows.append(row)
    if not rows:
        raise InputError(f"{path}: no transform in it; a line of an .xf is six numbers")
    table = np.array(rows)
    return table[:, :4].reshape(-1, 2, 2), table[:, 4:]


def write_xf(path: Path, matrices: Array, shifts: Array) -> None:
    """Write matrices [view, 2, 2] and shifts [view, (x, y)], pixels, as IMOD's programs do."""
    rows = np.hstack([np.asarray(matrices).reshape(-1, 4), np.asarray(shifts)])
    text = "".join(
        "".join(f"{v:12.7f}" for v in row[:4]) + "".join(f"{v:12.3f}" for v in row[4:]) + "\n" for row in rows
    )
    path.write_text(text, encoding="ascii")
