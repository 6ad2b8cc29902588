"""What the user asks of the alignment of a tilt series."""

from dataclasses import dataclass
from typing import Literal

from pypcore.errors import UsageError


@dataclass(frozen=True)
class AlignSettings:
    """How one series is aligned."""

    axis_search: bool = True  # False: the axis given is kept as it is
    offset_search: bool = True  # lay the slab flat by changing all tilts
    longest: int = 512  # px, the longer side of the copies that are compared
    least_views: int = 3  # fewer that match each other are no series
    specimen: Literal["auto", "slab", "isolated"] = "auto"  # isolated: a bright object in empty, dark space
    local: tuple[int, int] = (0, 0)  # patches (x, y) whose shifts are found too; (0, 0): views move as a whole

    def __post_init__(self) -> None:
        """Refuse what makes no sense, whatever the series."""
        if self.longest < 64:
            raise UsageError(f"views are compared at {self.longest} px a side; 64 or more tell something")
