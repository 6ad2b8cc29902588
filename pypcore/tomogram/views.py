"""Where the voxels of a tomogram are seen in the images it is made from.

An X-axis tilt p costs no second interpolation of the images. With v / cos p as the images' y, a point is seen at

    y~ = Y - Z tan p,    u = X cos t + Z sin t / cos p + y~ sin p sin t,

so images that are sheared by the last term while they are aligned give, slice by slice as ever, a volume whose planes
are only moved along y: by Z tan p, which is made good when it is done (``shift_planes``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.geometry import tilt_centre
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.settings import TomogramSettings

Array = NDArray[np.float64]
Volume = NDArray[np.float32]

_LOBES = 4  # of the windowed sinc that moves planes


@dataclass(frozen=True)
class Views:
    """Aligned images [T, height, width] of a tomogram of ``shape`` (z, y, x), all in voxels, and its lines of sight."""

    alignment: TiltAlignment  # of the tilts used, in the order of the images
    settings: TomogramSettings
    height: int
    width: int
    margin: int  # rows of the images before the volume's first one, and after its last

    @classmethod
    def of(cls, alignment: TiltAlignment, settings: TomogramSettings) -> "Views":
        """Choose how large the aligned images are: all of the raw field, or as much of it as the volume sees."""
        z, y, x = settings.shape
        field = alignment.aligned_shape[1] / settings.binning
        t = np.deg2rad(alignment.specimen_angles)
        seen = np.abs(np.cos(t)) * (x / 2 + abs(settings.offset[2])) + np.abs(np.sin(t)) * (
            z / 2 + abs(settings.offset[0])
        ) / np.cos(np.deg2rad(alignment.x_tilt))
        width = max(2, min(int(np.ceil(2 * seen.max())) + 2, round(field)))
        slope = abs(np.tan(np.deg2rad(alignment.x_tilt)))
        margin = int(np.ceil(slope * (z / 2 + abs(settings.offset[0])))) + _LOBES if slope > 0 else 0
        return cls(alignment, settings, y + 2 * margin, width, margin)

    def lines(self) -> Array:
        """Return (a, b, c) [T, 3] of u = a x + b z + c, in indices of the images and the volume."""
        t = np.deg2rad(self.alignment.specimen_angles)
        z, _, x = tilt_centre(self.settings.shape)
        a, b = np.cos(t), np.sin(t) / np.cos(np.deg2rad(self.alignment.x_tilt))
        c = tilt_centre(self.width) - a * (x - self.settings.offset[2]) - b * (z - self.settings.offset[0])
        return np.ascontiguousarray(np.stack([a, b, c], 1))

    def heights(self) -> Array:
        """Return Z [z] of the volume's planes, from the tilt axis."""
        z = self.settings.shape[0]
        return np.arange(z) - tilt_centre(z) + self.settings.offset[0]

    def places(self, tilt: int, i: Array, j: Array) -> tuple[Array, Array]:
        """Return (y, x) in the raw image of what image ``tilt`` has at row ``i``, column ``j``."""
        alignment, binning = self.alignment, self.settings.binning
        p = np.deg2rad(alignment.x_tilt)
        y = i - tilt_centre(self.height) + self.settings.offset[1]
        u = j - tilt_centre(self.width) + y * np.sin(p) * np.sin(np.deg2rad(alignment.specimen_angles[tilt]))
        centre = tilt_centre(alignment.aligned_shape[::-1])
        raw = alignment.to_raw(tilt, np.stack([u, y * np.cos(p)], -1) * binning + centre)
        return raw[..., 1], raw[..., 0]

    def untouched(self, tilt: int) -> bool:
        """Say whether the aligned image is the raw one, but for whole pixels cut off or added at its edges."""
        alignment = self.alignment
        y, x = self.places(tilt, np.zeros(1), np.zeros(1))
        return (
            self.settings.binning == 1
            and alignment.local is None
            and alignment.x_tilt == 0
            and np.array_equal(alignment.matrices[tilt], np.eye(2))
            and float(y[0]).is_integer()
            and float(x[0]).is_integer()
        )


def shift_planes(planes: Volume, views: Views, z: slice, rows: slice) -> Volume:
    """Return ``rows`` of the volume's planes ``z``, from ``planes`` [z, y~, x] that begin ``margin`` rows before."""
    if views.margin == 0:
        return planes
    slope = np.tan(np.deg2rad(views.alignment.x_tilt))
    count = rows.stop - rows.start
    moved = np.zeros((planes.shape[0], count, planes.shape[2]), np.float32)
    for plane, out, height in zip(planes, moved, views.heights()[z], strict=True):
        shift = views.margin - height * slope  # y~ = Y - Z tan p
        whole = int(np.floor(shift))
        for tap in range(1 - _LOBES, _LOBES + 1):
            low = whole + tap
            weight = _lanczos(low - shift)
            first, last = max(low, 0), min(low + count, planes.shape[1])
            out[first - low : last - low] += np.float32(weight) * plane[first:last]
    return moved


def _lanczos(distance: float) -> float:
    return float(np.sinc(distance) * np.sinc(distance / _LOBES)) if abs(distance) < _LOBES else 0.0
