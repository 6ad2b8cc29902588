"""What the user asks of a tomogram."""

from dataclasses import dataclass
from typing import Literal

from pypcore.errors import UsageError

Method = Literal["wbp", "sirt"]
Weighting = Literal["ramp", "exact", "sirt-like", "none"]
Halves = Literal["none", "tilts", "frames"]
Normalise = Literal["none", "mean", "deviation"]
CtfCorrection = Literal["none", "phase-flip", "wiener"]


@dataclass(frozen=True)
class TomogramSettings:
    """How one tomogram is made. Lengths are in voxels of the tomogram."""

    shape: tuple[int, int, int]  # z, y, x
    binning: float = 1.0  # raw pixels a voxel
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # (z, y, x) of the volume's middle, from the tilt axis
    method: Method = "wbp"
    weighting: Weighting = "ramp"  # of weighted back-projection
    cutoff: float = 0.35  # cycles per voxel: full weight up to here ...
    falloff: float = 0.05  # ... then a Gaussian of this standard deviation; 0 = sharp
    exact_diameter: float | None = None  # of the specimen, for "exact"; None = the thickness
    like_iterations: int = 10  # of SIRT, which "sirt-like" resembles
    iterations: int = 10  # of SIRT itself
    subsets: int = 1  # of tilts, updated one after another: 1 = SIRT, as many as there are tilts = SART
    relaxation: float = 1.0
    nonnegative: bool = False
    halves: Halves = "none"  # "tilts": every other tilt by angle; "frames": a stack for each
    normalise: Normalise = "none"  # tilts are divided by their mean, or by their standard deviation
    ctf: CtfCorrection = "none"
    ctf_hand: Literal[1, -1] = 1  # local defocus = defocus - hand * w; w: depth along the beam (geometry.tilt_depth)
    wiener_snr: float = 4.0  # signal to noise, in power, that "wiener" takes for granted at all frequencies

    def __post_init__(self) -> None:
        """Refuse what makes no sense, whatever the series."""
        z, y, x = self.shape
        _check(min(self.shape) >= 1, f"{x} x {y} x {z} voxels; each side is 1 or more")
        _check(self.binning >= 1, f"binning {self.binning:g}; it is 1 or more")
        _check(0 < self.cutoff <= 0.5, f"cutoff {self.cutoff:g} cycles per voxel; it is above 0, up to 0.5")
        _check(self.falloff >= 0, f"falloff {self.falloff:g} cycles per voxel; it is 0 or more")
        _check(self.iterations >= 1, f"{self.iterations} iterations; 1 or more are needed")
        _check(self.like_iterations >= 1, f"like {self.like_iterations} iterations; it is 1 or more")
        _check(self.subsets >= 1, f"{self.subsets} subsets; 1 or more")
        _check(0 < self.relaxation < 2, f"relaxation {self.relaxation:g}; SIRT converges between 0 and 2")
        _check(self.ctf_hand in (1, -1), f"CTF hand {self.ctf_hand}; it is 1 or -1")
        _check(self.wiener_snr > 0, f"Wiener signal to noise {self.wiener_snr:g}; it is above 0")
        diameter = self.exact_diameter
        _check(diameter is None or diameter > 0, f"diameter {diameter}; it is above 0")


def _check(holds: bool, text: str) -> None:
    if not holds:
        raise UsageError(f"tomogram: {text}")
