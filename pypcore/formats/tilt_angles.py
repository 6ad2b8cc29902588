"""Files of tilt angles: ``.rawtlt`` as recorded, ``.tlt`` as refined; a line a view, degrees, IMOD's sense."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError

STEEPEST = 89.9  # degrees


def read_angles(path: Path) -> NDArray[np.float64]:
    """Return the angles, degrees, one for each line; raise InputError for what is no angle."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; it should have one angle in degrees on each line") from error
    angles = []
    for number, line in enumerate(lines, 1):
        if words := line.split():
            try:
                angle = float(words[0])
            except ValueError as error:
                raise InputError(f"{path}: line {number} is '{line.strip()[:40]}'; it should be an angle") from error
            if not abs(angle) <= STEEPEST:
                raise InputError(
                    f"{path}: line {number}: {words[0]} degrees; a tilt angle lies within ±{STEEPEST}: correct it"
                )
            angles.append(angle)
    if not angles:
        raise InputError(f"{path}: no angle in it; it should have one in degrees on each line")
    return np.array(angles)


def write_angles(path: Path, angles: Sequence[float] | NDArray[np.float64]) -> None:
    """Write angles, degrees, as IMOD's programs do."""
    path.write_text("".join(f"{angle:8.2f}\n" for angle in angles), encoding="ascii")


def check_angles(angles: NDArray[np.float64], source: object, *, sorted_by_angle: bool) -> None:
    """Raise InputError where the angles of ``source`` can't be a tilt series: all equal, or not in order.

    ``sorted_by_angle`` asks for angles that rise, or fall, from the first view to the last.
    """
    if len(angles) > 1 and np.ptp(angles) < 1:
        value = "0" if not np.any(angles) else f"between {angles.min():g} and {angles.max():g}"
        raise InputError(f"{source}: all {len(angles)} tilt angles are {value}; give the angles of the series")
    steps = np.diff(angles)
    if sorted_by_angle and len(angles) > 2:
        wrong = np.flatnonzero(steps * np.sign(np.median(steps) or 1) <= 0)
        if len(wrong):
            view = int(wrong[0]) + 2
            raise InputError(
                f"{source}: angle {view} ({angles[view - 1]:g}) comes after {angles[view - 2]:g}: not in order; "
                "a stack is sorted by angle: correct the file, or give --sort-angles if the views are in another order"
            )
