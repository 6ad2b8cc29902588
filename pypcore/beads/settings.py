"""What the user says of gold beads, and what is asked of them before they are believed."""

from dataclasses import dataclass

from pypcore.errors import UsageError

FEWEST = 4.0  # px across, below which a bead is no shape


@dataclass(frozen=True)
class BeadSettings:
    """Beads of one size. Lengths in px of the views as recorded."""

    diameter: float
    depth: float  # of the specimen: beads are looked for in it, and half as much again
    least_beads: int = 3  # that hold still: two leave nothing over to check the axis by
    least_views: int = 3  # that a bead is seen in
    least_in_view: int = 2  # beads that place a view: one can't be told from something else

    def __post_init__(self) -> None:
        """Refuse what makes no sense, whatever the series."""
        if self.diameter < FEWEST:
            raise UsageError(f"gold beads of {self.diameter:.1f} px across; {FEWEST:g} or more can be told from noise")

    @property
    def radius(self) -> float:
        """Half the diameter."""
        return self.diameter / 2
