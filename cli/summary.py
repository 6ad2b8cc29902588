"""What a run says before (``--dry-run``) and after."""

from collections import Counter
from typing import Any

from rich.markup import escape
from rich.table import Table

from pypcore import records
from pypcore.cli.common import console, duration, print_json, size
from pypcore.job import Job
from pypcore.launch import Launched
from pypcore.local import Outcome
from pypcore.resources import describe_walltime, format_gres, format_memory
from pypcore.status import read_status

MOST_ROWS = 200


def print_dry_run(job: Job, launched: Launched, origins: dict[str, str], at_once: int, *, as_json: bool) -> None:
    """Print what would be done, item by item, why, and with what."""
    request, todo = launched.request, set(launched.todo)
    rows = [
        {"name": item.name, "input": item.given, "action": "do" if item.index in todo else "skip", "reason": reason}
        for item, reason in zip(launched.items, launched.reasons, strict=True)
    ]
    if as_json:
        plan = launched.plan
        print_json(
            {
                "schema": 1,
                "job": str(job.folder),
                "operation": request.operation,
                "parameters": dict(request.parameters),
                "resources": request.resources.to_dict(),
                "origins": origins,
                "plan": {
                    "items": plan.items,
                    "bundle_size": plan.bundle_size,
                    "bundles": plan.bundles,
                    "concurrency": plan.concurrency,
                    "at_once_here": at_once,
                },
                "disk_bytes": launched.disk,
                "advice": launched.advice,
                "items": rows,
            }
        )
        return
    out = console()
    table = Table(title=f"{request.operation} -> {job.folder}", title_justify="left")
    for heading in ("item", "input", "action", "reason"):
        table.add_column(heading, overflow="fold")
    for row in rows[:MOST_ROWS]:
        colour = "green" if row["action"] == "do" else "dim"
        table.add_row(
            *(escape(row[key]) for key in ("name", "input")), row["action"], escape(row["reason"]), style=colour
        )
    out.print(table)
    if len(rows) > MOST_ROWS:
        out.print(f"… and {len(rows) - MOST_ROWS} more; --json lists all")
    _print_settings(launched, origins)
    split = request.resources.split
    out.print(
        f"\n{len(todo)} of {len(rows)} items to do, {launched.plan.bundles} bundles of {launched.plan.bundle_size}, "
        f"{at_once} at a time here (the request allows {launched.plan.concurrency})"
    )
    gres = f", {format_gres(split.gres)}" if split.gres else ""
    out.print(
        f"each task: {split.threads} threads, {format_memory(split.total_memory)} memory{gres}; "
        f"each bundle: {describe_walltime(split.walltime)} at most"
    )
    out.print(f"disk: about {size(launched.disk)} of products")
    if launched.advice:
        out.print(f"[yellow]{escape(launched.advice)}[/yellow]")
    if launched.overwritten:
        out.print(
            f"[yellow]{launched.overwritten} finished items would be made again "
            f"({escape(', '.join(launched.because))}): that needs --redo[/yellow]"
        )


def _print_settings(launched: Launched, origins: dict[str, str]) -> None:
    table = Table(title="Settings", title_justify="left")
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for key, value in launched.request.parameters.items():
        shown = "" if value is None else str(value)
        table.add_row(key.replace("_", "-"), escape(shown), escape(origins.get(key, "default")))
    for phase, keys in launched.request.resources.to_dict().items():
        for key, value in keys.items():
            short = key if phase in ("split", "placement") else f"{phase}_{key}"
            origin = origins.get(short) or origins.get(f"{phase}_{key}", "default")
            table.add_row(f"{phase} {key}".replace("_", "-"), escape(str(value)), escape(origin))
    console().print(table)


def print_outcome(job: Job, outcome: Outcome, *, as_json: bool) -> None:
    """Print how a run ended, where its products are, and what to do next."""
    status = read_status(job)
    if as_json:
        print_json(status.to_dict() | {"done_now": outcome.done_now, "exit_code": outcome.exit_code})
        return
    out = console()
    counts, folder = outcome.counts, escape(str(outcome.launched.request.job_as_given))
    nothing = not outcome.launched.todo and outcome.merged_before
    parts = [f"{counts[key]} {key}" for key in (*records.OUTCOMES, records.WAITING) if counts[key]]
    if nothing:
        out.print(f"Nothing to do: {', '.join(parts)}. Merge is up to date.")
    else:
        seconds = sum((state.record or {}).get("wall_s", 0.0) for state in _states_now(outcome))
        out.print(f"Split: {', '.join(parts)}; {outcome.done_now} done now, {duration(seconds)} of task time")
    if outcome.merge and outcome.merge["outcome"] != records.DONE:
        out.print(f"[red]Merge {outcome.merge['outcome']}[/red]: {escape(outcome.merge['message'])}")
    if status.aside:
        out.print(f"{len(status.aside)} put aside by --reject, out of Merge: {folder}/aside.jsonl says which and why")
    for kind, path in status.products().items():
        out.print(f"  {kind}: {escape(str(path))}")
    _print_next(outcome, folder, counts)


def _states_now(outcome: Outcome) -> list[Any]:
    return [outcome.states[index] for index in outcome.launched.todo]


def _print_next(outcome: Outcome, folder: str, counts: Counter[str] | dict[str, int]) -> None:
    out = console()
    if outcome.cancelled:
        out.print(f"[yellow]Stopped.[/yellow] Go on with: pypcore resume {folder}")
    elif outcome.missing:
        out.print(
            f"[yellow]{len(outcome.missing)} items are missing[/yellow], so there was no Merge. "
            f"Try them again: pypcore resume {folder}; or merge without them: pypcore resume {folder} --allow-missing"
            if outcome.merge is None
            else f"[yellow]{len(outcome.missing)} items are missing[/yellow] from Merge, as allowed."
        )
    if counts[records.FAILED]:
        out.print(
            f"{counts[records.FAILED]} items failed by their own fault: pypcore status {folder} lists them. "
            f"Replace a bad file and run: pypcore resume {folder}"
        )
