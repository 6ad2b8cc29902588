"""What a user can ask of motion correction."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pypcore.operations.on_device import OnDevice


def _two_numbers(value: Any) -> Any:
    """Turn ``"5,5"`` into ``[5, 5]``."""
    if not isinstance(value, str):
        return value
    numbers = value.split(",")
    if len(numbers) != 2 or not all(number.strip().isdigit() for number in numbers):
        raise ValueError("should be two whole numbers, X,Y, such as 5,5")
    return [int(number) for number in numbers]


def _best_library() -> Literal["scipy", "mkl"]:
    from importlib.util import find_spec

    return "mkl" if find_spec("mkl_fft") else "scipy"


Patches = Annotated[tuple[int, int], BeforeValidator(_two_numbers)]


class MotionCorrParameters(OnDevice):
    """Parameters of motion correction."""

    pixel_size: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Pixel size of the movie, Å (for EER: of the sampled pixel), e.g. 0.83; "
        "needed unless the movies' headers say it",
    )
    dose: float | None = Field(
        None, gt=0, le=1000, description="Dose of one frame of the movie (for EER: of one fraction), e-/Å², e.g. 1.25"
    )
    pre_dose: float = Field(0.0, ge=0, le=1000, description="Dose on the specimen before the first frame, e-/Å²")
    voltage: float | None = Field(None, ge=10, le=3000, description="Acceleration voltage, kV, e.g. 300")
    gain: Path | None = Field(
        None,
        description="Gain reference, MRC or TIFF; raw counts are multiplied with it, 0 marks a bad pixel; "
        "for EER as in RELION: a .gain file multiplies, an MRC is divided by",
    )
    gain_rotate: Literal[0, 90, 180, 270] = Field(
        0, description="Turn the gain by so many degrees, as MotionCor2's RotGain times 90"
    )
    gain_flip: Literal["none", "ud", "lr"] = Field(
        "none", description="Then flip it upside down (ud) or left to right (lr), as MotionCor2's FlipGain"
    )
    defects: Path | None = Field(
        None,
        description="Bad pixels: a text file with 'x y width height' a line, or an MRC or TIFF where they aren't 0",
    )
    bin: float = Field(1.0, ge=1, le=16, description="Bin the micrograph by this factor (Fourier cropping), e.g. 2")
    patches: Patches | None = Field(
        None, description="Patches for local motion, X,Y, e.g. 5,5; 0,0: whole frame only; chosen by size when left out"
    )
    first: int = Field(1, ge=1, description="First frame to use, counted from 1")
    last: int | None = Field(None, ge=2, description="Last frame to use, counted from 1; all when left out")
    group: int = Field(1, ge=1, description="Frames that are summed to find their motion; more for a low dose")
    eer_fractions: int | None = Field(None, ge=2, description="EER: sum the raw frames to so many fractions, e.g. 40")
    eer_group: int | None = Field(None, ge=1, description="EER: so many raw frames in a fraction, e.g. 30")
    eer_frame_dose: float | None = Field(
        None,
        gt=0,
        description="EER: dose of one raw frame, e-/Å², e.g. 0.04; fractions then get as near to the dose as they can",
    )
    eer_sampling: Literal[1, 2, 3] = Field(
        1, description="EER: count on the sensor's pixels (1, 4k), on halves (2, 8k) or quarters (3, 16k) of them"
    )
    dose_weighting: bool = Field(
        True, description="Weight frames by what the dose left of the specimen; needs dose and voltage"
    )
    weights: Literal["plain", "blur-aware"] = Field(
        "blur-aware",
        description="Dose weights by the damage alone, as RELION's (plain), or also by how blurred each frame is, from "
        "its own motion and how well that is known (blur-aware)",
    )
    mag_major: float = Field(
        1.0,
        ge=0.95,
        le=1.05,
        description="Anisotropic magnification: stretch the micrograph by this factor along the major axis",
    )
    mag_minor: float = Field(1.0, ge=0.95, le=1.05, description="Likewise across the major axis")
    mag_angle: float = Field(
        0.0,
        ge=-360,
        le=360,
        description="Angle of the major axis from the x axis towards y, degrees (MotionCor2's -Mag)",
    )
    write_model: Literal["relion", "full"] = Field(
        "relion",
        description="Write the motion in RELION's form, or besides it the field in full with its errors "
        "(NAME_field.star)",
    )
    even_odd: bool = Field(False, description="Also write the sums of the even and of the odd frames, for denoising")
    save_unweighted: bool = Field(False, description="Also write the sum without dose weighting")
    save_ps: bool = Field(False, description="Also write a power spectrum, 512 x 512, for CTF estimation")
    float16: bool = Field(
        False, description="Write micrographs with half the size: MRC mode 12, which RELION 4 and newer read"
    )
    cs: float = Field(2.7, ge=0, le=10, description="Spherical aberration, mm; written to micrographs.star")
    amplitude_contrast: float = Field(
        0.1, ge=0, le=1, description="Amplitude contrast, from 0 to 1; written to micrographs.star"
    )

    fft: Literal["scipy", "mkl"] = Field(
        default_factory=_best_library,
        description="Library for Fourier transforms, chosen once for the job: results differ in the last bit. "
        "Default: mkl where mkl-fft is installed (pip install 'pypcore[mkl]'), else scipy",
    )

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        missing = [name for name in ("dose", "voltage") if getattr(self, name) is None]
        if self.dose_weighting and missing:
            raise ValueError(
                f"dose weighting needs the {' and the '.join(missing)}; "
                f"give {' and '.join(f'--{name}' for name in missing)}, or --no-dose-weighting"
            )
        if self.last is not None and self.last <= self.first:
            raise ValueError(f"last {self.last} is not after first {self.first}; a movie has two frames or more")
        if self.patches and self.patches != (0, 0) and not 2 <= min(self.patches) <= max(self.patches) <= 40:
            raise ValueError(f"patches {self.patches[0]},{self.patches[1]}: give 2 to 40 each way, or 0,0 for none")
        ways = [name for name in ("eer_fractions", "eer_group", "eer_frame_dose") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} both say how to sum an EER's raw frames; give one")
        if self.eer_frame_dose and (self.dose is None or self.eer_frame_dose > self.dose):
            raise ValueError("eer_frame_dose needs a dose (of a fraction) that is no less; give --dose")
        return self

    @property
    def magnification(self) -> tuple[float, float, float] | None:
        """Return the stretch along and across the major axis and its angle; None where there is none."""
        if self.mag_major == self.mag_minor == 1:
            return None
        return self.mag_major, self.mag_minor, self.mag_angle

    @property
    def frames_per_fraction(self) -> int | None:
        """Return the raw EER frames in a fraction; None where it is not said, or hangs on how many there are."""
        if self.eer_frame_dose and self.dose:
            return round(self.dose / self.eer_frame_dose)
        return self.eer_group

    @property
    def frame_dose(self) -> float | None:
        """Return the dose of a frame as it is used, e-/Å²; None where unknown."""
        if self.eer_frame_dose and self.frames_per_fraction:
            return self.eer_frame_dose * self.frames_per_fraction
        return self.dose
