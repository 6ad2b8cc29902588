"""A task and a node: whether it fits, and the nearest to it that would. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from pypcore.resources import Gres, PhaseResources
from pypcore.slurm.cluster import Node


def fits(task: PhaseResources, node: Node) -> bool:
    """Say whether a node has all that a task asks for, together."""
    has_gres = all(node.count(gres.name, gres.type) >= gres.count for gres in task.gres)
    return has_gres and task.threads <= node.cpus and task.total_memory <= node.memory


def closest(task: PhaseResources, node: Node) -> tuple[float, PhaseResources | None]:
    """Return the task as ``node`` could run it and how far that is from what was asked; None: not at all."""
    far = 0.0
    gres: list[Gres] = []
    for asked in task.gres:
        spelled = _type_on(node, asked)
        most = node.count(asked.name, spelled)
        if not most or any((one.name, one.type) == (asked.name, spelled) for one in gres):  # two types, but one here
            return float("inf"), None
        gres.append(replace(asked, type=spelled, count=min(asked.count, most)))
        far += 1 - gres[-1].count / asked.count
        if spelled != asked.type:
            far += 0.001 if str(spelled).casefold() == str(asked.type).casefold() else 1.0
    threads = min(task.threads, node.cpus)
    memory = min(task.memory, node.memory // threads) if threads else 0
    if not memory:
        return float("inf"), None
    far += 2 - threads / task.threads - threads * memory / task.total_memory
    return far, replace(task, threads=threads, memory=memory, gres=tuple(gres))


def _type_on(node: Node, asked: Gres) -> str | None:
    """Return the type that a node would give for the one asked for: it itself, the nearest, that it has most of."""
    if node.count(asked.name, asked.type):
        return asked.type
    types = {offer.type: offer.count for offer in node.gres if offer.name == asked.name and offer.type}
    return nearest_name(asked.type or "", types) or max(types, key=lambda one: types[one], default=None)


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that was meant: the same but for capitals, else one spelled alike, else None."""
    names = {name.casefold(): name for name in sorted(known)}
    near = get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return names[near[0]] if near else None
