"""What a user can ask of a reconstruction."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pypcore.operations.on_device import OnDevice


class ReconstructParameters(OnDevice):
    """Parameters of a reconstruction."""

    symmetry: str = Field("C1", description="Point group, as RELION names and orients it: Cn, Dn, T, O, I, I1 to I4")
    padding: Literal[1, 2] = Field(
        1, description="How many times finer the Fourier volume is than the map's own; 2 takes 8 times the memory"
    )
    box: int | None = Field(
        None, ge=8, le=2048, multiple_of=2, description="Side of the map, voxels; default: that of the images"
    )
    pixel_size: float | None = Field(
        None, gt=0, le=100, description="Pixel size of the images, Å; only to override what the STAR file says"
    )
    mask: Path | None = Field(
        None, description="Mask for the FSC, MRC, 0 to 1, of the map's box; default: made from the map"
    )
    ctf: bool = Field(True, description="Correct the contrast transfer; without, images are taken for projections")
    weight: str = Field(
        "", description="Column of the STAR file with a weight for each particle, e.g. rlnParticleFigureOfMerit"
    )
    dose_weighting: bool = Field(
        False, description="Weight each image by what its pre-exposure left of the specimen (rlnMicrographPreExposure)"
    )
    iterations: int = Field(
        0,
        ge=0,
        le=50,
        description="Iterations of the gridding weights; 10 is RELION's; of use at --padding 2 where there is noise",
    )
    ewald: Literal["no", "+1", "-1"] = Field(
        "no", description="Correct the curvature of the Ewald sphere, bent to this side; needs the diameter"
    )
    diameter: float | None = Field(
        None, gt=0, le=10000, description="Diameter of the particle, Å; for the Ewald sphere"
    )

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if self.ewald != "no" and self.diameter is None:
            raise ValueError("the Ewald sphere's correction needs the particle's diameter; give --diameter, in Å")
        if self.ewald != "no" and not self.ctf:
            raise ValueError("the Ewald sphere's correction is one of the CTF; leave out --no-ctf")
        return self
