"""What a user can ask of tomograms."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pypcore.operations.align_tilts_parameters import AlignTiltsParameters


class TomogramParameters(AlignTiltsParameters):
    """Parameters of reading, aligning and reconstructing tilt series."""

    alignment: Path | None = Field(
        None,
        description="Folder with NAME.xf and NAME.tlt, or NAME.aln, of each series: take these instead of aligning",
    )
    realign: bool = Field(
        False, description="Align, though an alignment lies beside the stack or stands in the STAR file"
    )
    bin: float | None = Field(
        None,
        ge=1,
        le=64,
        description="Raw pixels that make a voxel, e.g. 4; when left out, the power of 2 that makes the longer side "
        "about 1000 voxels",
    )
    method: Literal["wbp", "sirt"] = Field("wbp", description="Weighted back-projection, or SIRT")
    filter: Literal["ramp", "exact", "sirt-like", "none"] = Field(
        "ramp", description="wbp: weights by frequency: a ramp, exact ones for a slab, or such that it looks like SIRT"
    )
    cutoff: float = Field(
        0.35, gt=0, le=0.5, description="wbp: full weight up to this frequency, cycles per voxel (0.5: Nyquist)"
    )
    falloff: float = Field(
        0.05, ge=0, le=0.5, description="wbp: then a Gaussian of this standard deviation, cycles per voxel; 0: sharp"
    )
    iterations: int = Field(10, ge=1, le=1000, description="sirt: iterations; sirt-like: those it resembles")
    nonnegative: bool = Field(False, description="sirt: keep densities from falling below 0")
    halves: Literal["none", "frames", "tilts"] = Field(
        "none", description="Also two half tomograms: of even and odd frames of tilt movies, or of every other tilt"
    )
    dose_weighting: bool = Field(
        False, description="Weight tilts by what the dose before them left of the specimen; needs doses and voltage"
    )
    ctf: Literal["none", "phase-flip", "wiener"] = Field(
        "none", description="Correct for the CTF in slabs of depth, before back-projection; needs defocus and voltage"
    )
    defocus: Path | None = Field(
        None,
        description="Folder with the defocus of each series: NAME_CTF.txt (AreTomo), NAME_ctffind.txt or NAME.txt "
        "(CTFFIND), or NAME.xml (Warp); else as the STAR file has it",
    )
    tilt_offset: float = Field(
        0.0, ge=-60, le=60, description="Degrees added to all tilt angles, besides what the alignment found"
    )
    x_tilt: float = Field(
        0.0, ge=-45, le=45, description="Turn the specimen about x by so many degrees, to lay it flat"
    )
    offset_x: float = Field(0.0, description="Move the middle of the tomogram along x, unbinned pixels")
    offset_z: float = Field(0.0, description="Move the middle of the tomogram along z, unbinned pixels")
    normalise: Literal["auto", "none", "mean", "deviation"] = Field(
        "auto",
        description="Divide each tilt by its mean, or by its standard deviation; auto: by the mean if tilts are counts",
    )
    orientation: Literal["xyz", "xzy"] = Field(
        "xyz",
        description="xyz: sections along the beam, as RELION, Warp and pickers expect (IMOD's trimvol -rx); "
        "xzy: sections along the tilt axis, as IMOD's tilt and AreTomo write",
    )
    type: Literal["float32", "float16", "int8"] = Field(
        "float32", description="Numbers in the file; int8: mean ± 5 standard deviations to ±127, as its header says"
    )

    erase_beads: bool = Field(
        False, description="Take gold beads out of the tilts first, so that the tomogram has no streaks of them"
    )

    def bead_uses(self) -> list[str]:
        """Return what beads are used for, as a user gave it."""
        return [*super().bead_uses(), *(["erase_beads"] if self.erase_beads else [])]

    @model_validator(mode="after")
    def _hang_together_as_tomogram(self) -> Self:
        if self.alignment is not None and self.realign:
            raise ValueError("alignment names one to take, realign asks for a new one; give one of them")
        if self.alignment is not None and self.align_by == "beads":
            raise ValueError("alignment names one to take, align_by beads asks for a new one; give one of them")
        return self
