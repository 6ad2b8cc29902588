"""What the user asks of motion correction."""

from dataclasses import dataclass
from typing import Literal

from pypcore.errors import UsageError

NOMINAL_DOSE = 1.0  # e-/Å² per frame: the scale of time where the dose is unknown


@dataclass(frozen=True)
class MotionSettings:
    """How one movie is corrected; frames are counted from 1, both ends included."""

    pixel_size: float  # Å, of the movie as stored
    dose: float = 0.0  # e-/Å² per frame; 0 = unknown
    pre_dose: float = 0.0  # e-/Å² before the movie's first frame
    voltage: float = 300.0  # kV
    binning: float = 1.0
    patches: tuple[int, int] | None = None  # (x, y), from edge to edge; (0, 0) = whole frame; None = chosen
    first: int = 1
    last: int | None = None  # None = the last frame there is
    group: int = 1  # frames summed for the estimation only
    dose_weighting: bool = True
    weights: Literal["plain", "blur-aware"] = "blur-aware"  # what dose weights know of a frame: ``weights``
    magnification: tuple[float, float, float] | None = None  # stretch along and across an axis, its angle: that module
    save_unweighted: bool = False
    even_odd: bool = False
    power_spectrum: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense, whatever the movie."""
        _check(self.pixel_size > 0, f"pixel size {self.pixel_size} Å; it is above 0")
        _check(self.dose >= 0 and self.pre_dose >= 0, f"dose {self.dose}, {self.pre_dose} e-/Å²; none is below 0")
        _check(
            self.dose > 0 or not self.dose_weighting,
            "dose weighting without a dose; give the dose per frame, or switch dose weighting off",
        )
        if self.magnification is not None:
            _check(
                all(0.95 <= by <= 1.05 for by in self.magnification[:2]),
                f"magnification {self.magnification[0]}, {self.magnification[1]}; both lie between 0.95 and 1.05",
            )
        _check(self.voltage > 0, f"voltage {self.voltage} kV; it is above 0")
        _check(self.binning >= 1, f"binning {self.binning}; it is 1 or more")
        _check(self.group >= 1, f"group {self.group}; it is 1 or more frames")
        _check(self.last is None or self.last > self.first, f"frames {self.first}-{self.last}; a movie has 2 or more")
        _check(self.first >= 1, f"first frame {self.first}; frames are counted from 1")
        if self.patches is not None:
            _check(
                self.patches == (0, 0) or min(self.patches) >= 2,
                f"{self.patches[0]} x {self.patches[1]} patches; 2 or more each way, or 0,0 for the whole frame only",
            )

    @property
    def nominal_dose(self) -> float:
        """Dose per frame as the measure of time: the true one, or 1 e-/Å² where it is unknown."""
        return self.dose or NOMINAL_DOSE


def _check(holds: bool, text: str) -> None:
    if not holds:
        raise UsageError(f"motion correction: {text}")
