"""What a SLURM cluster offers: its nodes, partitions and limits, from ``scontrol show``.

Pure: text in, tables out; ``read_cluster`` takes whatever can ask. ``scontrol`` needs no rights and no accounting,
and says more than ``sinfo``: features, limits of a partition, why a node is down. Both of its layouts are read, one
line a record (``-o``) and several. Held against SLURM 22.05 and 23.11.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from pypcore.errors import SetupError, UsageError

# A node in one of these gives no job anything; MAINT ends by itself, and POWERED_DOWN is woken by a job.
UNUSABLE = {"DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "ERROR", "FUTURE", "UNKNOWN", "INVAL"}
UNUSABLE |= {"INVALID_REG", "NOT_RESPONDING", "NO_RESPOND"}


@dataclass(frozen=True)
class Offer:
    """A generic resource of a node, spelled as it must be asked for; ``type`` is empty where it has none."""

    name: str
    type: str
    count: int

    @property
    def kind(self) -> str:
        """Name it without its count: ``gpu:H100``."""
        return f"{self.name}:{self.type}" if self.type else self.name

    def __str__(self) -> str:
        return f"{self.kind}:{self.count}"


@dataclass(frozen=True)
class Node:
    """A node: CPUs and memory (MiB) that jobs may have, its gres, features, partitions, and its state."""

    name: str
    cpus: int
    memory: int
    gres: tuple[Offer, ...] = ()
    features: frozenset[str] = frozenset()
    partitions: tuple[str, ...] = ()
    state: str = "IDLE"
    reason: str = ""
    """Why an administrator, or SLURM, took it out."""

    @property
    def usable(self) -> bool:
        """Say whether jobs can start here, now or when others have ended."""
        return not self.state.endswith("*") and not UNUSABLE & set(self.state.split("+"))

    def count(self, name: str, type: str | None) -> int:
        """Count what it has of a gres; without a type, of all types together."""
        return sum(offer.count for offer in self.gres if offer.name == name and type in (None, offer.type))


@dataclass(frozen=True)
class Partition:
    """A partition: whether it takes jobs, and its limits; None is no limit. Times in seconds, memory in MiB."""

    name: str
    default: bool = False
    state: str = "UP"
    max_time: int | None = None
    max_memory_per_cpu: int | None = None
    max_memory_per_node: int | None = None
    max_cpus_per_node: int | None = None
    min_nodes: int = 0
    accounts: frozenset[str] | None = None
    """Accounts that it is open to; None: not limited to some."""
    qos: frozenset[str] | None = None
    open_to_all: bool = True
    """Neither users' groups nor accounts, QOS or reservations decide who may use it."""


@dataclass(frozen=True)
class Limits:
    """What the controller's configuration says about the whole cluster."""

    name: str = ""
    version: str = ""
    max_array_size: int = 1001
    """Indices of an array are below this; 0 where the site has switched arrays off."""
    max_job_count: int = 10_000
    """Jobs that the controller holds, everybody's: each element is one, and those that ended stay a while."""
    min_job_age: int = 300
    """Seconds for which ``squeue`` still knows a job that has ended; 0 is for ever."""
    accounting: bool = False
    """Whether ``sacct`` has anything to tell."""
    max_memory_per_cpu: int | None = None
    max_memory_per_node: int | None = None


@dataclass(frozen=True)
class Cluster:
    """A cluster: partitions by name, nodes, limits."""

    partitions: dict[str, Partition] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def default_partition(self) -> str | None:
        """Name the partition of jobs that ask for none."""
        return next((name for name, partition in self.partitions.items() if partition.default), None)

    def nodes_of(self, partition: str) -> list[Node]:
        """Return a partition's nodes, those that are down too."""
        return [node for node in self.nodes if partition in node.partitions]

    def gres_of(self, partition: str) -> dict[str, int]:
        """Return each kind of gres (``gpu:H100``) of a partition and the most that one node of it has."""
        most: dict[str, int] = {}
        for node in self.nodes_of(partition):
            for offer in node.gres:
                most[offer.kind] = max(offer.count, most.get(offer.kind, 0))
        return dict(sorted(most.items()))


class Asks(Protocol):
    """What can be asked: the client, or a test."""

    def scontrol_show(self, what: str) -> str:
        """Return what ``scontrol show`` says about ``config``, ``partition`` or ``node``."""
        ...


def read_cluster(client: Asks) -> Cluster:
    """Ask for configuration, partitions and nodes. Errors are the client's; SetupError for text that can't be read."""
    limits = parse_config(client.scontrol_show("config"))
    partitions = parse_partitions(client.scontrol_show("partition"), limits)
    return Cluster(partitions, parse_nodes(client.scontrol_show("node")), limits)


def parse_config(text: str) -> Limits:
    """Read ``scontrol show config``."""
    pairs = {key: value.strip() for key, value in re.findall(r"^(\w+)[ \t]*=[ \t]*(.*)$", text, re.MULTILINE)}
    with _reading("config", text):
        return Limits(
            name=pairs.get("ClusterName", ""),
            version=pairs["SLURM_VERSION"],
            max_array_size=int(pairs["MaxArraySize"]),
            max_job_count=int(pairs["MaxJobCount"]),
            min_job_age=int(pairs["MinJobAge"].split()[0]),
            accounting=pairs["AccountingStorageType"].rpartition("/")[2] not in ("none", "(null)", ""),
            max_memory_per_cpu=_limit(pairs.get("MaxMemPerCPU")),
            max_memory_per_node=_limit(pairs.get("MaxMemPerNode")),
        )


def parse_partitions(text: str, limits: Limits | None = None) -> dict[str, Partition]:
    """Read ``scontrol show partition``; where a partition has no limit of memory, the cluster's holds."""
    limits = limits or Limits()
    found = {}
    for pairs in _records("PartitionName", text):
        with _reading(f"partition {pairs['PartitionName']}", text):
            per_cpu, per_node = _limit(pairs.get("MaxMemPerCPU")), _limit(pairs.get("MaxMemPerNode"))
            if per_cpu is None and per_node is None:
                per_cpu, per_node = limits.max_memory_per_cpu, limits.max_memory_per_node
            found[pairs["PartitionName"]] = Partition(
                name=pairs["PartitionName"],
                default=pairs["Default"] == "YES",
                state=pairs["State"],
                max_time=_seconds(pairs["MaxTime"]),
                max_memory_per_cpu=per_cpu,
                max_memory_per_node=per_node,
                max_cpus_per_node=_limit(pairs.get("MaxCPUsPerNode")),
                min_nodes=int(pairs.get("MinNodes", "0")),
                accounts=_names(pairs.get("AllowAccounts")),
                qos=_names(pairs.get("AllowQos")),
                open_to_all=_open_to_all(pairs),
            )
    return found


def parse_nodes(text: str) -> tuple[Node, ...]:
    """Read ``scontrol show node``."""
    nodes = []
    for pairs in _records("NodeName", text):
        with _reading(f"node {pairs['NodeName']}", text):
            nodes.append(
                Node(
                    name=pairs["NodeName"],
                    # CPUs that a site keeps for the system are in CPUTot, not in CPUEfctv (SLURM 22.05 and newer).
                    cpus=int(pairs.get("CPUEfctv", pairs["CPUTot"])),
                    memory=int(pairs["RealMemory"]) - int(pairs.get("MemSpecLimit", "0")),
                    gres=parse_offers(pairs.get("Gres", "")),
                    features=_names(pairs.get("AvailableFeatures")) or frozenset(),
                    partitions=tuple(pairs["Partitions"].split(",")) if pairs.get("Partitions") else (),
                    state=pairs["State"],
                    reason=re.sub(r"\s*\[[^\[\]]*@[^\[\]]*\]$", "", pairs.get("Reason", "")),
                )
            )
    return tuple(nodes)


def parse_offers(text: str) -> tuple[Offer, ...]:
    """Read a node's gres: ``gpu:a100:4(S:0-1),gpu:1g.10gb:7,shard:16,lustre:no_consume:4K``.

    What stands in brackets (sockets, indices) says where a device is, and plays no part in asking for it.
    """
    counts: dict[tuple[str, str], int] = {}
    for part in re.sub(r"\([^()]*\)", "", text).split(","):
        name, *rest = (field for field in part.strip().split(":") if field != "no_consume")
        amount = re.fullmatch(r"(\d+)([KMGTP]?)", rest[-1]) if rest else None
        count = int(amount[1]) * 1024 ** " KMGTP".index(amount[2] or " ") if amount else 1
        kind = name, ":".join(rest[:-1] if amount else rest)
        if name:  # one type may be listed more than once, a part for each socket
            counts[kind] = counts.get(kind, 0) + count
    return tuple(Offer(*kind, count) for kind, count in counts.items())


def expand(hosts: str) -> list[str]:
    """Write out SLURM's list of hosts: ``n[1-2,07],x3`` is n1, n2, n07, x3. UsageError for an endless one."""
    found: list[str] = []
    for part in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", hosts):
        names = [""]
        for text, ranges in re.findall(r"([^\[\]]+)|\[([^\]]*)\]", part):
            names = [name + end for name in names for end in ([text] if text else _numbers(ranges))]
        found += names
    return found


def _numbers(ranges: str) -> Iterator[str]:
    for one in ranges.split(","):
        first, _, last = one.partition("-")
        if first.isdigit() and last.isdigit():
            if int(last) - int(first) >= LONGEST_RANGE:
                raise UsageError(f"nodes [{ranges}]: more than {LONGEST_RANGE}; name fewer")
            yield from (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
        else:
            yield one


# ---- the text -------------------------------------------------------------------------------------------

_FREE = re.compile(r"\s(Reason|Comment|Extra)=")
LONGEST_RANGE = 65_536  # as SLURM's own: a slip of the finger must not fill the memory


class _reading:
    """Turn what a changed layout leads to into one line that says where."""

    def __init__(self, what: str, text: str) -> None:
        self.what, self.text = what, text

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, (KeyError, ValueError)):
            raise SetupError(f"scontrol show {self.what}: can't read {error} in {self.text[:60]!r}…") from error


def _records(first: str, text: str) -> Iterator[dict[str, str]]:
    """Yield the pairs of each record."""
    for record in re.split(rf"^(?={first}=)", text, flags=re.MULTILINE):
        if not record.startswith(f"{first}="):
            continue  # what stands before the first record, such as "No nodes in the system"
        known, *free = _FREE.split(record.strip())  # what people wrote may look like a pair, and go over lines
        pairs = [pair.partition("=") for pair in re.split(r"\s+(?=[A-Za-z][\w:/]*=)", known)]
        pairs += [(key, "=", value) for key, value in zip(free[::2], free[1::2], strict=True)]
        yield {key: "" if value == "(null)" else " ".join(value.split()) for key, _, value in reversed(pairs)}


def _limit(value: str | None) -> int | None:
    return None if value in (None, "", "UNLIMITED", "(null)", "0") else int(value or 0)


def _seconds(value: str) -> int | None:
    if value in ("UNLIMITED", "INFINITE", "NONE"):
        return None
    days, _, clock = value.rpartition("-")
    hours, minutes, seconds = clock.split(":")
    return int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def _names(value: str | None) -> frozenset[str] | None:
    return None if value in (None, "", "ALL", "(null)") else frozenset((value or "").split(","))


def _open_to_all(pairs: dict[str, str]) -> bool:
    allowed = all(pairs.get(key, "ALL") == "ALL" for key in ("AllowGroups", "AllowAccounts", "AllowQos", "AllocNodes"))
    denied = any(key in pairs for key in ("DenyAccounts", "DenyQos"))
    return allowed and not denied and pairs.get("RootOnly") != "YES" and pairs.get("ReqResv") != "YES"
