"""The motion of one movie in full, as a STAR file that people and programs can read.

Displacements (where the specimen went; RELION's shifts have the other sign) in Å, relative to the first frame used;
places in pixels of the movie, from 0 at the centre of the first pixel, MRC row order; frames from 1. The feature at
(x, y) in the first frame used is in frame t at (x, y) plus ``frames[t]`` plus a cubic spline through ``nodes[t]``.

``data_general``: sizes, pixel size, frames used. ``data_frames``: a row a frame: displacement of the whole frame,
posterior rms error of the motion about its mean over time (2-D), way gone during the exposure, share of the signal
that the frame has. ``data_nodes``: a row a frame and node of a grid: displacement there beyond the whole frame's.
``data_patches``: a row a patch: its centre, signal power (1 on average) and misfit (1 is usual; above 3 it was held
back). Names that are not RELION's begin with pypcore.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.star import read_star, write_star

Floats = npt.NDArray[np.float64]
VERSION = 1


@dataclass(frozen=True)
class FullMotion:
    """A motion field and what is known of its quality; displacements in Å, components (y, x)."""

    movie: str
    shape: tuple[int, int]  # height, width, px
    pixel_size: float  # Å, of the movie
    first: int  # frame used, from 1
    whole: Floats  # [T, 2]
    grid_y: Floats  # [gy], px
    grid_x: Floats  # [gx]
    local: Floats  # [T, 2, gy, gx]; gy = gx = 1 and 0 where the frame moves as one
    error: Floats  # [T], NaN where nothing was found
    travel: Floats  # [T]
    quality: Floats  # [T]
    patches: Floats  # [P, (y px, x px, power, misfit)]


def write_field(path: Path, motion: FullMotion) -> None:
    """Write the field, rounded to 1e-4 Å."""
    count, gy, gx = len(motion.whole), motion.grid_y.size, motion.grid_x.size
    frames = np.arange(count) + motion.first
    frame, y, x = (a.ravel() for a in np.meshgrid(frames, motion.grid_y, motion.grid_x, indexing="ij"))
    blocks: dict[str, Any] = {
        "general": {
            "pypcoreFieldVersion": VERSION,
            "rlnMicrographMovieName": motion.movie,
            "rlnImageSizeX": motion.shape[1],
            "rlnImageSizeY": motion.shape[0],
            "rlnMicrographOriginalPixelSize": motion.pixel_size,
            "rlnMicrographStartFrame": motion.first,
            "pypcoreFrames": count,
            "pypcoreNodesX": gx,
            "pypcoreNodesY": gy,
        },
        "frames": {
            "rlnMicrographFrameNumber": frames.tolist(),
            "pypcoreDisplacementXAngst": _round(motion.whole[:, 1]),
            "pypcoreDisplacementYAngst": _round(motion.whole[:, 0]),
            "pypcoreErrorAngst": _round(motion.error),
            "pypcoreTravelAngst": _round(motion.travel),
            "pypcoreQuality": _round(motion.quality),
        },
        "nodes": {
            "rlnMicrographFrameNumber": frame.tolist(),
            "rlnCoordinateX": _round(x),
            "rlnCoordinateY": _round(y),
            "pypcoreDisplacementXAngst": _round(motion.local[:, 1].ravel()),
            "pypcoreDisplacementYAngst": _round(motion.local[:, 0].ravel()),
        },
    }
    if len(motion.patches):
        blocks["patches"] = {
            "rlnCoordinateX": _round(motion.patches[:, 1]),
            "rlnCoordinateY": _round(motion.patches[:, 0]),
            "pypcoreSignalPower": _round(motion.patches[:, 2]),
            "pypcoreMisfit": _round(motion.patches[:, 3]),
        }
    write_star(path, blocks)


def _round(values: npt.ArrayLike) -> list[float]:
    rounded: list[float] = (np.asarray(values, float).round(4) + 0.0).tolist()
    return rounded


def read_field(path: Path) -> FullMotion:
    """Read a field that ``write_field`` wrote; raise InputError where it is none."""
    blocks = read_star(path)
    try:
        general = blocks["general"].pairs
        if int(general["pypcoreFieldVersion"]) != VERSION:
            raise ValueError(f"version {general['pypcoreFieldVersion']}")
        frames = {name: np.array(column, float) for name, column in blocks["frames"].columns.items()}
        nodes = {name: np.array(column, float) for name, column in blocks["nodes"].columns.items()}
        count, gy, gx = (int(general[f"pypcore{name}"]) for name in ("Frames", "NodesY", "NodesX"))
        patches = np.zeros((0, 4))
        if "patches" in blocks:
            names = ("rlnCoordinateY", "rlnCoordinateX", "pypcoreSignalPower", "pypcoreMisfit")
            patches = np.stack([np.array(blocks["patches"].columns[name], float) for name in names], 1)
        return FullMotion(
            movie=general["rlnMicrographMovieName"],
            shape=(int(general["rlnImageSizeY"]), int(general["rlnImageSizeX"])),
            pixel_size=float(general["rlnMicrographOriginalPixelSize"]),
            first=int(general["rlnMicrographStartFrame"]),
            whole=np.stack([frames["pypcoreDisplacementYAngst"], frames["pypcoreDisplacementXAngst"]], 1),
            grid_y=nodes["rlnCoordinateY"].reshape(count, gy, gx)[0, :, 0],
            grid_x=nodes["rlnCoordinateX"].reshape(count, gy, gx)[0, 0],
            local=np.stack([nodes[f"pypcoreDisplacement{axis}Angst"].reshape(count, gy, gx) for axis in ("Y", "X")], 1),
            error=frames["pypcoreErrorAngst"],
            travel=frames["pypcoreTravelAngst"],
            quality=frames["pypcoreQuality"],
            patches=patches,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a motion field of pypcore (missing or wrong: {error})") from error
