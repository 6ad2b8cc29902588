"""What the user asks of the alignment of a tilt series."""

from dataclasses import dataclass

from pypcore.errors import UsageError


@dataclass(frozen=True)
class AlignSettings:
    """How one series is aligned."""

    axis_search: bool = True  # False: the axis given is kept as it is
    offset_search: bool = True  # lay the slab flat by changing all tilts
    patches: tuple[int, int] = (0, 0)  # along x and y, of the local alignment; (0, 0) = none
    bead_diameter: float = 0.0  # Å; 0 = no gold beads
    longest: int = 512  # px, the longer side of the copies that are compared
    least_views: int = 3  # fewer that match each other are no series

    def __post_init__(self) -> None:
        """Refuse what makes no sense, whatever the series."""
        across, along = self.patches
        if min(across, along) < 0 or (across == 0) != (along == 0) or (across and min(across, along) < 2):
            raise UsageError(f"patches {across},{along}; two or more each way, or 0,0 for none")
        if self.bead_diameter < 0:
            raise UsageError(f"bead diameter {self.bead_diameter:g} Å; it is above 0, or 0 for no beads")
        if self.longest < 64:
            raise UsageError(f"views are compared at {self.longest} px a side; 64 or more tell something")
