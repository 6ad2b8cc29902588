"""Cancelling a run on SLURM, a phase of it, or items of any run."""

import signal
from collections.abc import Sequence

from pypcore.items import Item
from pypcore.job import Job, Run
from pypcore.products import write_text
from pypcore.slurm.client import Client
from pypcore.slurm.submission import PHASES, Submission, read_elements
from pypcore.slurm.watch import look

__all__ = ["PHASES", "cancel", "cancel_items", "cancel_submitted"]


def cancel(job: Job, run: Run, *, now: bool) -> None:
    """Ask whoever drives a run to stop, here, elsewhere or on SLURM; without ``now`` after the items in hand."""
    write_text(job.cancel_file, "now\n" if now else "finish\n")
    if run.slurm is not None:
        cancel_submitted(job, run, phase=None, now=now)


def cancel_submitted(job: Job, run: Run, *, phase: str | None, now: bool) -> None:
    """Take a run, or one ``phase`` of it, off SLURM; without ``now`` elements that run finish the item in hand.

    The job's cancel file, which the caller wrote, tells those elements.
    """
    submission = Submission.of(run)
    client = Client(cluster=submission.cluster)
    ids = {
        "launch": [submission.launch],
        "split": [array.id for array in submission.arrays],
        "merge": [submission.merge],
    }
    chosen = [id_ for name in PHASES if phase in (None, name) for id_ in ids[name] if id_ is not None]
    if now or phase is not None:
        client.scancel(chosen)
        return
    sight = look(job, run, client)
    waiting: list[int | str] = [
        f"{array.id}_{index}"
        for array in submission.arrays
        for index in range(array.count)
        if sight.split[array.first + index].state == "waiting"
    ]
    for id_, element in ((submission.launch, sight.launch), (submission.merge, sight.merge)):
        if id_ is not None and element is not None and element.state == "waiting":
            waiting.append(id_)
    if waiting:
        client.scancel(waiting)


def cancel_items(job: Job, run: Run, items: Sequence[Item]) -> None:
    """Leave ``items`` out of a run: those not begun are passed over, one in hand is ended; others go on."""
    with job.cancel_items_file.open("a", encoding="ascii") as out:
        out.writelines(f"{item.index}\n" for item in items)
    if run.slurm is None:
        return  # the pool looks at the file
    submission, wanted = Submission.of(run), {item.index for item in items}
    client = Client(cluster=submission.cluster)
    for number, of_element in enumerate(read_elements(job, run.number)):
        if wanted & set(of_element):
            for array in submission.arrays:
                if array.first <= number < array.first + array.count:
                    client.signal(f"{array.id}_{number - array.first}", signal.SIGUSR2)
