"""``pypcore efficiency JOB``: what was asked against what was used, and what would have been enough."""

import typer
from rich.markup import escape
from rich.table import Table

from pypcore.cli.common import JobArgument, JsonOption, console, open_job, print_json
from pypcore.efficiency import Efficiency, PhaseUse, efficiency, last_launch
from pypcore.efficiency_advice import advise
from pypcore.resources import MIB_PER_GB, format_walltime
from pypcore.status import read_status

app = typer.Typer(add_completion=False)


@app.command("efficiency")
def show_efficiency(job: JobArgument, json: JsonOption = False) -> None:
    """Compare what a job asked for with what it used, and print the request that would have been enough.

    Works while the job runs, from the items that have finished. Enough is the 99th percentile of what was used and
    20 % more.
    """
    opened = open_job(job)
    found = efficiency(read_status(opened), last_launch(opened))
    if json:
        print_json(found.to_dict() | {"advice": advise(found)})
    else:
        _print(found)


def _print(found: Efficiency) -> None:
    out = console()
    split = next(phase for phase in found.phases if phase.phase == "Split")
    out.print(f"{escape(found.operation)}  {escape(found.job)}  {split.tasks} of {found.items} items measured")
    table = Table()
    for heading in ("of a task", "asked", "median", "99 %", "most", "used", "enough"):
        table.add_column(heading, justify="left" if heading == "of a task" else "right")
    for phase in found.phases:
        for row in _rows(phase):
            table.add_row(*row)
    out.print(table)
    out.print(
        f"An item takes {_seconds(found.seconds_per_item)}: bundles of {found.bundle_size} (asked: "
        f"{found.bundle_size_asked}) are as near to ten minutes as items and totals allow"
    )
    missing = [name for name in ("Launch", "Merge") if name not in {phase.phase for phase in found.phases}]
    if missing:
        out.print(f"{' and '.join(missing)}: not measured")
    out.print("What to do:")
    for text in advise(found):
        out.print(f"  {escape(text)}")
    out.print(f"Enough for the next job: {found.flags}")


def _rows(phase: PhaseUse) -> list[tuple[str, ...]]:
    memory, threads, walltime = phase.memory, phase.threads, phase.walltime
    rows = [
        (f"{phase.phase} memory", *(_gb(v) for v in _values(phase, "memory")), f"{memory.share:.0%}"),
        ("      threads", *(f"{v:.3g}" for v in _values(phase, "threads")), f"{phase.cpu_share:.0%}"),
        ("      walltime", *(_seconds(v) for v in _values(phase, "walltime")), f"{walltime.share:.0%}"),
    ]
    enough = (_gb(memory.enough), f"{threads.enough:g}", _seconds(walltime.enough))
    told = [(*row, one) for row, one in zip(rows, enough, strict=True)]
    if phase.gres:
        told.append(("      gres", phase.gres, "not measured", *[""] * 4))
    return told


def _values(phase: PhaseUse, name: str) -> tuple[float, float, float, float]:
    use = getattr(phase, name)
    return use.asked, use.median, use.high, use.most


def _gb(mib: float) -> str:
    return f"{mib / MIB_PER_GB:.2f} GB"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 60 else format_walltime(round(seconds)).removeprefix("0-")
