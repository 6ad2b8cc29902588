"""Coordinates of particles as RELION keeps them: a STAR file an image, and one that lists these files.

``rlnCoordinateX``, ``Y``, ``Z`` are pixels of the image (voxels of the tomogram) counted from 0: a particle at
(x, y) is centred on pixel x of row y, rows in MRC order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.star import read_star, write_star

_AXES = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
_SCORES = ("rlnAutopickFigureOfMerit", "rlnLCCmax")
_NAMES = ("rlnMicrographName", "rlnTomoName")


@dataclass(frozen=True)
class Picks:
    """Points [n, (x, y)] or [n, (x, y, z)] in pixels, and a score for each (empty: none)."""

    points: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


def write_picks(path: Path, picks: Picks) -> None:
    """Write one image's coordinates, best score first as they come."""
    columns = {name: picks.points[:, axis].tolist() for axis, name in enumerate(_AXES[: picks.points.shape[1]])}
    if len(picks.scores):
        columns["rlnAutopickFigureOfMerit"] = picks.scores.tolist()
    write_star(path, {"coordinates": columns})


def read_picks(path: Path, image: str = "") -> Picks:
    """Read coordinates; of a file for many images those of ``image`` (its path or its name); InputError else."""
    for block in read_star(path).values():
        if _AXES[0] not in block.columns:
            continue
        try:
            axes = [np.array(block.columns[name], float) for name in _AXES if name in block.columns]
            scores = next(
                (np.array(block.columns[name], float) for name in _SCORES if name in block.columns), np.zeros(0)
            )
        except ValueError as error:
            raise InputError(f"{path}: a coordinate that is no number ({error})") from error
        if len(axes) < 2:
            raise InputError(f"{path}: has rlnCoordinateX, but no rlnCoordinateY")
        points = np.stack(axes, axis=1)
        names = next((block.columns[name] for name in _NAMES if name in block.columns), None)
        if names is not None and image:
            mine = np.array([same_image(name, image) for name in names], bool)
            return Picks(points[mine], scores[mine] if len(scores) else scores)
        return Picks(points, scores)
    raise InputError(f"{path}: no table in it has a column rlnCoordinateX")


def read_all_picks(path: Path, images: Sequence[str], root: Path) -> dict[str, Picks]:
    """Read the coordinates of each of ``images``: ``path`` lists their files (RELION's coordinate_files), is one
    STAR for all, or a folder of NAME.star files. An image without coordinates is left out."""
    if path.is_dir():
        files = {image: path / f"{Path(image).stem}.star" for image in images}
        return {image: read_picks(file) for image, file in files.items() if file.is_file()}
    for block in read_star(path).values():
        if "rlnMicrographCoordinates" in block.columns:
            listed = list(
                zip(block.columns["rlnMicrographName"], block.columns["rlnMicrographCoordinates"], strict=True)
            )
            found = {}
            for image in images:
                file = next((file for name, file in listed if same_image(name, image)), None)
                if file is not None:
                    found[image] = read_picks(root / file)
            return found
    found = {image: read_picks(path, image) for image in images}
    return {image: picks for image, picks in found.items() if len(picks.points)}


def same_image(name: str, image: str) -> bool:
    """Say whether two names mean one image: one ends like the other, folder by folder; a bare stem is enough."""
    a, b = Path(name).with_suffix("").parts, Path(image).with_suffix("").parts
    shared = min(len(a), len(b))
    return a[-shared:] == b[-shared:]
