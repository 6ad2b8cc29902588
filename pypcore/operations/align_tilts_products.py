"""What the alignment of one tilt series leaves in the job folder."""

from pathlib import Path

from pypcore.formats.aretomo import write_aln
from pypcore.formats.local_shifts import ENDING, write_local
from pypcore.formats.relion_tomo import write_tilt_series
from pypcore.formats.tilt_alignment import aln_of, write_xf_and_tlt
from pypcore.formats.tilt_series import TiltSeries
from pypcore.operation import Context
from pypcore.operations.project_paths import in_project
from pypcore.operations.tilt_task import Task
from pypcore.tilts.alignment import TiltAlignment

ALIGNMENTS, SERIES = "alignments", "tilt_series"


def write_alignment(task: Task, series: TiltSeries, alignment: TiltAlignment, context: Context) -> dict[str, Path]:
    """Write ``alignments/NAME.xf .tlt .aln`` and ``tilt_series/NAME.star``; return what and where.

    Local shifts go to ``alignments/NAME_local.star``: the other files have no place for them.
    """
    name = task.item.name
    places = {kind: f"{ALIGNMENTS}/{name}.{kind}" for kind in ("xf", "tlt", "aln")}
    with context.write(places["xf"]) as xf, context.write(places["tlt"]) as tlt:
        write_xf_and_tlt(xf, tlt, series, alignment)
    with context.write(places["aln"]) as temporary:
        write_aln(temporary, aln_of(series, alignment))
    local = None
    if alignment.local is not None:
        places["local"] = f"{ALIGNMENTS}/{name}{ENDING}"
        local = context.job / places["local"]
        with context.write(places["local"]) as temporary:
            write_local(temporary, series, alignment)
    places["tilt_series"] = f"{SERIES}/{name}.star"
    with context.write(places["tilt_series"]) as temporary:
        write_tilt_series(
            temporary, name, series, alignment, task.frames, lambda path: in_project(path, context), local
        )
    return {kind: context.job / place for kind, place in places.items()}
