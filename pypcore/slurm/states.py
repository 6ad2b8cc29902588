"""What SLURM says of a job's elements, in fewer words: waiting, running or ended, why, and what can be done.

Pure: texts of ``squeue``, ``sacct`` and job logs in, values out (``client.py`` gets the texts). Elements are keyed by
(array, task), never by raw job ids, which SLURM deals out in an order of its own. What SLURM says tells whether to
go on waiting and why something ended; whether an item is done its record alone tells.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["waiting", "running", "ended"]
Cause: TypeAlias = Literal["done", "failed", "timeout", "memory", "node", "preempted", "cancelled", "unknown"]
Key: TypeAlias = tuple[int, int | None]
"""Array and task; no task: a job that is no array, or (``find``) all of an array that has no line of its own."""

_WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "CONFIGURING"}
_ENDED: dict[str, Cause] = {
    "COMPLETED": "done",
    "FAILED": "failed",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "memory",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "preempted",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "LAUNCH_FAILED": "node",
}
_NOT_STARTED = (0, 53)  # exit code of a job whose node could not open its log or enter its folder


@dataclass(frozen=True)
class Element:
    """One element of an array, or one job, as SLURM sees it."""

    state: Phase
    cause: Cause | None = None
    """Why it ended; None before."""
    reason: str = ""
    """SLURM's reason, for ``explain``; empty when it gave none."""
    node: str = ""
    exit_code: tuple[int, int] | None = None
    """(exit status, signal); None when SLURM did not tell (``squeue`` does not)."""
    said: str = ""
    """SLURM's own word for the state: ``PENDING``, ``NODE_FAIL``."""

    @property
    def never(self) -> bool:
        """Say whether it waits for what will not come by itself."""
        return self.state == "waiting" and explain(self.reason).never


# ---- texts ----------------------------------------------------------------------------------------------


def parse_squeue(text: str) -> dict[Key, Element]:
    """Read ``client.QUEUE_FORMAT``."""
    found: dict[Key, Element] = {}
    for row in _rows(text, 6):
        array, tasks, said, reason, node, _ = row
        reason = "" if reason.strip() == "None" else reason.strip()
        for task in [None] if tasks == "N/A" else expand(tasks):
            found[int(array), task] = _element(said, reason, node)
    return found


def parse_sacct(text: str) -> dict[Key, Element]:
    """Read ``client.ACCOUNT_FORMAT``. The elements of an array that never started may share one line (``find``)."""
    found: dict[Key, Element] = {}
    for name, said, code, node in _rows(text, 4):
        if not (match := re.fullmatch(r"(\d+)(?:_(.+))?", name, re.ASCII)):
            continue  # a step, or a part of a heterogeneous job
        status, _, signal = code.partition(":")
        exit_code = (int(status), int(signal)) if status.isdecimal() and signal.isdecimal() else None
        for task in [None] if match[2] is None else expand(match[2]):
            found[int(match[1]), task] = _element(said, "", "" if node == "None assigned" else node, exit_code)
    return found


def combine(queue: Mapping[Key, Element], accounts: Mapping[Key, Element]) -> dict[Key, Element]:
    """Join both. The queue is right where they differ: ``sacct`` says NODE_FAIL of what is already waiting again."""
    exit_codes = {key: known.exit_code for key, known in accounts.items()}
    told = {k: replace(e, exit_code=exit_codes.get(k)) if e.state == "ended" else e for k, e in queue.items()}
    return {**accounts, **told}


def find(elements: Mapping[Key, Element], array: int, task: int | None) -> Element | None:
    """Return what is known of an element: its own line, or the one it shares with all of its array."""
    return elements.get((array, task)) or elements.get((array, None))


def expand(tasks: str) -> list[int]:
    """List the elements in ``4``, ``[4-5%2]`` or ``1,3-7:2``. ValueError for anything else."""
    found: list[int] = []
    for part in tasks.strip("[]").partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part, re.ASCII)
        if match is None:
            raise ValueError(f"{tasks!r} is no list of array elements")
        first = int(match[1])
        found += range(first, int(match[2] or first) + 1, int(match[3] or 1))
    return found


def _rows(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("CLUSTER: ") or not line.strip():
            continue  # with several clusters, whose lines follow
        row = line.split("|")
        if len(row) != columns:
            raise ValueError(f"SLURM wrote {line!r} where {columns} columns were asked for")
        yield row


def _element(said: str, reason: str, node: str, exit_code: tuple[int, int] | None = None) -> Element:
    word = said.split()[0].rstrip("+") if said.strip() else ""  # "CANCELLED by 0"
    if word in _WAITING:
        return Element("waiting", None, reason, node, None, word)
    if word in _ENDED:
        cause = "node" if word == "FAILED" and exit_code == _NOT_STARTED else _ENDED[word]
        return Element("ended", cause, reason, node, exit_code, word)
    # RUNNING, COMPLETING, SUSPENDED, ...; and words to come: what is not known to have ended is not taken for it.
    return Element("running", None, reason, node, None, word)


# ---- logs -----------------------------------------------------------------------------------------------

_CANCELLED = re.compile(r"\*\*\* (?:JOB|STEP) \S+ (?:ON \S+ )?CANCELLED AT \S+(?: DUE TO ([A-Z ]+))?")
_MEMORY = re.compile(r"StepId=\S+ exceeded memory limit|oom-kill event")
_DUE_TO: dict[str, Cause] = {"TIME LIMIT": "timeout", "PREEMPTION": "preempted", "NODE FAILURE": "node"}


def cause_in_log(log: str) -> Cause | None:
    """Return why SLURM ended a job by what it wrote into its log, the last time it did; None when it wrote nothing.

    Without accounting that is all there is some minutes later, and without cgroups the only sign of too little memory.
    """
    cause: Cause | None = None
    for line in log.splitlines():
        if _MEMORY.search(line):
            cause = "memory"
        elif (match := _CANCELLED.search(line)) and cause != "memory":  # it cancels what it ends for memory, too
            due = (match[1] or "").strip()
            cause = _DUE_TO.get(due, "node" if due == "JOB REQUEUE" else "cancelled")
    return cause


def cause_of(element: Element, log: str = "") -> Cause:
    """Return why an element ended, by SLURM's state and, where that says little, by its log."""
    told = element.cause or "unknown"
    if told in ("failed", "unknown", "cancelled"):
        return cause_in_log(log) or told
    return told


# ---- reasons --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explanation:
    """A pending reason in plain words."""

    meaning: str
    advice: str
    never: bool = False
    """It will not start by itself."""


_WAIT = "nothing: it starts when its turn comes"
_SITE = "ask the people who run the cluster"

# (pattern, meaning, what to do, whether it will never start by itself); the first that fits the whole reason
_REASONS: tuple[tuple[str, str, str, bool], ...] = (
    ("|None|Cleaning|Prolog|SchedDefer", "SLURM has not looked at it yet", _WAIT, False),
    ("Resources", "the nodes are busy; it is next", "nothing; smaller requests start sooner", False),
    ("Priority", "other jobs are before it", "nothing; a shorter walltime may fit into a gap", False),
    ("JobArrayTaskLimit", "as many as the job's limits allow are running", "nothing, or raise --total-threads", False),
    ("Dependency", "an earlier phase has not ended", _WAIT, False),
    ("DependencyNeverSatisfied", "what it waits for has failed or is gone", "cancel it, then resume the job", True),
    ("BeginTime", "requeued, or told to start later: SLURM holds requeued jobs for two minutes", _WAIT, False),
    ("JobHeldUser", "you hold it", "scontrol release", True),
    ("JobHeldAdmin", "the people who run the cluster hold it", _SITE, True),
    (
        "launch failed requeued held|(job )?requeued in held state|JobHoldMaxRequeue|MaxRequeueExceeded",
        "it could not be started and SLURM now holds it",
        "look at its node, then: scontrol release",
        True,
    ),
    ("PartitionTimeLimit", "its walltime is longer than the partition allows", "ask for less --walltime", True),
    ("PartitionNodeLimit", "it asks for more nodes than the partition has or allows", "choose another partition", True),
    ("PartitionDown|PartitionInactive", "the partition is closed", "wait, or choose another partition", False),
    ("BadConstraints", "no node is as it asks", "compare with: pypcore doctor", True),
    (
        "ReqNodeNotAvail.*|Nodes required for job are DOWN.*|NodeDown|FrontEndDown",
        "the nodes it needs are down, drained or reserved",
        "wait, or ask for another partition, gres or constraint",
        False,
    ),
    (
        "Reservation.*|InvalidReservation|ReservationDeleted",
        "its reservation is not open",
        "look: scontrol show res",
        False,
    ),
    ("Licenses.*|BurstBuffer.*", "it waits for licences or a burst buffer", _WAIT, False),
    ("DeadLine", "it can't end before its deadline", "cancel it and submit without one", True),
    ("InvalidAccount|AccountNotAllowed", "the account may not run here", "give another --account", True),
    ("InvalidQOS|QOSNotAllowed", "the account may not use this QOS", "give another --qos", True),
    (".*NodePool.*", "the partition and the node pool do not agree", _SITE, True),
)

_LIMIT = re.compile(r"(QOS|Assoc(?:iation)?)(Grp|Max|Min)?(\w*)")


def explain(reason: str) -> Explanation:
    """Say in plain words why a job waits, and what to do. An unknown reason is shown as it is."""
    plain = reason.strip().strip("()").replace("_", " ")
    for pattern, meaning, advice, never in _REASONS:
        if re.fullmatch(pattern, plain):
            return Explanation(meaning, advice, never)
    if match := _LIMIT.fullmatch(plain):
        return _explain_limit(plain, match[1] == "QOS", match[2] or "", match[3])
    return Explanation(f"SLURM's reason: {plain}", _SITE)


def _explain_limit(reason: str, qos: bool, kind: str, what: str) -> Explanation:
    """QOS and associations have about sixty limits each, named by a scheme."""
    whose = "the QOS" if qos else "your account"
    other = "--qos" if qos else "--account"
    if "PerJob" in what or kind == "Min" or what in ("TimeLimit", "ResourceLimit"):
        verb = "less than" if kind == "Min" else "more than"
        advice = f"change what each task asks for, or give another {other}"
        return Explanation(f"each job asks for {verb} {whose} allows ({reason})", advice, True)
    if "Minutes" in what or "Billing" in what:
        return Explanation(f"{whose} has used up its hours ({reason})", f"give another {other}, or {_SITE}")
    if kind == "Grp":
        return Explanation(f"all who share {whose} use as much as it allows ({reason})", _WAIT)
    return Explanation(f"you use as much as {whose} allows ({reason})", _WAIT)
