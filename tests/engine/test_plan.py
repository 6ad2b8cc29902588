"""Bundles, how many run at once, arrays in chunks: nextPYP's cases, and what holds for all."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.errors import UsageError
from pypcore.plan import Chunk, array_spec, make_plan
from pypcore.resources import SplitResources


def test_threads_7_of_21_run_three_at_once():
    plan = make_plan(100, SplitResources(threads=7, total_threads=21))
    assert (plan.bundles, plan.concurrency) == (100, 3)
    assert [array_spec(chunk.count, plan.concurrency) for chunk in plan.chunks] == ["0-99%3"]


def test_a_total_below_one_task_is_refused_with_both_numbers_and_the_smallest_that_works():
    with pytest.raises(UsageError) as caught:
        make_plan(100, SplitResources(threads=7, total_threads=5))
    assert str(caught.value) == (
        "total threads 5 is less than one task's 7 threads; give total threads of at least 7, or 0 for no limit"
    )
    assert make_plan(100, SplitResources(threads=7, total_threads=7)).concurrency == 1


def test_a_total_memory_below_one_task_is_refused_the_same_way():
    with pytest.raises(UsageError, match=r"total memory 10G .* 28G \(7 threads x 4G\); .* at least 28G"):
        make_plan(100, SplitResources(threads=7, total_memory_limit=10 * 1024))
    assert make_plan(100, SplitResources(threads=7, total_memory_limit=28 * 1024)).concurrency == 1


@pytest.mark.parametrize(
    ("items", "size", "bundles", "last"),
    [(100, 10, 10, 10), (103, 10, 11, 3), (1, 10, 1, 1), (10, 1, 10, 1), (3, 1000, 1, 3)],
)
def test_items_are_bundled_in_order_and_the_last_bundle_may_be_short(items, size, bundles, last):
    plan = make_plan(items, SplitResources(bundle_size=size))
    assert plan.bundles == len(plan) == bundles
    assert plan.bundle(bundles - 1) == range(items - last, items)


@pytest.mark.parametrize(
    ("threads", "total", "items", "size", "spec"),
    [
        (1, 0, 100, 10, "0-9"),
        (4, 8, 3, 1, "0-2%2"),
        (4, 100, 3, 1, "0-2"),
        (4, 12, 3, 1, "0-2"),
        (1, 1, 1, 1, "0"),
        (1, 1, 2, 1, "0-1%1"),
    ],
)
def test_the_throttle_is_written_only_where_it_holds_something_back(threads, total, items, size, spec):
    plan = make_plan(items, SplitResources(threads=threads, total_threads=total, bundle_size=size))
    (chunk,) = plan.chunks
    assert array_spec(chunk.count, plan.concurrency) == spec


def test_the_tighter_of_threads_and_memory_decides():
    split = SplitResources(threads=2, memory=4096, total_threads=20, total_memory_limit=33 * 1024)
    assert make_plan(100, split).concurrency == 4


def test_a_long_array_is_cut_into_chunks_that_count_from_0():
    plan = make_plan(53, SplitResources(threads=1, total_threads=12), max_array_size=21)
    assert plan.chunks == (Chunk(0, 18), Chunk(18, 18), Chunk(36, 17))
    assert [array_spec(chunk.count, plan.concurrency) for chunk in plan.chunks] == ["0-17%12", "0-17%12", "0-16%12"]


@pytest.mark.parametrize("items", [0, -1])
def test_nothing_to_do_is_refused(items):
    with pytest.raises(UsageError, match="nothing to do"):
        make_plan(items, SplitResources())


def test_an_array_size_that_holds_nothing_is_refused():
    with pytest.raises(UsageError, match="MaxArraySize 0"):
        make_plan(5, SplitResources(), max_array_size=0)


@pytest.mark.parametrize("k", [-1, 11])
def test_a_bundle_that_does_not_exist_is_an_index_error(k):
    with pytest.raises(IndexError, match=f"bundle {k} of 11"):
        make_plan(103, SplitResources(bundle_size=10)).bundle(k)


def test_a_million_items_take_no_memory():
    tracemalloc.start()
    plan = make_plan(1_000_000, SplitResources(bundle_size=10), max_array_size=1001)
    assert sum(len(bundle) for bundle in plan) == 1_000_000
    assert len(plan.chunks) == 100
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


@given(
    items=st.integers(1, 3000),
    threads=st.integers(1, 64),
    total_threads=st.integers(0, 500),
    memory=st.integers(1, 10_000),
    total_memory=st.integers(0, 10**6),
    size=st.integers(1, 200),
    array=st.none() | st.integers(1, 100),
)
def test_what_holds_for_every_plan(items, threads, total_threads, memory, total_memory, size, array):
    split = SplitResources(
        threads=threads,
        memory=memory,
        total_threads=total_threads,
        total_memory_limit=total_memory,
        bundle_size=size,
    )
    if 0 < total_threads < threads or 0 < total_memory < threads * memory:
        with pytest.raises(UsageError):
            make_plan(items, split, max_array_size=array)
        return
    plan = make_plan(items, split, max_array_size=array)

    # Each item is in exactly one bundle, in order, and no bundle is empty or too large.
    assert list(itertools.chain.from_iterable(plan)) == list(range(items))
    assert all(1 <= len(bundle) <= size for bundle in plan)
    assert [plan.bundle(k) for k in range(plan.bundles)] == list(plan)

    # Never more at once than the totals allow, and as many as they do.
    assert 1 <= plan.concurrency <= plan.bundles
    if total_threads:
        assert plan.concurrency * threads <= total_threads
    if total_memory:
        assert plan.concurrency * threads * memory <= total_memory
    more = plan.concurrency + 1
    assert (
        more > plan.bundles
        or (total_threads and more * threads > total_threads)
        or (total_memory and more * threads * memory > total_memory)
    )

    # The chunks hold each bundle once, in order, with indices that an array may have.
    covered = [chunk.first + i for chunk in plan.chunks for i in range(chunk.count)]
    assert covered == list(range(plan.bundles))
    assert all(1 <= chunk.count <= (array or plan.bundles) for chunk in plan.chunks)
    for chunk in plan.chunks:
        spec, _, throttle = array_spec(chunk.count, plan.concurrency).partition("%")
        assert spec.split("-")[-1] == str(chunk.count - 1)
        assert throttle == (str(plan.concurrency) if plan.concurrency < chunk.count else "")
