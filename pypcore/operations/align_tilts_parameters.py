"""What a user can ask of the alignment of tilt series."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pypcore.operations.on_device import OnDevice
from pypcore.operations.tilt_parameters import Grid, TiltSeriesParameters

USUAL_THICKNESS = 3000.0  # Å


class AlignTiltsParameters(TiltSeriesParameters, OnDevice):
    """Parameters of reading and aligning tilt series."""

    thickness: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Thickness of the specimen, and of the tomogram, unbinned pixels, e.g. 1200; 3000 Å when left out",
    )
    axis_search: bool = Field(True, description="Find the tilt axis, from where it is said to be; no: keep it as it is")
    offset_search: bool = Field(True, description="Lay the specimen flat by an offset of all tilt angles")
    specimen: Literal["auto", "slab", "isolated"] = Field(
        "auto",
        description="What fills the views: a slab that goes on beyond the field, or an isolated bright object in dark, "
        "empty space (a needle or particle in dark field); auto: by how much of the field is empty",
    )
    local: Grid = Field(
        (0, 0),
        description="Also align patches of the field, X,Y of them, e.g. 4,4, where the specimen bends (AreTomo's "
        "-Patch); 0,0: views move as a whole",
    )

    @model_validator(mode="after")
    def _hang_together_as_alignment(self) -> Self:
        if self.local != (0, 0) and not 2 <= min(self.local) <= max(self.local) <= 8:
            raise ValueError(f"local {self.local[0]},{self.local[1]}: give 2 to 8 patches each way, or 0,0 for none")
        return self


def thickness_of(params: AlignTiltsParameters, pixel_size: float) -> int:
    """Return the thickness in unbinned pixels of ``pixel_size`` Å."""
    return params.thickness or max(1, round(USUAL_THICKNESS / pixel_size))
