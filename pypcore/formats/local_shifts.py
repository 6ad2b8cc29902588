"""Local shifts of an aligned tilt series, as a STAR file that people and programs can read: ``NAME_local.star``.

They go with ``NAME.xf``: what belongs at (x, y) of an aligned image of a view is where the .xf says of (x, y) plus the
shift there. Shifts in Å; places in pixels of the aligned image, unbinned, from 0 at the centre of the first pixel,
linear between the nodes of a grid over all of it.

``data_general``: sizes of the raw images, pixel size, nodes. ``data_nodes``: a row a view and node; views are told by
their angle on the stage (degrees), those left out have no rows. Names that are not RELION's begin with pypcore.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.formats.star import read_star, write_star
from pypcore.formats.tilt_series import TiltSeries
from pypcore.tilts.alignment import LocalShifts, TiltAlignment

VERSION = 1
ENDING = "_local.star"
_SAME = 0.01  # degrees: angles that differ by less are one
_ANGLE, _X, _Y = "rlnTomoNominalStageTiltAngle", "rlnCoordinateX", "rlnCoordinateY"
_SHIFT_X, _SHIFT_Y = "pypcoreShiftXAngst", "pypcoreShiftYAngst"


def local_beside(alignment: Path) -> Path | None:
    """Return the local shifts that lie beside ``NAME.xf`` or ``NAME.aln``, or None."""
    path = alignment.with_name(alignment.stem + ENDING)
    return path if path.is_file() else None


def write_local(path: Path, series: TiltSeries, alignment: TiltAlignment) -> None:
    """Write the local shifts of the views used, rounded to 1e-4 Å."""
    assert alignment.local is not None
    used = np.flatnonzero(alignment.used)
    nodes = alignment.local.nodes[used]
    gy, gx = nodes.shape[2:]
    height, width = alignment.aligned_shape
    angles, y, x = (
        a.ravel()
        for a in np.meshgrid(
            series.angles[used], np.linspace(0, height - 1, gy), np.linspace(0, width - 1, gx), indexing="ij"
        )
    )
    shifts = (nodes * alignment.pixel_size).round(4) + 0.0
    write_star(
        path,
        {
            "general": {
                "pypcoreLocalVersion": VERSION,
                "rlnImageSizeX": alignment.image_shape[1],
                "rlnImageSizeY": alignment.image_shape[0],
                "rlnTomoTiltSeriesPixelSize": alignment.pixel_size,
                "pypcoreViews": len(used),
                "pypcoreNodesX": gx,
                "pypcoreNodesY": gy,
            },
            "nodes": {
                _ANGLE: angles.tolist(),
                _X: x.round(4).tolist(),
                _Y: y.round(4).tolist(),
                _SHIFT_X: shifts[:, 0].ravel().tolist(),
                _SHIFT_Y: shifts[:, 1].ravel().tolist(),
            },
        },
    )


def read_local(
    path: Path, angles: NDArray[np.float64], used: NDArray[np.bool_], image_shape: tuple[int, int], pixel_size: float
) -> LocalShifts:
    """Read local shifts for views at stage ``angles`` [T]; those not ``used`` have none.

    ``image_shape`` (y, x) and ``pixel_size`` (Å) are those of the images. Raises InputError where a view that is used
    has no shifts, or they are of images of another size.
    """
    blocks = read_star(path)
    try:
        general = blocks["general"].pairs
        if int(general["pypcoreLocalVersion"]) != VERSION:
            raise ValueError(f"version {general['pypcoreLocalVersion']}")
        size = int(general["rlnImageSizeY"]), int(general["rlnImageSizeX"])
        shape = tuple(int(general[f"pypcore{name}"]) for name in ("Views", "NodesY", "NodesX"))
        columns = {name: np.array(blocks["nodes"].columns[name], float) for name in (_ANGLE, _SHIFT_X, _SHIFT_Y)}
        known = columns[_ANGLE].reshape(shape)[:, 0, 0]
        nodes = np.stack([columns[name].reshape(shape) for name in (_SHIFT_X, _SHIFT_Y)], 1) / pixel_size
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not local shifts of pypcore (missing or wrong: {error})") from error
    if size != image_shape or min(shape[1:]) < 2 or not np.isfinite(nodes).all():
        raise InputError(
            f"{path}: local shifts of images of {size[1]} x {size[0]} pixels, the series has {image_shape[1]} x "
            f"{image_shape[0]}; or they aren't numbers: align again, or remove the file"
        )
    out = np.zeros((len(angles), *nodes.shape[1:]))
    left = list(range(len(known)))
    for view in np.flatnonzero(used):
        row = next((row for row in left if abs(known[row] - angles[view]) < _SAME), None)
        if row is None:
            raise InputError(
                f"{path}: no local shifts of the view at {angles[view]:g} degrees; are they of another series?"
            )
        left.remove(row)
        out[view] = nodes[row]
    return LocalShifts(out)
