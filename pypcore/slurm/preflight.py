"""Whether a cluster can ever run a job: asked before anything is queued, as SLURM lets the impossible wait for ever.

Pure. ``sbatch`` itself takes a walltime above its partition's, too much memory per CPU or a partition that is down
and leaves the job PENDING; what it does refuse, it refuses without saying what there is. Each problem here is one
line that ends with the nearest that would run. Accounts' and QOS's own limits are not looked at: ``--test-only`` is.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from shlex import quote

from pypcore.errors import UsageError
from pypcore.resources import (
    PhaseResources,
    Placement,
    Resources,
    SplitResources,
    format_gres,
    format_memory,
    format_walltime,
)
from pypcore.slurm.cluster import Cluster, Node, Partition, expand
from pypcore.slurm.features import named_features, wanted_by
from pypcore.slurm.fit import closest, fits, nearest_name

PHASES = ("launch", "split", "merge")
MOST_NAMED = 12  # features, partitions or nodes that a line names


@dataclass(frozen=True)
class Problem:
    """Why a phase (``"Split"``) can't run: one line, which ends with ``nearest``, the options that would."""

    phase: str
    message: str
    nearest: str = ""

    def __str__(self) -> str:
        return f"{self.phase}: {self.message}"


def check(
    resources: Resources,
    cluster: Cluster,
    *,
    elements: int,
    placements: Mapping[str, Placement] | None = None,
    phases: Sequence[str] = PHASES,
) -> list[Problem]:
    """List what keeps ``phases`` from ever running on ``cluster``; nothing: as far as it tells, they will.

    ``elements`` is the number of array elements of Split; ``placements`` say where each phase is to run, where a
    site template has it; else ``resources.placement`` holds for all.
    """
    problems = []
    for phase in phases:
        place = placements[phase] if placements else resources.placement
        problems += _Phase(phase, getattr(resources, phase), place, cluster).problems()
    if "split" in phases:
        problems += _check_elements(resources.split, cluster, elements)
    return problems


def largest_elements(cluster: Cluster) -> int:
    """Count the elements that one job may have: all jobs stay below MaxJobCount, and Launch and Merge are two."""
    return max(1, cluster.limits.max_job_count - 3)


def _check_elements(split: SplitResources, cluster: Cluster, elements: int) -> list[Problem]:
    if cluster.limits.max_array_size == 0:
        return [Problem("Split", "this cluster takes no arrays (MaxArraySize 0), and Split is one")]
    most = largest_elements(cluster)
    if elements <= most:
        return []
    bundle = -(-elements * split.bundle_size // most)
    return [
        Problem(
            "Split",
            f"{elements} elements are more than the {most} that fit beside Launch and Merge (MaxJobCount "
            f"{cluster.limits.max_job_count}; others' jobs count too); would run: --bundle-size {bundle}",
            f"--bundle-size {bundle}",
        )
    ]


@dataclass(frozen=True)
class _Phase:
    """One phase against the cluster."""

    phase: str
    task: PhaseResources
    place: Placement
    cluster: Cluster

    def problems(self) -> list[Problem]:
        asked = self.place.partition.split(",") if self.place.partition else [self.cluster.default_partition]
        partitions = [self.cluster.partitions[name] for name in asked if name in self.cluster.partitions]
        if len(partitions) < len(asked):
            return [self._unknown_partition(name) for name in asked if name not in self.cluster.partitions]
        if wrong := [*self._unknown_features(), *self._unknown_nodes()]:
            return wrong
        # SLURM runs a job in whichever of its partitions can: the one with the least against it is told of.
        found = min((self._in_partition(partition) for partition in partitions), key=len)
        elsewhere = self._elsewhere(asked) if found else ""
        return [self._with(problem, elsewhere) for problem in found]

    # ---- names

    def _unknown_partition(self, name: str | None) -> Problem:
        known = self.cluster.partitions
        if name is None:
            return self._problem(f"no partition is the default here: name one of {_list(known)}")
        return self._unknown("partition", name, known)

    def _unknown_features(self) -> list[Problem]:
        known = {feature for node in self.cluster.nodes for feature in node.features}
        try:
            asked = named_features(self.place.constraint or "")
        except UsageError as error:
            return [self._problem(str(error))]
        return [self._unknown("constraint", name, known, "feature") for name in asked if name not in known]

    def _unknown_nodes(self) -> list[Problem]:
        known = {node.name for node in self.cluster.nodes}
        try:
            unknown = [name for name in self._excluded if name not in known]
        except UsageError as error:
            return [self._problem(str(error))]
        # SLURM refuses the job; a node that is spelled alike is another one, and no help.
        given = quote(self.place.exclude or "")
        return [self._problem(f"--exclude {given}: not nodes of this cluster: {_list(unknown)}")] if unknown else []

    def _unknown(self, option: str, name: str, known: Collection[str], what: str = "") -> Problem:
        """Name the nearest that there is, in the whole of what was given: ``a100&fsat`` -> ``a100&fast``."""
        given, near = getattr(self.place, option), nearest_name(name, known)
        meant = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", near or name, given)
        nearest = f"--{option} {quote(meant)}" if meant != given else ""
        question = f"; did you mean '{near}'?" if near else f"; there are {_list(known) or 'none'}"
        return self._problem(f"no {what or option} is called '{name}'{question}", nearest)

    @cached_property
    def _excluded(self) -> list[str]:
        return expand(self.place.exclude or "")

    # ---- one partition

    def _in_partition(self, partition: Partition) -> list[Problem]:
        """Say what is against running in a partition; of one that is closed to all such jobs, only that."""
        name, found = partition.name, []
        if partition.state != "UP":
            held = "a job would wait for it" if partition.state == "DOWN" else "it takes no jobs"
            return [self._problem(f"partition {name} is {partition.state}: {held}")]
        if partition.min_nodes > 1:
            return [self._problem(f"partition {name} takes only jobs of {partition.min_nodes} nodes or more")]
        if not self.cluster.nodes_of(name):
            return [self._problem(f"partition {name} has no nodes")]
        for what, given, allowed in (
            ("account", self.place.account, partition.accounts),
            ("qos", self.place.qos, partition.qos),
        ):
            if given and allowed is not None and given not in allowed:
                near = nearest_name(given, allowed)
                found.append(
                    self._problem(
                        f"partition {name} is not open to {what} '{given}', only to {_list(allowed)}",
                        f"--{what} {near}" if near else "",
                    )
                )
        found += self._time(partition)
        found += self._memory_per_thread(partition)
        found += self._on_a_node(partition)
        return found

    def _time(self, partition: Partition) -> list[Problem]:
        asked = -(-self.task.walltime // 60) * 60  # SLURM's limits are whole minutes, rounded up
        most = partition.max_time
        if most is None or asked <= most:
            return []
        what = f"walltime {format_walltime(self.task.walltime)} is above partition {partition.name}'s MaxTime"
        return [self._problem(what, f"{self._option('walltime')} {format_walltime(most)}")]

    def _memory_per_thread(self, partition: Partition) -> list[Problem]:
        most = partition.max_memory_per_cpu
        if most is None or self.task.memory <= most:
            return []
        threads = -(-self.task.total_memory // most)  # the same memory with more threads, where they are to be had
        nearest = f"{self._option('memory')} {format_memory(most)}"
        if threads <= max((node.cpus for node in self._nodes(partition) if node.usable), default=0):
            nearest = f"{self._option('threads')} {threads} {nearest}"
        what = (
            f"{format_memory(self.task.memory)} a thread is above partition {partition.name}'s MaxMemPerCPU of "
            f"{format_memory(most)}: SLURM would take more cores than asked for, or never start it"
        )
        return [self._problem(what, nearest)]

    def _nodes(self, partition: Partition) -> list[Node]:
        """Return the nodes that it may be put on, each with what a job may have of it."""
        wanted, excluded = wanted_by(self.place.constraint or ""), set(self._excluded)
        cpus, memory = partition.max_cpus_per_node, partition.max_memory_per_node
        return [
            replace(node, cpus=min(node.cpus, cpus or node.cpus), memory=min(node.memory, memory or node.memory))
            for node in self.cluster.nodes_of(partition.name)
            if wanted(node.features) and node.name not in excluded
        ]

    def _on_a_node(self, partition: Partition) -> list[Problem]:
        """Find a node that has threads, memory and gres together."""
        nodes = self._nodes(partition)
        there = f"of partition {partition.name}"
        if not nodes:
            asked = {"constraint": self.place.constraint, "exclude": self.place.exclude}
            given = " and ".join(f"--{option} '{value}'" for option, value in asked.items() if value)
            features = {one for node in self.cluster.nodes_of(partition.name) for one in node.features}
            return [self._problem(f"{given} leaves no node {there} (features there: {_list(features) or 'none'})")]
        usable = [node for node in nodes if node.usable]
        if any(fits(self.task, node) for node in usable):
            return []
        nearest = self._nearest(usable)
        if able := [node for node in nodes if fits(self.task, node)]:
            one = able[0]
            because = f" ({one.reason})" if one.reason else ""
            return [
                self._problem(
                    f"{self._describe()}: only {_list(node.name for node in able)} {there} could, and {one.name} is "
                    f"{one.state}{because}",
                    nearest,
                )
            ]
        lacks = self._lacks(nodes, there)
        return [self._problem(lacks or self._not_together(usable or nodes, there), nearest)]

    def _lacks(self, nodes: list[Node], there: str) -> str:
        """Say what no node has, each by itself; nothing where it's all there, but on different nodes."""
        lacks = []
        if self.task.threads > (cpus := max(node.cpus for node in nodes)):
            lacks.append(f"{self.task.threads} threads: no node {there} gives more than {cpus}")
        if self.task.total_memory > (memory := max(node.memory for node in nodes)):
            amount = f"{self.task.threads} x {format_memory(self.task.memory)}"
            lacks.append(f"{amount} memory: no node {there} gives more than {format_memory(memory)}")
        for gres in self.task.gres:
            if gres.count <= (most := max(node.count(gres.name, gres.type) for node in nodes)):
                continue
            kinds = _kinds(nodes, gres.name)
            if most:
                lacks.append(f"gres {gres}: no node {there} gives more than {most}")
            elif alike := [kind for kind in kinds if kind.casefold() == f"{gres.name}:{gres.type}".casefold()]:
                lacks.append(f"gres {gres}: types are case-sensitive, did you mean {alike[0]}:{gres.count}?")
            elif kinds:
                lacks.append(f"gres {gres}: no node {there} has that type; there are {_list(kinds)}")
            else:
                lacks.append(f"gres {gres}: no node {there} has any {gres.name}")
        return ", ".join(lacks)

    def _not_together(self, nodes: list[Node], there: str) -> str:
        near = min(nodes, key=lambda node: closest(self.task, node)[0])
        has = _and([f"{near.cpus} threads", format_memory(near.memory), *map(str, near.gres)])
        return f"{self._describe()}: no single node {there} has them together; the closest, {near.name}, has {has}"

    def _describe(self) -> str:
        task = self.task
        threads = f"{task.threads} thread{'s' if task.threads > 1 else ''}"
        return _and([threads, format_memory(task.total_memory), *map(str, task.gres)])

    # ---- the nearest

    def _nearest(self, nodes: list[Node]) -> str:
        """Return the options that change least and fit a node; nothing where a gres is on none of them."""
        _, best = min((closest(self.task, node) for node in nodes), key=lambda pair: pair[0], default=(0.0, None))
        if best is None:
            return ""
        changed = []
        if best.threads != self.task.threads:
            changed.append(f"{self._option('threads')} {best.threads}")
        if best.memory != self.task.memory:
            changed.append(f"{self._option('memory')} {format_memory(best.memory)}")
        if best.gres != self.task.gres:
            changed.append(f"{self._option('gres')} {format_gres(best.gres)}")
        return " ".join(changed)

    def _elsewhere(self, asked: Collection[str | None]) -> str:
        """Name another partition that would run it, of those that are open to all."""
        for name, partition in self.cluster.partitions.items():
            if name not in asked and partition.open_to_all and not self._in_partition(partition):
                return f"--partition {name}"
        return ""

    def _with(self, problem: Problem, elsewhere: str) -> Problem:
        if not elsewhere:
            return problem
        before = f"{problem.nearest} or " if problem.nearest else ""
        joint = " or " if problem.nearest else "; would run: "
        return Problem(problem.phase, problem.message + joint + elsewhere, before + elsewhere)

    def _option(self, name: str) -> str:
        return f"--{name}" if self.phase == "split" else f"--{self.phase}-{name}"

    def _problem(self, what: str, nearest: str = "") -> Problem:
        end = " Would run:" if what.endswith("?") else "; would run:"
        return Problem(self.phase.capitalize(), f"{what}{end} {nearest}" if nearest else what, nearest)


def _kinds(nodes: Iterable[Node], name: str) -> list[str]:
    return sorted({offer.kind for node in nodes for offer in node.gres if offer.name == name})


def _list(names: Iterable[str]) -> str:
    """Name them all, or the first and how many more."""
    named = sorted(names)
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return ", ".join(named[:MOST_NAMED]) + more


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
