"""What a user can say of tilt series, whatever is made of them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pypcore import operation


def _two_numbers(value: Any) -> Any:
    """Turn ``"5,5"`` into ``[5, 5]``."""
    if not isinstance(value, str):
        return value
    numbers = value.split(",")
    if len(numbers) != 2 or not all(number.strip().isdigit() for number in numbers):
        raise ValueError("should be two whole numbers, X,Y, such as 4,4")
    return [int(number) for number in numbers]


Grid = Annotated[tuple[int, int], BeforeValidator(_two_numbers)]


def read_views(text: str) -> list[int]:
    """Turn ``1,2,40-41`` into numbers of views; ValueError for anything else."""
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        low, dash, high = part.partition("-")
        if not low.isdigit() or (dash and not high.isdigit()) or int(low) < 1:
            raise ValueError(f"'{part}' is neither a number of a view, from 1, nor a range of them such as 40-41")
        numbers += range(int(low), int(high if dash else low) + 1)
    return numbers


class TiltSeriesParameters(operation.Parameters):
    """How tilt series are read, and tilt movies corrected."""

    pixel_size: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Pixel size of the images or movies as recorded, Å, e.g. 1.35; "
        "needed unless the mdoc, STAR file or header says it",
    )
    tilt_axis: float | None = Field(
        None,
        ge=-180,
        le=180,
        description="Direction of the tilt axis, degrees counter-clockwise from +y (IMOD's rotation angle), e.g. 85.3; "
        "else as the mdoc or STAR file has it; where nothing says it, all are tried",
    )
    voltage: float | None = Field(None, ge=10, le=3000, description="Acceleration voltage, kV, e.g. 300")
    dose: float | None = Field(
        None, gt=0, le=1000, description="Dose of one view, e-/Å², e.g. 3; else as the mdoc or STAR file has it"
    )
    frames: Path | None = Field(
        None, description="Folder of the tilt movies that mdocs name; else beside the mdoc, or in frames/ there"
    )
    skip_missing: bool = Field(
        False, description="Leave out tilts whose movie is missing, instead of refusing the series"
    )
    duplicates: Literal["last", "first", "all"] = Field(
        "last", description="Of views at one angle, use the one taken last, first, or all"
    )
    sort_angles: bool = Field(
        False,
        description="The views of the stack aren't in the order of their angles (but as they were taken): sort them",
    )
    exclude_views: str | None = Field(
        None,
        description="Views to leave out, by number from 1 in the stack (of movies: by angle), e.g. 1,2,40-41",
    )
    exclude_list: Path | None = Field(
        None, description="The same for each series: a text file with 'NAME 1,2,40-41' a line"
    )
    gain: Path | None = Field(None, description="Gain reference of the tilt movies, MRC or TIFF, as for motioncorr")
    gain_rotate: Literal[0, 90, 180, 270] = Field(0, description="Turn the gain by so many degrees")
    gain_flip: Literal["none", "ud", "lr"] = Field("none", description="Then flip it upside down or left to right")
    defects: Path | None = Field(None, description="Bad pixels of the camera, as for motioncorr")
    group: int = Field(1, ge=1, description="Tilt movies: frames that are summed to find their motion")
    patches: Grid = Field(
        (0, 0), description="Tilt movies: patches for local motion, X,Y; 0,0: the motion of the whole frame only"
    )
    eer_fractions: int | None = Field(None, ge=2, description="EER: sum the raw frames of a tilt to so many, e.g. 8")
    eer_group: int | None = Field(None, ge=1, description="EER: so many raw frames in one, e.g. 20")
    eer_sampling: Literal[1, 2, 3] = Field(
        1, description="EER: count on the sensor's pixels (1), halves (2), quarters (3)"
    )
    even_odd: bool = Field(
        False,
        description="Tilt movies: also write the sums of the even and of the odd frames, for half tomograms later",
    )
    tilts_float16: bool = Field(
        False, description="Write corrected tilts with half the size: MRC mode 12, which RELION 4 and newer read"
    )
    cs: float | None = Field(
        None, ge=0, le=10, description="Spherical aberration, mm; else as the STAR file has it, or 2.7"
    )
    amplitude_contrast: float | None = Field(
        None, ge=0, le=1, description="Amplitude contrast, from 0 to 1; else as the STAR file has it, or 0.07"
    )
    handedness: Literal[1, -1] | None = Field(
        None,
        description="How defocus changes with depth along the beam, as rlnTomoHand in RELION: 1 grows, -1 falls; "
        "else as the STAR file has it; needed for ctf",
    )

    @model_validator(mode="after")
    def _hang_together_as_series(self) -> Self:
        if self.eer_fractions and self.eer_group:
            raise ValueError("eer_fractions and eer_group both say how to sum an EER's raw frames; give one")
        if self.patches != (0, 0) and not 2 <= min(self.patches) <= max(self.patches) <= 40:
            raise ValueError(f"patches {self.patches[0]},{self.patches[1]}: give 2 to 40 each way, or 0,0 for none")
        if self.exclude_views:
            read_views(self.exclude_views)
        return self
