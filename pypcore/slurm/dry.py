"""What a submission would be: every script, every item with its reason, what it could cost; nothing is submitted."""

from dataclasses import dataclass
from typing import Any

from pypcore.job import Job
from pypcore.launch import Launched
from pypcore.request import Request
from pypcore.resources import PhaseResources, count_gpus
from pypcore.slurm.client import Client
from pypcore.slurm.cluster import read_cluster
from pypcore.slurm.groups import group_by_cause
from pypcore.slurm.submission import Submission
from pypcore.slurm.submit import (
    Order,
    arrays_of,
    find_problems,
    launch_batch,
    launch_for,
    merge_batch,
    refuse_auto,
    split_batch,
    tasks_at_once,
)

RUN = 0  # stands for the number that the run would get


@dataclass(frozen=True)
class Dry:
    """A submission that is not one. Hours are what all walltimes together would allow."""

    launched: Launched
    at_once: int
    scripts: dict[str, str]
    core_hours: float
    gpu_hours: float
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        todo = set(self.launched.todo)
        return {
            "schema": 1,
            "scripts": self.scripts,
            "core_hours": self.core_hours,
            "gpu_hours": self.gpu_hours,
            "disk_bytes": self.launched.disk,
            "at_once": self.at_once,
            "problems": self.problems,
            "items": [
                {"name": item.name, "action": "do" if item.index in todo else "skip", "reason": reason}
                for item, reason in zip(self.launched.items, self.launched.reasons, strict=True)
            ],
        }


def dry_run(job: Job, request: Request, order: Order, client: Client) -> Dry:
    """Return what ``submit`` would do."""
    refuse_auto(request)
    cluster = read_cluster(client)
    launched = launch_for(job, request, order)
    groups = group_by_cause(job, launched)
    submission = Submission("pypcore", request.resources, order.site, order.consent)
    submission.arrays = arrays_of(groups, cluster.limits.max_array_size, tasks_at_once(launched, groups))
    scripts = {}
    if not order.launch_here:
        scripts["Launch"] = launch_batch(job, request, submission, RUN).render()
    for array in submission.arrays:
        scripts[f"Split from element {array.first}"] = split_batch(job, request, submission, RUN, array).render()
    scripts["Merge"] = merge_batch(job, request, submission, RUN).render()
    phases: list[tuple[PhaseResources, int]] = [(array.resources, array.count) for array in submission.arrays]
    phases += [(request.resources.merge, 1), (request.resources.launch, 0 if order.launch_here else 1)]
    elements = max(1, sum(array.count for array in submission.arrays))
    return Dry(
        launched=launched,
        at_once=launched.plan.concurrency,
        scripts=scripts,
        core_hours=sum(task.threads * task.walltime * count for task, count in phases) / 3600,
        gpu_hours=sum(count_gpus(task.gres) * task.walltime * count for task, count in phases) / 3600,
        problems=find_problems(request.resources, order, cluster, elements=elements),
    )
