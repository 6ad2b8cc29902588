"""Defocus of the views of a tilt series from text files of CTFFIND 4 and 5, and of AreTomo (``_CTF.txt``)."""

from dataclasses import dataclass
from math import degrees
from pathlib import Path

from pypcore.errors import InputError


@dataclass(frozen=True)
class Defocus:
    """Defocus of one view: ``u`` and ``v`` in Å, underfocus above 0; ``angle`` of u, degrees from +x towards +y.

    ``phase`` is the shift of a phase plate, degrees.
    """

    u: float
    v: float
    angle: float
    phase: float = 0.0

    @property
    def mean(self) -> float:
        """Mean defocus, Å."""
        return (self.u + self.v) / 2


def read_ctffind(path: Path) -> dict[int, Defocus]:
    """Return the defocus of each view by its number, from 1, as the file counts them.

    A line has seven numbers: view, defocus 1 and 2 in Å, azimuth in degrees, phase shift in radian, score, resolution
    in Å; later programs add columns, which are passed over. Raises InputError for another file.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    found: dict[int, Defocus] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            view, u, v, angle, phase = (float(word) for word in words[:5])
        except ValueError as error:
            raise InputError(
                f"{path}: line {number} is '{line.strip()[:50]}'; 'view defocus1 defocus2 azimuth phase …' is expected"
            ) from error
        if not max(abs(u), abs(v)) < 1e6:
            raise InputError(f"{path}: line {number}: a defocus of {u:g}, {v:g} Å; it should be within 100 µm")
        if int(view) in found:
            raise InputError(f"{path}: line {number}: view {int(view)} once more; each has one line")
        found[int(view)] = Defocus(u, v, angle, degrees(phase))
    if not found:
        raise InputError(f"{path}: no defocus in it; a line for each view is expected, as CTFFIND writes it")
    return found
