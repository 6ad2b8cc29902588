"""The pool keeps its limits: walltime, memory, cores; seen from outside where that can be."""

import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.status import Status, read_status

Rehearse = Callable[..., Outcome]
MakeItems = Callable[[int], list[Path]]
two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


def status(folder: Path) -> Status:
    return read_status(Job.open(folder / "job"))


def test_the_walltime_of_a_bundle_ends_the_item_in_hand_and_leaves_the_rest_unbegun(
    make_items: MakeItems, rehearse: Rehearse, folder: Path
) -> None:
    make_items(4)
    outcome = rehearse(seconds=0.9, bundle_size=4, walltime="0:02", total_threads=1)
    states = [state.outcome for state in outcome.states]
    assert outcome.exit_code == 1
    assert states[0] == "done"
    assert states.count("timeout") == 1
    assert states[-1] == "waiting"
    late = next(state for state in outcome.states if state.outcome == "timeout")
    assert late.record is not None
    assert "walltime of 2 seconds" in late.record["message"]
    assert outcome.merge is None  # a gap


def test_an_item_timeout_ends_that_item_alone(
    make_items: MakeItems, rehearse: Rehearse, resume: Rehearse, folder: Path
) -> None:
    make_items(3)
    outcome = rehearse(seconds=1.5, bundle_size=3, item_timeout="0:01", total_threads=1)
    assert [state.outcome for state in outcome.states] == ["timeout"] * 3
    assert resume(item_timeout="0:10").counts["done"] == 3


def test_memory_over_the_limit_ends_the_item_with_the_figure_it_reached(
    make_items: MakeItems, rehearse: Rehearse, resume: Rehearse, folder: Path
) -> None:
    make_items(1)
    outcome = rehearse(fill=0.6, seconds=3, memory="500M")
    state = outcome.states[0]
    assert state.outcome == "memory"
    assert state.record is not None
    assert "of the 0.49 GB a task may use" in state.record["message"]
    assert state.record["peak_mib"] > 500
    assert resume(memory="2G").exit_code == 0


def test_a_merge_over_its_memory_is_ended_and_said(
    make_items: MakeItems, rehearse: Rehearse, resume: Rehearse, folder: Path
) -> None:
    make_items(1)
    outcome = rehearse(merge_memory="10M")
    assert outcome.merge is not None
    assert outcome.merge["outcome"] in ("memory", "done")  # a merge this short may be faster than the look at it
    assert resume(merge_memory="1G").exit_code == 0


class Watch(threading.Thread):
    """Watches the processes below this one: how many cores they use, how many tasks run, on which cores."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.most_tasks = 0
        self.affinities: set[tuple[int, ...]] = set()
        self.cpu: dict[int, float] = {}
        self.begun = time.monotonic()
        self.wall = 0.0

    def run(self) -> None:
        while not self.over.wait(0.05):
            workers = []
            for child in psutil.Process().children(recursive=True):
                try:
                    if "pypcore.worker" not in " ".join(child.cmdline()):
                        continue
                    workers.append(child)
                    self.affinities.add(tuple(child.cpu_affinity()))
                    times = child.cpu_times()
                    self.cpu[child.pid] = times.user + times.system
                except psutil.Error:
                    continue
            self.most_tasks = max(self.most_tasks, len(workers))
        self.wall = time.monotonic() - self.begun

    def stop(self) -> None:
        self.over.set()
        self.join()


@pytest.fixture
def watched(rehearse: Rehearse) -> Callable[..., tuple[Watch, Outcome]]:
    def run(**options: Any) -> tuple[Watch, Outcome]:
        watch = Watch()
        watch.start()
        outcome = rehearse(**options)
        watch.stop()
        return watch, outcome

    return run


@two_cores
def test_never_more_cores_than_total_threads(make_items: MakeItems, watched: Callable[..., Any]) -> None:
    make_items(6)
    watch, outcome = watched(seconds=0.4, busy=True, threads=1, total_threads=2)
    assert outcome.exit_code == 0
    assert watch.most_tasks <= 2
    assert all(len(cores) == 1 for cores in watch.affinities - {tuple(sorted(os.sched_getaffinity(0)))})
    assert sum(watch.cpu.values()) <= 2 * watch.wall


@two_cores
def test_two_tasks_of_two_threads_never_overlap_on_two_cores(
    make_items: MakeItems, watched: Callable[..., Any], folder: Path
) -> None:
    make_items(3)
    watch, outcome = watched(seconds=0.5, busy=True, threads=2, total_threads=3)
    assert outcome.exit_code == 0
    assert watch.most_tasks == 1
    rows = [state.record for state in outcome.states]
    spans = sorted((row["time"] - row["wall_s"], row["time"]) for row in rows if row)
    assert all(end <= begin + 0.01 for (_, end), (begin, _) in pairwise(spans))
    assert max(len(cores) for cores in watch.affinities) == 2


def test_a_worker_sees_its_share_of_the_machine(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(1)
    rehearse(threads=1)
    assert status(folder).table()[0]["devices"] == []
