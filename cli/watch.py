"""``pypcore watch OPERATION FOLDER…``: keep up with a microscope."""

import inspect
import sys
import time
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from pypcore import records
from pypcore.cli.common import console, duration, print_json
from pypcore.cli.operation_command import operation_group, parameter
from pypcore.cli.progress import Shown
from pypcore.cli.submit import slurm_options
from pypcore.job import Job
from pypcore.launch import Launched
from pypcore.local import Consent
from pypcore.options import prepare
from pypcore.resources import parse_walltime
from pypcore.status import read_status
from pypcore.watching.here import watch_here
from pypcore.watching.intake import Intake, WatchOptions
from pypcore.watching.pace import Rates
from pypcore.watching.report import Standing, WatchListener, WatchOutcome

LINE_S = 30.0  # at least so long between two lines of how it stands
MOST_LEFT = 10
TIMES = ("quiet", "patience", "merge_every", "until_idle", "batch_wait")


def _watch(operation: str, inputs: list[str], output: Path, options: dict[str, Any]) -> None:
    config, as_json, dry = options.pop("config"), options.pop("json"), options.pop("dry_run")
    given = {name: options.pop(f"watch_{name}") for name in ("every", "expected", "batch", *TIMES)}
    on_slurm, force, site_file = options.pop("watch_submit"), options.pop("force"), options.pop("site")
    consent = Consent(options.pop("retry_failed"), options.pop("redo"), options.pop("ignore_disk"))
    times = {name: parse_walltime(given[name]) for name in TIMES if given[name] is not None}
    watching = WatchOptions(**{name: value for name, value in {**given, **times}.items() if value is not None})
    options["sbatch"] = options["sbatch"] or None
    prepared = prepare(operation, inputs, output, options, config=config)
    job, out = Job(output.absolute()), console(stderr=True)
    if dry:
        _print_dry(job, prepared.request, watching, as_json=as_json)
        return
    shown = Watched(out)
    with shown:
        if on_slurm:
            from pypcore.slurm.client import Client
            from pypcore.slurm.submit import Order
            from pypcore.slurm.template import read_site
            from pypcore.watching.batches import watch_on_slurm

            site = read_site(site_file, Path.cwd()).place(prepared.request.resources)
            order = Order(launch_here=True, site=site, consent=consent, force=force, discover=False)
            outcome = watch_on_slurm(job, prepared.request, order, watching, Client(), listener=shown, argv=sys.argv)
        else:
            outcome = watch_here(job, prepared.request, watching, listener=shown, consent=consent, argv=sys.argv)
    _print_outcome(job, prepared.request.job_as_given, outcome, as_json=as_json)
    raise typer.Exit(outcome.exit_code)


class Watched(Shown, WatchListener):
    """Shows how a watch stands: a line now and then, and at once what a user should know."""

    def __init__(self, out: Any) -> None:
        super().__init__(out)
        self.told_at = -LINE_S
        self.before = ""

    def planned(self, launched: Launched, at_once: int) -> None:
        """Nothing is planned: it comes as it comes."""

    def ended(self, record: records.Record) -> None:
        """Say how an item failed; those done are counted."""
        if record["outcome"] != records.DONE:
            self.failed += 1
            self._say_failure(record)

    def progressed(self, item: int, share: float) -> None:
        """There is no bar: nobody knows how many will come."""

    def merging(self) -> None:
        """Merge is nothing to tell of: it comes again and again."""

    def stopping(self, now: bool) -> None:
        """Say that the user's wish was heard."""
        text = "Stopping now" if now else "Ending after the items in hand; Ctrl-C again to stop now"
        self.console.print(text, style="yellow")

    def standing(self, standing: Standing) -> None:
        """Say how it stands, where that is another than before."""
        text = _line(standing)
        if text != self.before and time.monotonic() - self.told_at >= LINE_S:
            self.before, self.told_at = text, time.monotonic()
            self.console.print(f"{time.strftime('%H:%M:%S')} {escape(text)}")

    def note(self, text: str) -> None:
        """Say what a user should know."""
        self.console.print(escape(text), style="yellow")

    def behind(self, rates: Rates, here: bool) -> None:
        """Say that more arrives than is done, and what to do."""
        self.console.print(
            f"[bold yellow]falling behind[/bold yellow]: {rates.arriving:.3g} items a minute arrive, {rates.done:.3g} "
            f"are done, {rates.waiting} wait; " + _advice(here)
        )

    def keeping_up(self) -> None:
        """Say that it caught up."""
        self.console.print("caught up: nothing waits", style="green")


def _advice(here: bool) -> str:
    if here:
        return "let more run at once (--total-threads, --threads, --memory), or hand it to SLURM (--submit)"
    return "let more run at once (--total-threads, --partition), or larger batches (--batch)"


def _line(standing: Standing) -> str:
    parts = [f"{standing.done} done"]
    parts += [f"{standing.bad} failed"] if standing.bad else []
    parts += [f"{standing.in_hand} in hand", f"{standing.waiting} waiting"]
    parts += [f"{len(standing.not_whole)} not whole yet"] if standing.not_whole else []
    text = f"{standing.taken} taken: {', '.join(parts)}"
    rates = standing.rates
    if rates and not rates.behind and rates.catch_up_s and standing.waiting:
        text += f"; caught up in about {duration(rates.catch_up_s)}"
    return text


def _print_dry(job: Job, request: Any, options: WatchOptions, *, as_json: bool) -> None:
    """Look twice, and say what would be taken now and what not."""
    intake = Intake(job, request, list(job.items()) if job.exists() else [], options, lambda text: None)
    intake.arrivals.quiet = 0.0
    intake.arrivals.look()
    time.sleep(1.0)
    made, again = intake.look(lambda index: True, lambda index: False)
    left = intake.arrivals.waiting()
    if as_json:
        taken = [{"name": item.name, "input": item.given} for item in (*made, *again)]
        print_json({"schema": 1, "job": str(job.folder), "known": len(intake.items), "take": taken, "not_whole": left})
        return
    out = console()
    out.print(f"{len(intake.items)} items known; {len(made) + len(again)} would be taken now")
    for item in made:
        out.print(f"  {escape(item.given)}")
    for file, reason in left.items():
        out.print(f"  [dim]not yet: {escape(file)}: {escape(reason)}[/dim]")


def _print_outcome(job: Job, folder: str, outcome: WatchOutcome, *, as_json: bool) -> None:
    if as_json:
        left = {"not_whole": dict(outcome.left), "exit_code": outcome.exit_code}
        print_json((read_status(job).to_dict() if job.exists() else {}) | left)
        return
    out, counts = console(), outcome.counts
    told = [f"{counts[key]} {key}" for key in (*records.OUTCOMES, records.WAITING) if counts[key]]
    out.print(f"Watched: {', '.join(told) or 'nothing arrived'}")
    if outcome.merge and outcome.merge["outcome"] != records.DONE:
        out.print(f"[red]Merge {outcome.merge['outcome']}[/red]: {escape(outcome.merge['message'])}")
    status = read_status(job)
    if status.aside:
        out.print(f"{len(status.aside)} put aside by --reject; {escape(folder)}/aside.jsonl says which and why")
    for kind, path in status.products().items():
        out.print(f"  {kind}: {escape(str(path))}")
    for file, reason in list(outcome.left.items())[:MOST_LEFT]:
        out.print(f"[yellow]not taken[/yellow]: {escape(file)}: {escape(reason)}")
    if len(outcome.left) > MOST_LEFT:
        out.print(f"… and {len(outcome.left) - MOST_LEFT} more files that are not whole")
    if outcome.cancelled:
        out.print("[yellow]Stopped.[/yellow] Go on with the same command")
    elif outcome.missing or counts[records.FAILED]:
        out.print(f"pypcore status {escape(folder)} lists what failed; the same command tries again what may succeed")


def _options() -> list[inspect.Parameter]:
    # Operations have parameters of all kinds of names: these begin with the verb's.
    def option(*flags: str, **more: Any) -> Any:
        return typer.Option(*flags, rich_help_panel="Watching", show_default=False, **more)

    def of_time(name: str, text: str) -> inspect.Parameter:
        forms = " In the forms of walltime: 10 is minutes, 0:30 half a minute."
        return parameter(
            f"watch_{name}", str | None, option(f"--{name.replace('_', '-')}", metavar="TIME", help=text + forms), None
        )

    return [
        parameter(
            "watch_every",
            float | None,
            option("--every", min=0.05, help="Seconds between two looks. Default: 10."),
            None,
        ),
        parameter(
            "watch_expected",
            int | None,
            option(
                "--expect",
                min=1,
                help="Frames of a movie, or views of a tilt series: one with fewer is not whole. Default: as most had.",
            ),
            None,
        ),
        of_time("quiet", "How long a file must be unchanged. Default: two looks; an mdoc 5 minutes, without --expect."),
        of_time("patience", "Then a file that is not whole is taken as it is, to fail by itself. Default: 10."),
        of_time("merge_every", "How often Merge takes in what is done. Default: 5."),
        of_time("until_idle", "End when nothing came for so long. Default: go on until Ctrl-C."),
        parameter("watch_submit", bool, option("--submit", help="Submit what arrives to SLURM, in batches."), False),
        parameter(
            "watch_batch",
            int | None,
            option("--batch", min=1, help="With --submit: items that make a batch. Default: 100."),
            None,
        ),
        of_time(
            "batch_wait", "With --submit: a smaller batch goes when its first item has waited so long. Default: 5."
        ),
        *(one for one in slurm_options() if one.name != "launch"),
    ]


app = typer.Typer(
    cls=operation_group(_watch, _options),
    no_args_is_help=True,
    help="Keep up with a microscope: pypcore watch OPERATION FOLDER… -o JOB.\n\n"
    "New files are taken when they are whole and at rest, and done as they come, on this machine or (--submit) on "
    "SLURM. Ctrl-C ends it; the same command goes on.",
    epilog="Example: pypcore watch motioncorr raw -o motion --pixel-size 1.06 --dose 1.25 --voltage 300 "
    "--reject 'motion_total > 50' --until-idle 2:00:00",
)


@app.callback()
def _group() -> None:
    pass
