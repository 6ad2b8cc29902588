"""What a user can ask of the alignment of tilt series."""

from pydantic import Field

from pypcore.operations.on_device import OnDevice
from pypcore.operations.tilt_parameters import TiltSeriesParameters

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


def thickness_of(params: AlignTiltsParameters, pixel_size: float) -> int:
    """Return the thickness in unbinned pixels of ``pixel_size`` Å."""
    return params.thickness or max(1, round(USUAL_THICKNESS / pixel_size))
