"""What the alignment on beads leaves in the job folder, besides the alignment."""

from pathlib import Path

from pypcore.beads.align import Beads
from pypcore.formats.beads import write_bead_table, write_fiducials
from pypcore.formats.tilt_series import TiltSeries
from pypcore.operation import Context
from pypcore.operations.align_tilts_products import ALIGNMENTS
from pypcore.operations.bead_picture import draw_beads
from pypcore.operations.tilt_images import TiltImages
from pypcore.operations.tilt_task import Task
from pypcore.tilts.alignment import TiltAlignment


def write_beads(
    task: Task, series: TiltSeries, alignment: TiltAlignment, beads: Beads, context: Context
) -> dict[str, Path]:
    """Write ``alignments/NAME.fid.txt``, ``NAME_beads.star`` and ``NAME_beads.png``; return what and where."""
    name = task.item.name
    places = {
        kind: f"{ALIGNMENTS}/{name}{end}"
        for kind, end in (("fiducials", ".fid.txt"), ("beads", "_beads.star"), ("beads_picture", "_beads.png"))
    }
    shape = alignment.image_shape
    with context.write(places["fiducials"]) as temporary:
        write_fiducials(temporary, beads.points, shape)
    with context.write(places["beads"]) as temporary:
        write_bead_table(
            temporary,
            beads.places,
            beads.points,
            beads.residual,
            beads.left_out,
            beads.counted,
            beads.steady,
            shape,
            task.pixel_size,
        )
    with context.write(places["beads_picture"]) as temporary, TiltImages(series) as images:
        draw_beads(temporary, name, images, alignment, beads, series.angles)
    return {kind: context.job / place for kind, place in places.items()}
