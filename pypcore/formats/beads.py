"""Gold beads in files: IMOD's fiducial model as text, and a STAR file with residuals."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.formats.star import write_star

Array = NDArray[np.float64]


def write_fiducials(path: Path, points: Array, image_shape: tuple[int, int]) -> None:
    """Write ``points`` [T, J, 2] (x, y) px from the centre of raw views of ``image_shape`` (y, x), NaN where unseen.

    A line a point: the number of the contour (a bead, from 1), x, y, and the view from 0. The middle of the first
    pixel is at 0.5, as in IMOD's models; ``point2model -image STACK FILE NAME.fid`` makes one of it.
    """
    lines = []
    for j in range(points.shape[1]):
        for t in np.flatnonzero(np.isfinite(points[:, j, 0])):
            x, y = points[t, j] + np.array(image_shape[::-1]) / 2
            lines.append(f"{j + 1:6d} {x:11.3f} {y:11.3f} {t:6d}\n")
    path.write_text("".join(lines), encoding="ascii")


def write_bead_table(
    path: Path,
    places: Array,
    points: Array,
    residual: Array,
    left_out: Array,
    counted: NDArray[np.bool_],
    steady: NDArray[np.bool_],
    image_shape: tuple[int, int],
    pixel_size: float,
) -> None:
    """Write the tables ``beads`` (a row a bead) and ``points`` (a row a point), as a STAR file.

    ``places`` [J, 3] (X, Y, Z) px from the specimen's centre become Å. ``residual`` [T, J, 2] px: seen less expected,
    as recorded; ``left_out`` the same, expected by all other points, empty (nan) where none is known. Pixels count from
    0 at the middle of the first.
    """
    seen = np.isfinite(points[..., 0])
    lengths = np.linalg.norm(residual, axis=2)
    beads: dict[str, Any] = {
        "pypcoreBead": [j + 1 for j in range(len(places))],
        **{f"pypcoreBead{name}Angst": _round(places[:, k] * pixel_size) for k, name in enumerate("XYZ")},
        "pypcoreBeadViews": [int(n) for n in seen.sum(0)],
        "pypcoreBeadResidualAngst": _round(
            [np.sqrt((lengths[seen[:, j], j] ** 2).mean()) * pixel_size for j in range(len(places))]
        ),
        "pypcoreBeadSteady": [int(one) for one in steady],
    }
    bead, view = np.nonzero(seen.T)
    pixels = points + (np.array(image_shape[::-1]) / 2 - 0.5)
    table: dict[str, Any] = {"pypcoreBead": [int(j) + 1 for j in bead], "pypcoreView": [int(t) + 1 for t in view]}
    for k, name in enumerate("XY"):
        table[f"pypcorePoint{name}"] = _round(pixels[view, bead, k])
    for k, name in enumerate("XY"):
        table[f"pypcoreResidual{name}Angst"] = _round(residual[view, bead, k] * pixel_size)
    table["pypcoreLeftOutAngst"] = _round(np.linalg.norm(left_out[view, bead], axis=1) * pixel_size)
    table["pypcorePointCounted"] = [int(one) for one in counted[view, bead]]
    write_star(path, {"beads": beads, "points": table})


def _round(values: Any) -> list[float]:
    return [round(float(value), 3) for value in values]
