"""A bundle's sum: the same bits whatever stopped its worker, each item once, those that fail left out alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypcore import records
from pypcore.job import Job
from pypcore.launch import launch
from pypcore.merge import read_done
from pypcore.options import prepare
from pypcore.partials import read_header
from pypcore.records import read_records
from pypcore.sums import fold_as_it_is
from pypcore.worker import Worker

SIZE = 12
WorkerOf = Callable[..., Any]


@pytest.fixture
def job(folder: Path) -> Job:
    """A job of one bundle, launched and not begun."""
    job = Job(folder / "job")
    request = prepare("reconstruct", ["particles.star"], "job", {"bundle_size": SIZE}).request
    launched = launch(job, request)
    job.create()
    job.write_items(launched.items)
    job.freeze(request)
    return job


@pytest.fixture
def whole(job: Job, worker_of: WorkerOf) -> bytes:
    """The partial of the bundle when nothing happens; removed again, as are its records."""
    with worker_of("job", "0000-x") as worker:
        worker.do_bundle(list(job.items()))
    content = job.partial(0).read_bytes()
    job.partial(0).unlink()
    for file in job.records.iterdir():
        file.unlink()
    return content


def stop_before(number: int) -> Callable[[], bool]:
    """Return a ``stop`` that lets ``number`` items begin."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= number


def outcomes(job: Job) -> list[str]:
    states = fold_as_it_is(job, read_records(job.records), job.request(), list(job.items()))
    return [state.outcome for state in states]


@pytest.mark.parametrize("stops", [[0], [1], [5], [1, 1, 1], [4, 0, 7]])
def test_stopped_and_gone_on_with(job: Job, whole: bytes, worker_of: WorkerOf, stops: list[int]) -> None:
    items = list(job.items())
    for number, count in enumerate(stops):
        with worker_of("job", f"0001-{number}") as worker:
            worker.do_bundle(items, stop_before(count))
        done = sum(stops[: number + 1])
        assert outcomes(job) == [records.DONE] * done + [records.WAITING] * (SIZE - done)
    with worker_of("job", "0002-x") as worker:
        worker.do_bundle(items)
    assert job.partial(0).read_bytes() == whole
    assert outcomes(job) == [records.DONE] * SIZE


@pytest.mark.parametrize("every", [1, 3])
def test_checkpoints_change_nothing(job: Job, whole: bytes, worker_of: WorkerOf, every: int, monkeypatch) -> None:
    from pypcore import accumulate

    clock = iter(range(10**6))
    monkeypatch.setattr(accumulate.time, "monotonic", lambda: next(clock))
    seen = []
    write = accumulate.write_partial
    monkeypatch.setattr(accumulate, "write_partial", lambda *args: seen.append(len(args[1].items)) or write(*args))
    with worker_of("job", "0001-x") as worker:
        worker.accumulator = accumulate.Accumulator(worker, worker.operation)
        worker.accumulator.interval = every
        worker.do_bundle(list(job.items()))
    assert len(seen) > SIZE / (every + 2)
    assert seen[-1] == SIZE
    assert job.partial(0).read_bytes() == whole


class Killed(BaseException):
    """Stands for a death: nothing more is written."""


@pytest.mark.parametrize("at", [0, 4, 11])
@pytest.mark.parametrize("where", ["while reading", "while adding", "before the records"])
def test_killed_anywhere(job: Job, whole: bytes, worker_of: WorkerOf, at: int, where: str, monkeypatch) -> None:
    from pypcore import accumulate
    from pypcore.operations import reconstruct

    items, count = list(job.items()), iter(range(10**6))

    def die_at(original: Callable[..., Any], when: int) -> Callable[..., Any]:
        def maybe(*args: Any) -> Any:
            if next(count) == when:
                raise Killed
            return original(*args)

        return maybe

    with monkeypatch.context() as patch, worker_of("job", "0001-x") as worker:
        worker.accumulator = accumulate.Accumulator(worker, worker.operation)
        worker.accumulator.interval = 1e-9  # a checkpoint after each item
        if where == "while reading":
            patch.setattr(reconstruct.Reconstruct, "process", die_at(reconstruct.Reconstruct.process, at))
        elif where == "while adding":
            patch.setattr(reconstruct.MapSums, "add", die_at(reconstruct.MapSums.add, at))
        else:
            patch.setattr(accumulate.Accumulator, "_record_done", die_at(accumulate.Accumulator._record_done, at))
        with pytest.raises(Killed):
            worker.do_bundle(items)
    done = outcomes(job).count(records.DONE)
    assert done == at
    with worker_of("job", "0002-x") as worker:
        worker.do_bundle(items)
    assert job.partial(0).read_bytes() == whole
    assert outcomes(job) == [records.DONE] * SIZE


def test_an_item_whose_adding_breaks_off_leaves_no_trace(job: Job, whole: bytes, worker_of: WorkerOf, monkeypatch):
    from pypcore.operations import reconstruct

    items, add = list(job.items()), reconstruct.MapSums.add

    def half_of(self: Any, part: Any) -> None:
        add(self, part)
        if part.table.particles.micrographs[part.table.particles.micrograph[part.rows[0]]].endswith("0005.mrc"):
            raise RuntimeError("broken off")

    with monkeypatch.context() as patch, worker_of("job", "0001-x") as worker:
        patch.setattr(reconstruct.MapSums, "add", half_of)
        worker.do_bundle(items)
    assert outcomes(job) == [records.DONE] * 4 + [records.ERROR] + [records.DONE] * 7
    assert read_header(job.partial(0)).left_out == (4,)
    with worker_of("job", "0002-x") as worker:  # as a sum that never saw it
        job.partial(0).rename(job.folder / "with")
        worker.do_bundle([item for item in items if item.index != 4])
    spoiled, clean = (job.folder / "with").read_bytes(), job.partial(0).read_bytes()
    assert spoiled[-100_000:-1000] == clean[-100_000:-1000]
    launched = launch(job, job.request())  # it is missing in the middle: the bundle begins again
    assert launched.todo == list(range(SIZE))
    assert "comes before what is in it" in launched.reasons[0]
    launched.sums.discard()
    with worker_of("job", "0003-x") as worker:
        worker.do_bundle(items)
    assert job.partial(0).read_bytes() == whole


def test_a_failed_item_alone_is_left_out(job: Job, worker_of: WorkerOf, monkeypatch) -> None:
    stack = job.folder.parent / "particles/mic0003.mrcs"
    stack.write_bytes(stack.read_bytes()[:9000])
    items = launch(job, job.request()).items
    with worker_of("job", "0001-x") as worker:
        worker.do_bundle(items)
    job.write_items(items)
    assert outcomes(job) == [records.DONE] * 2 + [records.FAILED] + [records.DONE] * 9
    launched = launch(job, job.request())
    assert launched.todo == []
    launched = launch(job, job.request(), retry_failed=True)
    assert launched.todo == list(range(SIZE))


def test_a_restored_sum_of_another_form_begins_again(job: Job, whole: bytes, worker_of: WorkerOf, monkeypatch):
    from pypcore.operations import reconstruct

    items = list(job.items())
    with worker_of("job", "0001-x") as worker:
        worker.do_bundle(items, stop_before(5))

    def refuse(self: Any, state: Any) -> None:
        raise ValueError("another form")

    with worker_of("job", "0002-x") as worker:
        monkeypatch.setattr(reconstruct.MapSums, "restore", refuse)
        worker.do_bundle(items)
    assert job.partial(0).read_bytes() == whole


def test_too_little_memory_is_said_of_each_item(job: Job, folder: Path) -> None:
    worker = Worker(Job(folder / "job"), "0001-x", 1, 2**20, [])
    worker.do_bundle(list(job.items()))
    worker.close()
    assert outcomes(job) == [records.MEMORY] * SIZE
    last = list(read_records(job.records))[-1]
    assert "give more --memory" in last["message"]


def test_too_little_memory_for_merge_is_said_and_costs_nothing(job: Job, folder: Path, worker_of: WorkerOf) -> None:
    with worker_of("job", "0001-x") as worker:
        worker.do_bundle(list(job.items()))
    small = Worker(Job(folder / "job"), "0002-x", 1, 2**20, [])
    record = small.do_merge(read_done(job), "")
    small.close()
    assert record["outcome"] == records.FAILED
    assert re.match(r"Merge needs 0\.0\d GB, a task has 0\.00 GB; .* more --memory", record["message"])
    assert outcomes(job) == [records.DONE] * SIZE


def test_an_index_of_the_records_tells_of_sums_what_the_records_do(job: Job, worker_of: WorkerOf, monkeypatch) -> None:
    from pypcore.operations import reconstruct
    from pypcore.status import read_status

    count, process = iter(range(10**6)), reconstruct.Reconstruct.process

    def die(*args: Any) -> Any:
        if next(count) == 4:
            raise KeyboardInterrupt
        return process(*args)

    with monkeypatch.context() as patch, worker_of("job", "0001-00-1") as worker:
        patch.setattr(reconstruct.Reconstruct, "process", die)
        patch.setattr("pypcore.accumulate.Accumulator._save", lambda *args: None)
        with pytest.raises(KeyboardInterrupt):
            worker.do_bundle(list(job.items()))
    known, glance = read_status(job), read_status(job, glance=True)
    assert known.counts == glance.counts
    assert (known.counts["waiting"], known.counts["lost"], known.counts["done"]) == (11, 1, 0)


def test_a_table_that_is_gone_is_said_of_each_item(job: Job, folder: Path, worker_of: WorkerOf) -> None:
    from pypcore.operations.particle_items import _read_table

    _read_table.cache_clear()
    (folder / "particles.star").unlink()
    with worker_of("job", "0001-x") as worker:
        worker.do_bundle(list(job.items()))
    assert outcomes(job) == [records.FAILED] * SIZE
    assert "put it back" in list(read_records(job.records))[-1]["message"]
