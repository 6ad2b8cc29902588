"""Submitting a job: Launch, an array (or several) for Split, and Merge, held together by dependencies.

Launch is a job of its own, or is done here on the login node; either way ``plan_and_submit`` does it. Split's
elements are ended whatever becomes of them (``afterany``): Merge looks at the records, not at SLURM's word.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from pypcore import relion_job
from pypcore.errors import UsageError
from pypcore.job import Job, Run
from pypcore.launch import Launched, check_disk, launch
from pypcore.local import Consent, describe_plan, redo_refused
from pypcore.merge import merge_is_current, what_to_merge
from pypcore.operations.on_device import device_asked
from pypcore.plan import array_spec, make_plan
from pypcore.products import remove_parts, write_text
from pypcore.records import Recorder, read_records
from pypcore.request import Request
from pypcore.resources import Resources
from pypcore.slurm.client import Client
from pypcore.slurm.cluster import Cluster, read_cluster
from pypcore.slurm.groups import Group, group_by_cause
from pypcore.slurm.preflight import check
from pypcore.slurm.script import Batch
from pypcore.slurm.submission import PHASES, Array, Site, Submission, write_elements
from pypcore.slurm.watch import settle_last
from pypcore.usage import Clock


@dataclass(frozen=True)
class Order:
    """How a job is to be submitted: Launch ``here`` or as a job, on what terms, through which site's settings."""

    launch_here: bool
    site: Site
    consent: Consent
    force: bool = False
    discover: bool = True


def submit(job: Job, request: Request, order: Order, client: Client, argv: Sequence[str]) -> Run:
    """Hand a job to SLURM; return its run. UsageError, SetupError: nothing was submitted."""
    refuse_auto(request)
    cluster = read_cluster(client)
    refuse_impossible(request.resources, order, cluster, elements=1)
    launched = launch_for(job, request, order) if order.launch_here else None
    if launched:  # refused before anything is made
        elements = sum(1 for group in group_by_cause(job, launched) for _ in group.elements)
        refuse_impossible(request.resources, order, cluster, elements=max(1, elements))
    job.create()
    settle_last(job)
    (job.logs / "slurm").mkdir(exist_ok=True)
    submission = Submission("", request.resources, order.site, order.consent, order.discover, order.force)
    run = job.claim(argv, submission.to_dict())
    submission.name = f"pypcore-{sha256(str(job.folder).encode()).hexdigest()[:8]}-{run.number:04d}"
    submission.save(job, run)
    write_text(request_file(job, run.number), request.to_toml())
    if not job.exists():  # else Launch compares with what is frozen before it takes its place
        job.freeze(request)
    try:
        if launched:
            plan_and_submit(job, run, request, launched, cluster, client)
        else:  # from here on the run's file is that job's to write
            batch = launch_batch(job, request, submission, run.number)
            submission.launch = _send(job, run, "launch", batch, client, submission)
            run.slurm = submission.to_dict()
    except BaseException as error:
        run.outcome, run.message, run.ended = "error", str(error), run.started
        job.write_run(run)
        raise
    return run


def launch_as_job(job: Job, number: int, client: Client) -> None:
    """Do Launch inside SLURM: what ``submit`` left for it."""
    clock, run = Clock(), job.read_run(number)
    file = request_file(job, number)
    request = Request.from_toml(file.read_text(encoding="utf-8", errors="surrogateescape"), str(file))
    submission = Submission.of(run)
    order = Order(True, submission.site, submission.consent, submission.force, submission.discover)
    launched = launch_for(job, request, order)
    plan_and_submit(job, run, request, launched, read_cluster(client), client)
    recorder = Recorder(job.records / f"{number:04d}-launch.jsonl")
    record = {"event": "launch", "time": round(time.time(), 3), "outcome": "done", "message": ""}
    recorder.append(record | clock.figures() | {"threads": submission.resources.launch.threads})
    recorder.close()


def plan_and_submit(job: Job, run: Run, request: Request, launched: Launched, cluster: Cluster, client: Client) -> None:
    """Write manifest, plan and elements, and submit Split and Merge."""
    submission = Submission.of(run)
    groups = group_by_cause(job, launched)
    refuse_impossible(
        request.resources,
        Order(True, submission.site, submission.consent, submission.force),
        cluster,
        elements=max(1, sum(len(group.elements) for group in groups)),
    )
    if relion_job.is_relion_job(job.folder):
        relion_job.forget(job.folder)
    remove_parts(job.folder)
    job.write_items(launched.items)
    job.freeze(request)
    write_text(job.plan_file, describe_plan(launched.plan, launched.plan.concurrency, launched.disk))
    if launched.sums:
        launched.sums.discard()
    if launched.advice:
        print(f"note: {launched.advice}", file=sys.stderr)
    of = what_to_merge(job, request, launched.items, launched.states)
    if not groups and merge_is_current(job, of, read_records(job.records)):
        run.outcome, run.message, run.ended = "done", "nothing to do", run.started
        job.write_run(run)
        return
    write_elements(job, run.number, (items for group in groups for items in group.elements))
    at_once = tasks_at_once(launched, groups)
    submission.arrays = arrays_of(groups, cluster.limits.max_array_size, at_once)
    submission.save(job, run)  # before anything is sent: an element may begin, and Merge end, before sbatch returns
    lanes = lanes_of(submission.arrays, at_once)
    try:
        for number, array in enumerate(submission.arrays):
            # The limit of tasks at once is shared out to so many arrays; each further one begins when one has ended.
            after = f"afterany:{submission.arrays[number - lanes].id}" if number >= lanes else ""
            batch = split_batch(job, request, submission, run.number, array, after)
            array.id = _send(job, run, f"split-{array.first}", batch, client, submission)
        batch = merge_batch(job, request, submission, run.number)
        submission.merge = _send(job, run, "merge", batch, client, submission)
    except BaseException:
        client.scancel(id_ for id_ in submission.ids() if id_ != submission.launch)
        raise
    run.slurm = submission.to_dict()


def refuse_auto(request: Request) -> None:
    """Raise UsageError for a device that is to be chosen from none: SLURM gives a task what was asked for, no more."""
    if device_asked(request) == "auto" and not request.resources.split.asks_gpu:
        raise UsageError(
            "device auto takes the GPUs that a task has, and on SLURM it has those that were asked for; give --device "
            "cuda, which asks for gpu:1, or auto with a --gres, or leave it out"
        )


def refuse_impossible(resources: Resources, order: Order, cluster: Cluster, *, elements: int) -> None:
    """Raise UsageError for what the cluster can never run; with ``force`` only say so."""
    problems = find_problems(resources, order, cluster, elements=elements)
    if problems and not order.force:
        raise UsageError(f"{'; '.join(problems)} (--force submits all the same)")
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)


def find_problems(resources: Resources, order: Order, cluster: Cluster, *, elements: int) -> list[str]:
    """Say what the cluster can never run of a request, a line each."""
    phases = PHASES[1:] if order.launch_here else PHASES
    found = check(resources, cluster, elements=elements, placements=order.site.placements, phases=phases)
    return [str(problem) for problem in found]


def arrays_of(groups: Sequence[Group], max_array_size: int, at_once: int) -> list[Array]:
    """Cut each group into arrays that SLURM takes; those that run side by side share ``at_once``."""
    arrays, first = [], 0
    for group in groups:
        # Elements are counted as items in bundles of one: their own items are in the list.
        plan = make_plan(len(group.elements), replace(group.resources, bundle_size=1), max_array_size=max_array_size)
        for chunk in plan.chunks:
            array = Array(first + chunk.first, chunk.count, "", group.resources, group.why, group.exclude)
            array.held = min(plan.concurrency, at_once)
            arrays.append(array)
        first += len(group.elements)
    lanes = lanes_of(arrays, at_once)
    share, more = divmod(at_once, lanes)
    for number, array in enumerate(arrays):
        array.held = min(array.held, share + (number % lanes < more))
        array.spec = array_spec(array.count, array.held)
    return arrays


def tasks_at_once(launched: Launched, groups: Sequence[Group]) -> int:
    """Return how many elements may run at once: what the totals allow, or all."""
    split = launched.request.resources.split
    if split.total_threads or split.total_memory_limit:
        return launched.plan.concurrency
    return sum(len(group.elements) for group in groups)


def lanes_of(arrays: Sequence[Array], at_once: int) -> int:
    """Return how many arrays run side by side: all, unless fewer tasks may run at once than there are arrays."""
    return max(1, min(len(arrays), at_once))


def launch_batch(job: Job, request: Request, submission: Submission, number: int) -> Batch:
    """Return the script of Launch."""
    return Batch(
        name=f"{submission.name}-launch",
        resources=submission.resources.launch,
        placement=submission.site.placements["launch"],
        setup=tuple(submission.site.setup["launch"]),
        command=(*_worker(job, number), "--launch"),
        folder=request.root,
        log=job.logs / "slurm" / f"{number:04d}-launch-%j.log",
    )


def split_batch(
    job: Job, request: Request, submission: Submission, number: int, array: Array, after: str = ""
) -> Batch:
    """Return the script of one array of Split."""
    place = submission.site.placements["split"]
    exclude = ",".join(part for part in (place.exclude, array.exclude) if part)
    return Batch(
        name=f"{submission.name}-split-{array.first}",
        resources=array.resources,
        placement=replace(place, exclude=exclude or None),
        setup=tuple(submission.site.setup["split"]),
        command=(*_worker(job, number), "--first", str(array.first)),
        folder=request.root,
        log=job.logs / "slurm" / f"{number:04d}-split-{array.first}-%A_%a.log",
        array=array.spec,
        dependency=after,
        warn=True,
    )


def merge_batch(job: Job, request: Request, submission: Submission, number: int) -> Batch:
    """Return the script of Merge."""
    # A dry run has no ids yet.
    ids = ":".join(str(array.id or "SPLIT_ID") for array in submission.arrays)
    return Batch(
        name=f"{submission.name}-merge",
        resources=submission.resources.merge,
        placement=submission.site.placements["merge"],
        setup=tuple(submission.site.setup["merge"]),
        command=(*_worker(job, number), "--merge"),
        folder=request.root,
        log=job.logs / "slurm" / f"{number:04d}-merge-%j.log",
        dependency=f"afterany:{ids}" if ids else "",
    )


def request_file(job: Job, number: int) -> Path:
    """Where the request of run ``number`` waits for its Launch."""
    return job.runs / f"{number:04d}.toml"


def last_site(job: Job) -> Site | None:
    """Return where the job's last submission ran; None when it was never submitted."""
    for file in sorted(job.runs.glob("[0-9]*.json"), reverse=True):
        run = job.read_run(int(file.stem))
        if run.slurm is not None:
            return Submission.of(run).site
    return None


def launch_for(job: Job, request: Request, order: Order) -> Launched:
    """Do Launch's planning; raise what ``run`` would raise."""
    launched = launch(job, request, retry_failed=order.consent.retry_failed, discover=order.discover)
    if launched.overwritten and not order.consent.redo:
        raise redo_refused(job, launched)
    if not order.consent.ignore_disk:
        check_disk(job, launched.disk)
    return launched


def _worker(job: Job, number: int) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "pypcore.cli.main", "worker", str(job.folder), "--run", str(number))


def _send(job: Job, run: Run, what: str, batch: Batch, client: Client, submission: Submission) -> int:
    script = job.runs / f"{run.number:04d}-{what}.sh"
    write_text(script, batch.render())
    if not submission.force:
        client.sbatch(script, test_only=True)  # the site's own limits, which no look at the nodes tells
    sent = client.submit(script, batch.name)
    try:
        write_text(job.id_file(run.number, what), f"{sent.job_id};{sent.cluster or ''}\n")
    except BaseException:  # nobody would know of it
        client.scancel([sent.job_id])
        raise
    submission.cluster = sent.cluster
    return sent.job_id
