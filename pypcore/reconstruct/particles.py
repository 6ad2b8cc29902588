"""What is known of particles: where they point, and what the microscope did to them.

Arrays hold one value a particle, in the order of the images. Conventions: ``pypcore.geometry``.
"""

from dataclasses import dataclass, field, fields
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Matrix2 = tuple[tuple[float, float], tuple[float, float]]


class _PerParticle:
    """Arrays of one length, that can be cut together."""

    def __post_init__(self) -> None:
        """Make each field an array, a single number one value for all."""
        given = {f.name: np.atleast_1d(np.asarray(getattr(self, f.name), np.float64)) for f in fields(self)}  # type: ignore[arg-type]
        count = max(value.size for value in given.values())
        for name, value in given.items():
            if value.ndim != 1 or value.size not in (1, count):
                raise ValueError(
                    f"{type(self).__name__}.{name} has shape {value.shape}; one value a particle: ({count},)"
                )
            if not np.isfinite(value).all():
                raise ValueError(
                    f"{type(self).__name__}.{name} of particle {int(np.argmin(np.isfinite(value)))} is no number"
                )
            object.__setattr__(self, name, np.broadcast_to(value, count))

    def __len__(self) -> int:
        return int(getattr(self, fields(self)[0].name).size)  # type: ignore[arg-type]

    def __getitem__(self, index: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """Return the particles of a slice, of indices or of a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Poses(_PerParticle):
    """How particles lie: RELION's angles in degrees, and the shift in Å that brings each to the middle of its box."""

    rot: ArrayLike
    tilt: ArrayLike
    psi: ArrayLike
    shift_y: ArrayLike = 0.0
    shift_x: ArrayLike = 0.0


@dataclass(frozen=True)
class Ctf(_PerParticle):
    """Contrast transfer of each particle; what its microscope adds stands in ``Optics``.

    CTF(k) = scale exp(-B k²/4) sin(pi lambda dz k² - pi/2 Cs lambda³ k⁴ + phase_shift + asin(Q0)), with
    dz = (U + V)/2 + (U - V)/2 cos 2(theta - angle), theta from +x towards +y (rows downwards in the array).
    Underfocus is positive; CTF(0) = +Q0, so protein is white in images as the map has it.
    """

    defocus_u: ArrayLike  # Å
    defocus_v: ArrayLike  # Å
    angle: ArrayLike = 0.0  # degrees, of the axis of defocus_u
    phase_shift: ArrayLike = 0.0  # degrees, of a phase plate
    b_factor: ArrayLike = 0.0  # Å²: the image's own envelope, corrected like the rest of the CTF
    scale: ArrayLike = 1.0


@dataclass(frozen=True)
class Optics:
    """One optics group: what its images have in common, as RELION's ``data_optics`` has it."""

    pixel_size: float  # Å, of the particle images
    voltage: float = 300.0  # kV
    cs: float = 2.7  # mm
    amplitude_contrast: float = 0.1  # Q0
    beam_tilt: tuple[float, float] = (0.0, 0.0)  # mrad, (x, y)
    odd_zernike: tuple[float, ...] = ()  # radians, of antisymmetric phase; RELION's order, k in 1/Å
    even_zernike: tuple[float, ...] = ()  # radians, of symmetric phase, besides defocus and Cs
    magnification: Matrix2 = ((1.0, 0.0), (0.0, 1.0))  # k_true = M k_image, ((M00, M01), (M10, M11)) over (x, y)
    images: Literal["raw", "phase_flipped", "premultiplied"] = "raw"  # what was done to the images' CTF before

    def __post_init__(self) -> None:
        """Refuse what no microscope has."""
        if not self.pixel_size > 0:
            raise ValueError(f"pixel_size is {self.pixel_size:g} Å; it has to be above 0")
        if not self.voltage > 0:
            raise ValueError(f"voltage is {self.voltage:g} kV; it has to be above 0")
        if not 0 <= self.amplitude_contrast <= 1:
            raise ValueError(f"amplitude_contrast is {self.amplitude_contrast:g}; it is a share, from 0 to 1")
        if np.linalg.det(self.magnification) == 0:
            raise ValueError(f"magnification {self.magnification} can't be inverted")


@dataclass(frozen=True)
class Ewald:
    """Curvature of the Ewald sphere: each image goes to both of its sheets.

    The curve bends by lambda k²/2 along the direction of view. ``sign`` +1: an atom higher up in the
    map's z_image is seen at more defocus; -1: at less. It can't be told from the files, and the wrong one makes the
    map worse, not better. ``diameter`` of the particle, Å, tells from
    which resolution on the two sheets hold different things.
    """

    diameter: float
    sign: Literal[1, -1] = 1


@dataclass(frozen=True)
class DoseWeights:
    """Weights w(k) of images, such as those of a dose: data count w times, w CTF F over w CTF².

    ``curves`` [C, S]: curve c at frequency s / (box pixel_size), s = 0, 1, ... Fourier pixels of the image, linear
    between; ``which`` [N]: the curve of each particle.
    """

    curves: NDArray[np.float32]
    which: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1, np.int32))
