"""``pypcore status JOB``: where a job is, and what went wrong."""

import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pypcore import records
from pypcore.cli.common import JobArgument, JsonOption, console, duration, print_json, style
from pypcore.job import Run
from pypcore.slurm.states import explain
from pypcore.slurm.watch import Sight
from pypcore.view.job_view import JobView

MOST_CAUSES = 20
BAR = 50  # characters
EXIT = {"running": 0, "done": 0, "failed": 1, "stopped": 1, "cancelled": 4}


app = typer.Typer(add_completion=False)


@app.command()
def status(
    job: JobArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking, until the job is over.")] = False,
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 10.0,
    json: JsonOption = False,
) -> None:
    """Show where a job is, phase by phase, and what went wrong. Of a job on SLURM, the queue is asked, once.

    Exit code: 0 running or done, 1 some items failed or are missing, 4 cancelled.
    """
    view = JobView(job, ask_s=interval)
    while True:
        view.look(0)  # where items stand; figures of each would have to be read, and are not shown
        known = view.known
        if watch and sys.stdout.isatty():
            console().clear()
        if json:
            told = view.card()
            print_json({**known.to_dict(), "pace": told["pace"], "causes": [asdict(one) for one in view.causes()]})
        else:
            _print(view, str(job))
        if not (watch and known.phase == "running"):
            raise typer.Exit(EXIT[known.phase])
        time.sleep(interval)


def _describe(run: Run) -> str:
    where = f"run {run.number} on {'SLURM' if run.slurm is not None else run.host}"
    if run.ended is None and run.slurm is not None:
        return f"{where}, submitted {duration(time.time() - run.started)} ago"
    if run.ended is None:
        lost = "" if run.alive() else ", lost: its process is gone"
        return f"{where}, process {run.pid}, begun {duration(time.time() - run.started)} ago{lost}"
    return f"{where}, took {duration(run.ended - run.started)}, ended {duration(time.time() - run.ended)} ago"


def _print_queue(sight: Sight) -> None:
    out = console()
    elements = ", ".join(f"{count} {state}" for state, count in sight.counts().items() if count)
    phases = [("Split", elements)]
    phases[:0] = [("Launch", sight.launch.state)] if sight.launch else []
    phases += [("Merge", sight.merge.state)] if sight.merge else []
    out.print("SLURM: " + "; ".join(f"{name} {state}" for name, state in phases if state))
    for reason, number in sight.reasons().items():
        told = explain(reason)
        out.print(f"  {number} wait: {told.meaning} ({reason or 'no reason yet'}); {told.advice}")
    if sight.note:
        out.print(f"[yellow]{escape(sight.note)}[/yellow]")


def _print(view: JobView, folder: str) -> None:
    known = view.known
    out, counts = console(), known.counts
    colour = style(known.phase)
    out.print(f"{escape(known.request.operation)}  {escape(str(known.job.folder))}  [{colour}]{known.phase}[/{colour}]")
    if known.run:
        out.print(_describe(known.run) + (f": {escape(known.run.message)}" if known.run.message else ""))
    table = Table()
    shown = [key for key in (records.DONE, records.RUNNING, records.WAITING, *records.OUTCOMES[1:]) if counts[key]]
    for heading in ("phase", "items", *shown):
        table.add_column(
            heading,
            justify="left" if heading == "phase" else "right",
            style=style(heading) if heading in counts else "",
        )
    table.add_row("Launch", str(len(known.items)), *("" for _ in shown))
    table.add_row("Split", str(len(known.items)), *(str(counts[key]) for key in shown))
    out.print(table)
    _print_pace(view)
    out.print(f"Merge: {known.merge_state}")
    if known.sight:
        _print_queue(known.sight)
    for kind, path in known.products().items():
        out.print(f"  {kind}: {escape(str(path))}")
    _print_causes(view)
    if known.missing and not known.running:
        out.print(f"Go on with: pypcore resume {escape(folder)}")


def _print_pace(view: JobView) -> None:
    told, out = view.card(), console()
    if out.is_terminal and told["items"]:
        out.print(_bar(told["counts"], told["items"]))
    if told["pace"]:
        speed = told["pace"]
        over, hourly = duration(speed["over_s"]), speed["per_hour"]
        written = f"{hourly:.0f}" if hourly >= 100 else f"{hourly:.3g}"
        out.print(f"{written} items an hour over the last {over}; {duration(speed['left_s'])} left")
    elif view.known.running and told["last"]:
        out.print(f"no item ended in the last {duration(time.time() - told['last'])}", style="yellow")


def _bar(counts: dict[str, int], items: int) -> str:
    """Return what is done, bad, running and waiting as one bar, in the colours of the outcomes."""
    done, running = counts[records.DONE], counts[records.RUNNING]
    bad = sum(counts[outcome] for outcome in records.BAD)
    parts, used = [], 0
    for count, colour in ((done, "green"), (bad, "red"), (running, "cyan")):
        wide = min(BAR - used, max(count > 0, round(BAR * count / items)))
        parts.append(f"[{colour}]{'━' * wide}[/{colour}]")
        used += wide
    return "".join([*parts, f"[dim]{'─' * (BAR - used)}[/dim] {done / items:.0%}"])


def _print_causes(view: JobView) -> None:
    """Print what went wrong, a line a cause, with what to do and the command that does it."""
    out, causes = console(), view.causes()
    for cause in causes[:MOST_CAUSES]:
        name = view.known.items[cause.items[0]].name
        more = f" (and {len(cause.items) - 1} more like it)" if len(cause.items) > 1 else ""
        out.print(f"[red]{cause.outcome}[/red] {escape(name)}: {escape(cause.message)}{more}")
        out.print(f"    {escape(cause.advice)}: {escape(cause.command)}")
    if len(causes) > MOST_CAUSES:
        out.print(f"… and {len(causes) - MOST_CAUSES} causes more; --json lists all")
