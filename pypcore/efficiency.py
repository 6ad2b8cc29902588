"""What a job asked for against what it used, and the request that would have been enough.

Only records are read. Enough is the 99th percentile of what was used and a fifth more, rounded up to what people
write; where a limit was broken, the most that was seen takes the place of the percentile. Memory is in MiB and
walltime in seconds, as in ``resources.py``.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pypcore import records
from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.records import Record, read_record_file
from pypcore.resources import (
    MIB_PER_GB,
    PhaseResources,
    SplitResources,
    format_gres,
    format_walltime,
)
from pypcore.status import Status, read_status

SCHEMA = 1
TARGET_S = 600.0  # long beside the seconds an element costs to start, short beside what a lost node takes with it
ROUND = 0.98  # of the workers are given a last bundle where every bundle counts
SHARE = 0.99
MARGIN = 1.2
LEAST_MEMORY = 512  # MiB for a task: the interpreter and its libraries, and what SLURM counts beside them
MEMORY_STEPS = ((2, 0.1), (8, 0.5), (64, 1.0), (math.inf, 8.0))  # below so many GB round up to a multiple of
WALLTIME_STEPS = ((3600, 300), (6 * 3600, 900), (math.inf, 3600))  # the same in seconds; 5 minutes at least
MEASURED = ("wall_s", "cpu_s", "peak_mib")


@dataclass(frozen=True)
class Use:
    """One resource of one phase: what was asked, and of what was used the median, the 99th percentile, the most."""

    asked: float
    median: float
    high: float
    most: float
    enough: float

    @property
    def share(self) -> float:
        """The part of what was asked that was used at the 99th percentile."""
        return self.high / self.asked


@dataclass(frozen=True)
class PhaseUse:
    """One phase. ``tasks`` are those measured; of Split, the finished items."""

    phase: str
    tasks: int
    memory: Use
    """MiB of a task."""
    threads: Use
    """CPUs kept busy, CPU time over wall time."""
    cpu_share: float
    """CPU time over wall time times threads, of all tasks together."""
    walltime: Use
    """Seconds of a bundle (in Launch and Merge, of the phase), as long as the worker's start-up apart."""
    gres: str
    flags: tuple[str, ...]
    """The options that would have been enough."""
    broken: int = 0
    """Tasks that were ended for going over memory or walltime."""


@dataclass(frozen=True)
class Efficiency:
    """The phases that were measured. ``bundle_size`` is the one that makes elements of about ten minutes."""

    job: str
    operation: str
    items: int
    phases: tuple[PhaseUse, ...]
    seconds_per_item: float
    bundle_size_asked: int
    bundle_size: int

    @property
    def flags(self) -> str:
        """The options of all phases, ready to paste."""
        return " ".join(flag for phase in self.phases for flag in phase.flags)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: memory in MiB, times in seconds. GPUs are not measured: null."""
        told = asdict(self)
        for row, phase in zip(told["phases"], self.phases, strict=True):
            row["gpu"] = None
            for name in ("memory", "threads", "walltime"):
                row[name]["share"] = getattr(phase, name).share
        return {"schema": SCHEMA, **told, "flags": self.flags}


def efficiency(status: Status, launch: Record | None = None) -> Efficiency:
    """Compare what was asked with what was used; ``launch`` is the record of Launch, where there is one.

    UsageError while no item has finished.
    """
    walls = [_wall(state) for state in status.states]
    measured = [wall for wall in walls if wall is not None]
    if not measured:
        raise UsageError(f"{status.job.folder}: no item has finished yet, so nothing is measured; ask again later")
    resources = status.request.resources
    mean = sum(measured) / len(measured)
    bundle_size = _bundle_size(mean, len(walls), resources.split)
    split = _split(status, resources.split, walls, bundle_size)
    phases = [split]
    if launch is not None:
        phases.insert(0, _single("Launch", resources.launch, launch))
    if status.merge is not None and _is_measured(status.merge):
        phases.append(_single("Merge", resources.merge, status.merge))
    return Efficiency(
        job=str(status.job.folder),
        operation=status.request.operation,
        items=len(walls),
        phases=tuple(phases),
        seconds_per_item=mean,
        bundle_size_asked=resources.split.bundle_size,
        bundle_size=bundle_size,
    )


def last_launch(job: Job) -> Record | None:
    """Return the newest record of a Launch that was a job of its own (``records/NNNN-launch.jsonl``), if any."""
    known = (record for file in job.records.glob("*-launch.jsonl") for record in read_record_file(file))
    launches = [record for record in known if record["event"] == "launch" and _is_measured(record)]
    return max(launches, key=lambda record: float(record["time"]), default=None)


# ---- bundles ----------------------------------------------------------------------------------------------


def bundle_size_for(
    seconds_per_item: float,
    n_items: int,
    *,
    target_s: float = TARGET_S,
    at_once: int | None = None,
    most_elements: int | None = None,
) -> int:
    """Return how many items make a bundle of about ``target_s`` seconds.

    Less where the bundles would not keep ``at_once`` workers busy; more where there would be more than
    ``most_elements`` bundles, which the cluster doesn't take: then they make whole rounds of ``at_once``, a little
    less for what is done again when a node fails. UsageError where no time was measured.
    """
    if not seconds_per_item > 0:
        raise UsageError(f"{seconds_per_item:g} seconds an item is no measure; give --bundle-size as a number")
    size = max(1, round(target_s / seconds_per_item))
    if at_once:
        size = min(size, -(-n_items // at_once))
    if most_elements and -(-n_items // size) > most_elements:
        rounds = most_elements // at_once if at_once else 0
        size = math.ceil(n_items / (rounds * at_once * ROUND if at_once and rounds else most_elements))
    return max(1, min(size, n_items))


def measured_bundle_size(job: Job, *, most_elements: int | None = None) -> int:
    """Return the bundle size for ``--bundle-size auto``, from the seconds that the job's own items took.

    UsageError where none has finished.
    """
    status = read_status(job) if job.exists() else None
    measured = [wall for state in status.states if (wall := _wall(state)) is not None] if status else []
    if status is None or not measured:
        raise UsageError(
            f"{job.folder}: --bundle-size auto goes by the seconds that finished items took, and none has finished; "
            "give a number, or run a few items first"
        )
    mean = sum(measured) / len(measured)
    return _bundle_size(mean, len(status.items), status.request.resources.split, most_elements)


def _bundle_size(mean: float, n_items: int, split: SplitResources, most_elements: int | None = None) -> int:
    limits = [
        *([split.total_threads // split.threads] if split.total_threads else []),
        *([split.total_memory_limit // split.total_memory] if split.total_memory_limit else []),
    ]
    # An item that does nothing takes 0.000 s in its record.
    at_once = max(1, min(limits)) if limits else None
    return bundle_size_for(max(mean, 1e-3), n_items, at_once=at_once, most_elements=most_elements)


def bundle_walls(walls: Sequence[float | None], size: int) -> Iterator[float]:
    """Yield the seconds of each bundle with a finished item; an item that has not finished counts as their mean."""
    for first in range(0, len(walls), size):
        bundle = walls[first : first + size]
        known = [wall for wall in bundle if wall is not None]
        if known:
            yield sum(known) / len(known) * len(bundle)


# ---- phases -----------------------------------------------------------------------------------------------


def _wall(state: records.State) -> float | None:
    """Return the seconds of a finished item; None for others, whose time says how they failed."""
    if state.outcome != records.DONE or not state.record or not _is_measured(state.record):
        return None
    return float(state.record["wall_s"])


def _bundle_was_too_long(state: records.State, item_timeout: int) -> bool:
    """Say whether an item was ended by its bundle's walltime, not by its own limit."""
    if state.outcome != records.TIMEOUT:
        return False
    return not item_timeout or float((state.record or {}).get("wall_s", 0.0)) < item_timeout


def _is_measured(record: Record) -> bool:
    return all(record.get(key) is not None for key in MEASURED)


def _split(status: Status, asked: SplitResources, walls: Sequence[float | None], bundle_size: int) -> PhaseUse:
    done = [state.record for state, wall in zip(status.states, walls, strict=True) if wall is not None and state.record]
    over_memory = [
        float((state.record or {}).get("peak_mib", asked.total_memory))
        for state in status.states
        if state.outcome == records.MEMORY
    ]
    timeouts = sum(_bundle_was_too_long(state, status.request.policy.item_timeout) for state in status.states)
    memory = _memory([float(record["peak_mib"]) for record in done] + over_memory, asked, whole=bool(over_memory))
    threads, cpu_share = _threads(done, asked)
    used = list(bundle_walls(walls, asked.bundle_size))
    then = list(bundle_walls(walls, bundle_size))  # the flags are for bundles of the size they propose
    if timeouts:  # a bundle that was ended at the limit wanted at least all of it
        used.append(float(asked.walltime))
        then.append(asked.walltime / asked.bundle_size * bundle_size)
    walltime = _walltime(used, asked, then, whole=timeouts > 0)
    return PhaseUse(
        phase="Split",
        tasks=len(done),
        memory=memory,
        threads=threads,
        cpu_share=cpu_share,
        walltime=walltime,
        gres=format_gres(asked.gres),
        flags=(*_flags("", memory, threads, walltime), f"--bundle-size {bundle_size}"),
        broken=len(over_memory) + timeouts,
    )


def _single(phase: str, asked: PhaseResources, record: Record) -> PhaseUse:
    broken = record.get("outcome") in (records.MEMORY, records.TIMEOUT)
    memory = _memory([float(record["peak_mib"])], asked, whole=True)
    threads, cpu_share = _threads([record], asked)
    walltime = _walltime([float(record["wall_s"])], asked, [float(record["wall_s"])], whole=True)
    return PhaseUse(
        phase=phase,
        tasks=1,
        memory=memory,
        threads=threads,
        cpu_share=cpu_share,
        walltime=walltime,
        gres=format_gres(asked.gres),
        flags=_flags(f"{phase.lower()}-", memory, threads, walltime),
        broken=int(broken),
    )


def _memory(peaks: Sequence[float], asked: PhaseResources, *, whole: bool) -> Use:
    wanted = max(LEAST_MEMORY, _enough(peaks, whole))
    return Use(asked.total_memory, *_spread(peaks), enough=wanted)


def _threads(done: Sequence[Record], asked: PhaseResources) -> tuple[Use, float]:
    """Return the CPUs kept busy and the share of those held. Fewer are proposed, never more: more may not help."""
    held = [float(record["wall_s"]) * int(record.get("threads", asked.threads)) for record in done]
    busy = [float(record["cpu_s"]) / float(record["wall_s"]) for record in done if record["wall_s"] > 0] or [0.0]
    share = sum(float(record["cpu_s"]) for record in done) / sum(held) if sum(held) > 0 else 0.0
    enough = min(asked.threads, max(1, math.ceil(_enough(busy, False) - 0.25)))  # 1.2 of a thread is one thread
    return Use(asked.threads, *_spread(busy), enough=enough), share


def _walltime(used: Sequence[float], asked: PhaseResources, then: Sequence[float], *, whole: bool) -> Use:
    return Use(asked.walltime, *_spread(used), enough=round_up(_enough(then, whole), WALLTIME_STEPS))


def _flags(prefix: str, memory: Use, threads: Use, walltime: Use) -> tuple[str, ...]:
    per_thread = round_up(memory.enough / MIB_PER_GB / threads.enough, MEMORY_STEPS)
    fewer = (f"--{prefix}threads {threads.enough:g}",) if threads.enough < threads.asked else ()
    return (
        *fewer,
        f"--{prefix}memory {per_thread:g}",
        f"--{prefix}walltime {format_walltime(round(walltime.enough))}",
    )


def _enough(values: Sequence[float], whole: bool) -> float:
    return (max(values) if whole else percentile(values, SHARE)) * MARGIN


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return percentile(values, 0.5), percentile(values, SHARE), max(values)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the least of ``values`` that is no less than ``share`` of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def round_up(value: float, steps: Iterable[tuple[float, float]]) -> float:
    """Round up to a multiple of the step that goes with the size of ``value``; one step at least."""
    step = next(step for below, step in steps if value <= below)
    return round(max(1, math.ceil(round(value / step, 6))) * step, 6)
