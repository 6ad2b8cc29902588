"""A model of a cluster that runs the arrays of a job: what was measured of SLURM, its limits, nodes that fail.

Elements are simulated one by one, items only as sums: a million items on a thousand nodes take a second.
"""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

from pypcore.plan import Plan

SBATCH_S = ((1, 0.047), (1_000, 0.050), (10_000, 0.092), (20_000, 0.128))  # measured: SLURM 22.05, two busy cores
SQUEUE_S_AN_ELEMENT = 0.0124e-3  # squeue -r: 244 ms for 20,000


@dataclass(frozen=True)
class Cluster:
    """A cluster; what is not measured is SLURM's default. Times in seconds."""

    nodes: int = 1_000
    tasks_a_node: int = 8
    max_array_size: int = 1_001
    max_job_count: int = 10_000
    starts_a_second: float = 39.0  # measured: 1,000 no-op elements in 25.7 s
    start_up_s: float = 5.0  # an interpreter and its imports from a shared file system
    failures_a_node_day: float = 0.01
    detect_s: float = 330.0  # SlurmdTimeout 300 and the 30 s between pings
    requeue_s: float = 120.0  # fixed in SLURM
    repair_s: float = 3_600.0
    poll_s: float = 30.0  # one squeue for the whole job

    @property
    def slots(self) -> int:
        return self.nodes * self.tasks_a_node


@dataclass
class Ran:
    """How a job went. ``lost_items`` were in hand when their node failed; nothing else was done twice."""

    elements: int
    wall_s: float
    ideal_s: float  # every slot busy with items from the first second to the last
    failures: int = 0
    requeued: int = 0
    lost_items: int = 0
    most_at_once: int = 0


def sbatch_s(elements: int) -> float:
    """Return what one sbatch of an array costs, between the measured points linearly."""
    for (low, fast), (high, slow) in pairwise(SBATCH_S):
        if elements <= high:
            return fast + (slow - fast) * max(0, elements - low) / (high - low)
    return SBATCH_S[-1][1] * elements / SBATCH_S[-1][0]


def simulate(cluster: Cluster, plan: Plan, lanes: int, item_s: float, spread_s: float, seed: int = 1) -> Ran:
    """Run a plan's chunks in ``lanes``, chunk after chunk in each; the lanes share the plan's concurrency."""
    return _Simulation(cluster, plan, lanes, item_s, spread_s, random.Random(seed)).run()


def balanced(plan: Plan) -> Plan:
    """Return a plan whose chunks, as many as before, are equally long."""
    return replace(plan, chunk_size=-(-plan.bundles // len(plan.chunks)))


class _Simulation:
    def __init__(
        self, cluster: Cluster, plan: Plan, lanes: int, item_s: float, spread_s: float, dice: random.Random
    ) -> None:
        self.cluster, self.plan, self.dice = cluster, plan, dice
        self.item_s = item_s
        self.left = [
            max(item_s, dice.gauss(item_s * len(bundle), spread_s * len(bundle) ** 0.5)) for bundle in plan
        ]  # seconds of work in each element
        chunks = [deque(range(chunk.first, chunk.first + chunk.count)) for chunk in plan.chunks]
        self.lanes = [deque(chunks[lane::lanes]) for lane in range(min(lanes, len(chunks)))]
        lanes = len(self.lanes)
        share, more = divmod(plan.concurrency, lanes)
        if plan.concurrency == plan.bundles:  # nothing is held back
            share = plan.bundles
        self.throttle = [share + (lane < more) for lane in range(lanes)]
        self.waiting: list[deque[int]] = [lane.popleft() for lane in self.lanes]
        self.unfinished = [len(chunk) for chunk in self.waiting]
        self.running = [0] * len(self.lanes)
        self.lane_of: dict[int, int] = {}
        self.free = [node for node in range(cluster.nodes) for _ in range(cluster.tasks_a_node)]
        dice.shuffle(self.free)
        self.on: list[dict[int, float]] = [{} for _ in range(cluster.nodes)]  # element -> when it began
        self.down = [False] * cluster.nodes
        self.events: list[tuple[float, int, str, int, int]] = []
        self.order = count()
        self.starts = [0] * len(self.left)  # an event of an earlier start is void
        self.next_start = 0.0
        self.done = 0
        self.ran = Ran(len(self.left), 0.0, sum(self.left) / cluster.slots)

    def run(self) -> Ran:
        self._next_failure(0.0)
        self._start(0.0)
        while self.done < len(self.left):
            now, _, kind, what, detail = heapq.heappop(self.events)
            match kind:
                case "end":
                    self._end(now, what, detail)
                case "fail":
                    self._fail(now, what)
                    self._next_failure(now)
                case "requeue":
                    self.waiting[self.lane_of[what]].appendleft(what)
                case "repair":
                    self.down[what] = False
                    self.free += [what] * self.cluster.tasks_a_node
            self._start(now)
            self.ran.wall_s = now
        return self.ran

    def _at(self, when: float, kind: str, what: int, detail: int = 0) -> None:
        heapq.heappush(self.events, (when, next(self.order), kind, what, detail))

    def _next_failure(self, now: float) -> None:
        a_second = self.cluster.failures_a_node_day * self.cluster.nodes / 86_400
        if a_second:
            self._at(now + self.dice.expovariate(a_second), "fail", self.dice.randrange(self.cluster.nodes))

    def _start(self, now: float) -> None:
        for lane, chunk in enumerate(self.waiting):
            while chunk and self.free and self.running[lane] < self.throttle[lane]:
                element, node = chunk.popleft(), self.free.pop()
                when = max(now, self.next_start)
                self.next_start = when + 1 / self.cluster.starts_a_second
                self.lane_of[element] = lane
                self.starts[element] += 1
                self.running[lane] += 1
                self.on[node][element] = when + self.cluster.start_up_s
                end = when + self.cluster.start_up_s + self.left[element]
                self._at(end, "end", element, node * 1_000 + self.starts[element])
        self.ran.most_at_once = max(self.ran.most_at_once, sum(self.running))

    def _end(self, now: float, element: int, detail: int) -> None:
        node, start = divmod(detail, 1_000)
        if self.starts[element] != start or element not in self.on[node]:
            return
        del self.on[node][element]
        self.free.append(node)
        self.done += 1
        lane = self.lane_of[element]
        self.running[lane] -= 1
        self.unfinished[lane] -= 1
        if not self.unfinished[lane] and self.lanes[lane]:  # afterany: the next chunk of the lane may begin
            self.waiting[lane] = self.lanes[lane].popleft()
            self.unfinished[lane] = len(self.waiting[lane])

    def _fail(self, now: float, node: int) -> None:
        if self.down[node]:
            return
        self.down[node] = True
        self.ran.failures += 1
        self.free = [one for one in self.free if one != node]
        for element, began in self.on[node].items():
            worked = max(0.0, now - began)
            self.left[element] -= worked - worked % self.item_s  # finished items stay; the one in hand is lost
            self.running[self.lane_of[element]] -= 1
            self.ran.requeued += 1
            self.ran.lost_items += 1
            self._at(now + self.cluster.detect_s + self.cluster.requeue_s, "requeue", element)
        self.on[node].clear()
        self._at(now + self.cluster.repair_s, "repair", node)


def squeue_calls(cluster: Cluster, seconds: float) -> int:
    """Return how often somebody who watches all the time asks the controller."""
    return round(seconds / cluster.poll_s)


def squeue_s(elements: Sequence[int]) -> float:
    """Return what one squeue of all these arrays costs the controller."""
    return sum(elements) * SQUEUE_S_AN_ELEMENT


@dataclass(frozen=True)
class Calls:
    """Calls to a shared file system's metadata server for one thing that somebody waits for."""

    what: str
    count: int
    side_by_side: int = 1

    def seconds(self, latency_ms: float) -> float:
        return self.count * latency_ms / 1e3 / self.side_by_side


def file_calls(items: int, elements: int, running: int, products: int = 3) -> list[Calls]:
    """Count them for a job as it is programmed: looked up in the source, not measured."""
    return [
        Calls("Launch: a stat of each item", items),
        Calls("Launch of resume: a stat of each item and each product", items * (1 + products)),
        Calls("an element: its list, the manifest, record and log, scratch folder", 10),
        Calls("an item: each product made, synced, renamed, its folder synced, a stat", 5 * products),
        Calls("status, warm: a stat of each record file, those that run read", elements + 2 * running, 16),
        Calls("status, cold, and Merge: each record file opened and read", 3 * elements),
    ]
