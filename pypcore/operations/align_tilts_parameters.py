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
    align_by: Literal["views", "beads"] = Field(
        "views",
        description="views: by all that they show, without markers; beads: then by gold beads, which must be there",
    )
    bead_diameter: float | None = Field(
        None, gt=0, le=1000, description="Diameter of the gold beads, nm, e.g. 10; needed wherever beads are used"
    )

    @model_validator(mode="after")
    def _hang_together_as_alignment(self) -> Self:
        if self.local != (0, 0) and not 2 <= min(self.local) <= max(self.local) <= 8:
            raise ValueError(f"local {self.local[0]},{self.local[1]}: give 2 to 8 patches each way, or 0,0 for none")
        if self.local != (0, 0) and self.align_by == "beads":
            raise ValueError(
                "local shifts are found by what the views show, not by beads; leave out local, or align_by beads"
            )
        return self

    @model_validator(mode="after")
    def _beads_hang_together(self) -> Self:
        uses = self.bead_uses()
        if uses and self.bead_diameter is None:
            raise ValueError(f"{uses[0]} needs the size of the beads; give bead_diameter, in nm")
        if not uses and self.bead_diameter is not None:
            raise ValueError("bead_diameter is given, and nothing is done with beads; give align_by beads too")
        return self

    def bead_uses(self) -> list[str]:
        """Return what beads are used for, as a user gave it."""
        return ["align_by beads"] if self.align_by == "beads" else []


def thickness_of(params: AlignTiltsParameters, pixel_size: float) -> int:
    """Return the thickness in unbinned pixels of ``pixel_size`` Å."""
    return params.thickness or max(1, round(USUAL_THICKNESS / pixel_size))
