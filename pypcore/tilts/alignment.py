"""How the images of a tilt series lie to each other. Axes, signs and origins: ``pypcore.geometry``."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pypcore.errors import InputError
from pypcore.geometry import tilt_axis_of, tilt_centre, tilt_inverse, tilt_rotation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LocalShifts:
    """Shifts that vary over the field: what belongs at ``aligned`` is where the rest says of ``aligned + shift``.

    ``nodes`` [T, 2, gy, gx]: (x, y) in unbinned pixels of the aligned frame, at gy x gx nodes spread evenly over
    ``TiltAlignment.aligned_shape``, from the centre of the first pixel to that of the last, bilinear in between;
    two nodes or more each way.
    """

    nodes: Array

    def at(self, tilt: int, x: ArrayLike, y: ArrayLike, shape: tuple[int, int]) -> Array:
        """Return the shifts [2, ...] of ``tilt`` at pixels ``x``, ``y`` of an aligned image of ``shape`` (y, x)."""
        _, _, gy, gx = self.nodes.shape
        b = np.clip(np.asarray(x, float) / (shape[1] - 1), 0, 1) * (gx - 1)
        a = np.clip(np.asarray(y, float) / (shape[0] - 1), 0, 1) * (gy - 1)
        i, j = np.minimum(a.astype(int), gy - 2), np.minimum(b.astype(int), gx - 2)
        f, g = a - i, b - j
        n = self.nodes[tilt]
        upper = n[:, i, j] * (1 - g) + n[:, i, j + 1] * g
        lower = n[:, i + 1, j] * (1 - g) + n[:, i + 1, j + 1] * g
        return upper * (1 - f) + lower * f


@dataclass(frozen=True)
class TiltAlignment:
    """The geometry of a tilt series of T images, in the order of the stack.

    ``angles`` [T] degrees; ``matrices`` [T, 2, 2] and ``shifts`` [T, 2] (x, y) take raw pixels to aligned ones:
    aligned = A (raw - centre of raw) + D + centre of aligned, unbinned pixels (a row of an .xf file). ``image_shape``
    (y, x) is that of the raw images, ``pixel_size`` theirs in Å. ``used`` [T]: images that take part.
    ``angle_offset`` (degrees) is added to all angles to lay the specimen flat; ``x_tilt`` (degrees) turns it about x.
    """

    angles: Array
    matrices: Array
    shifts: Array
    image_shape: tuple[int, int]
    pixel_size: float
    used: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, bool))
    angle_offset: float = 0.0
    x_tilt: float = 0.0
    local: LocalShifts | None = None

    def __post_init__(self) -> None:
        """Hold the arrays to one T; an empty ``used`` means all."""
        count = len(self.angles)
        if self.used.size == 0 and count:
            object.__setattr__(self, "used", np.ones(count, bool))
        for name, found, shape in (
            ("matrices", self.matrices.shape, (count, 2, 2)),
            ("shifts", self.shifts.shape, (count, 2)),
            ("used", self.used.shape, (count,)),
        ):
            if found != shape:
                raise InputError(f"tilt alignment: {name} of shape {found} for {count} angles; {shape} belong to them")
        if not all(np.isfinite(a).all() for a in (self.angles, self.matrices, self.shifts)):
            raise InputError("tilt alignment: an angle, transform or shift is NaN or infinite; align the series again")
        if self.local is not None and (self.local.nodes.ndim != 4 or self.local.nodes.shape[:2] != (count, 2)):
            raise InputError(f"tilt alignment: local shifts of shape {self.local.nodes.shape} for {count} angles")

    @classmethod
    def of_axis(
        cls,
        angles: ArrayLike,
        axis: ArrayLike,
        shifts: ArrayLike | None,
        image_shape: tuple[int, int],
        pixel_size: float,
    ) -> "TiltAlignment":
        """Return the alignment of a tilt ``axis`` (degrees; one, or one an image) and aligned-frame ``shifts`` [T, 2].

        ``shifts`` (x, y) in pixels are those D of an .xf file; None: none.
        """
        angles = np.array(angles, float)
        axes = np.broadcast_to(np.asarray(axis, float), angles.shape)
        d = np.zeros((angles.size, 2)) if shifts is None else np.array(shifts, float)
        return cls(angles, tilt_rotation(axes), d, image_shape, pixel_size)

    def __len__(self) -> int:
        """Return the number of images, those left out included."""
        return len(self.angles)

    @property
    def axes(self) -> Array:
        """Return the tilt axis of each image, degrees counter-clockwise from +y."""
        return tilt_axis_of(self.matrices)

    @property
    def aligned_shape(self) -> tuple[int, int]:
        """Return the shape (y, x) of aligned images: the raw ones', sides exchanged where the axis is nearer to x."""
        y, x = self.image_shape
        turned = np.abs(self.matrices[:, 0, 1]).mean() > np.abs(self.matrices[:, 0, 0]).mean()
        return (x, y) if turned else (y, x)

    @property
    def specimen_angles(self) -> Array:
        """Return the tilt angles of the specimen as it is reconstructed: with the offset."""
        return self.angles + self.angle_offset

    def to_aligned(self, tilt: int, raw: ArrayLike) -> Array:
        """Return where raw pixels [..., 2] (x, y) of image ``tilt`` are in the aligned frame (without local shifts)."""
        from_centre = np.asarray(raw, float) - tilt_centre(self.image_shape[::-1])
        return from_centre @ self.matrices[tilt].T + self.shifts[tilt] + tilt_centre(self.aligned_shape[::-1])

    def to_raw(self, tilt: int, aligned: ArrayLike) -> Array:
        """Return where aligned pixels [..., 2] (x, y) are in raw image ``tilt``, local shifts included."""
        points = np.asarray(aligned, float)
        if self.local is not None:
            shift = self.local.at(tilt, points[..., 0], points[..., 1], self.aligned_shape)
            points = points + np.moveaxis(shift, 0, -1)
        back, shift = tilt_inverse(self.matrices[tilt], self.shifts[tilt])
        from_centre = points - tilt_centre(self.aligned_shape[::-1])
        return from_centre @ back.T + shift + tilt_centre(self.image_shape[::-1])

    def select(self, images: ArrayLike) -> "TiltAlignment":
        """Return the alignment of some ``images`` (indices or a mask), in that order."""
        which = np.asarray(images)
        which = np.flatnonzero(which) if which.dtype == bool else which
        local = None if self.local is None else LocalShifts(self.local.nodes[which])
        return replace(
            self,
            angles=self.angles[which],
            matrices=self.matrices[which],
            shifts=self.shifts[which],
            used=self.used[which],
            local=local,
        )

    def leave_out(self, images: ArrayLike) -> "TiltAlignment":
        """Return the same with some ``images`` (indices or a mask) not used."""
        used = self.used.copy()
        used[np.asarray(images)] = False
        return replace(self, used=used)
