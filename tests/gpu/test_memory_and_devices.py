"""Memory that runs out, several devices, copies beside computing: on virtual devices, whose rules are CuPy's."""

from types import ModuleType

import fake_cupy
import numpy as np
import pytest

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.copies import Copies

MB = 1 << 20


def test_the_pool_and_the_plans_are_bounded_and_a_users_limit_stays(cupy: ModuleType) -> None:
    fake_cupy.configure(1, 1000 * MB)
    memory.set_limits()
    assert cupy.get_default_memory_pool().get_limit() == 900 * MB
    plans = cupy.fft.config.get_plan_cache()
    assert (plans.size, plans.memsize) == (memory.PLANS, memory.PLAN_BYTES)
    fake_cupy.configure(1, 1000 * MB)
    cupy.get_default_memory_pool().set_limit(size=100 * MB)
    memory.set_limits()
    assert memory.room() == 100 * MB


def test_room_is_what_is_left_under_the_limit(cupy: ModuleType) -> None:
    fake_cupy.configure(1, 10 * MB)
    memory.set_limits()
    held = cupy.empty(4 * MB, np.uint8)
    assert memory.room() == 5 * MB
    del held
    assert memory.room() == 9 * MB


def test_batches_are_as_large_as_there_is_room_for(cupy: ModuleType) -> None:
    fake_cupy.configure(1, 10 * MB)
    memory.set_limits()
    done = []
    memory.batches(7, 2 * MB, lambda low, high: done.append((low, high)), what="things", fixed=MB)
    assert done == [(0, 4), (4, 7)]
    done.clear()
    memory.batches(7, 2 * MB, lambda low, high: done.append((low, high)), what="things", most=3)
    assert done == [(0, 3), (3, 6), (6, 7)]
    memory.batches(0, 2 * MB, lambda low, high: done.append((low, high)), what="things")
    assert len(done) == 3


def test_where_memory_runs_out_all_the_same_the_batch_is_halved_and_it_is_said(cupy: ModuleType) -> None:
    fake_cupy.configure(1, 10 * MB)
    memory.set_limits()
    total, said = np.zeros(8), []

    def work(low: int, high: int) -> None:
        room = cupy.empty((high - low) * 3 * MB, np.uint8)  # three times what was estimated
        total[low:high] += 1
        del room

    memory.batches(8, MB, work, what="things", tell=said.append)
    assert (total == 1).all()
    assert said == [f"memory of the GPU ran out with {n} things at once: going on with {n // 2}" for n in (8, 4)]
    assert fake_cupy.freed
    assert not fake_cupy.used()


def test_what_is_too_large_says_what_it_takes_and_what_is_free(cupy: ModuleType) -> None:
    fake_cupy.configure(1, 10 * MB)
    memory.set_limits()
    held = cupy.empty(2 * MB, np.uint8)
    with pytest.raises(memory.TooLarge, match=r"one of 3 things takes 0\.02 GB on device 0; 0\.01 GB are free there"):
        memory.batches(3, 20 * MB, lambda low, high: None, what="things")
    with pytest.raises(memory.TooLarge, match="Out of memory allocating"):
        memory.batches(3, MB, lambda low, high: cupy.empty(8 * MB, np.uint8), what="things")
    assert held.nbytes == 2 * MB


def test_an_error_that_is_not_of_memory_is_not_taken_for_one(cupy: ModuleType) -> None:
    def work(low: int, high: int) -> None:
        raise RuntimeError("CUFFT_INVALID_PLAN")

    with pytest.raises(RuntimeError, match="INVALID_PLAN"):
        memory.batches(3, MB, work, what="things")


def test_a_transform_that_finds_no_memory_is_halved_too(cupy: ModuleType) -> None:
    tried = []

    def work(low: int, high: int) -> None:
        tried.append(high - low)
        if high - low > 1:
            raise RuntimeError("CUFFT_ALLOC_FAILED")

    memory.batches(2, MB, work, what="things")
    assert tried == [2, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_device_works_under_itself_with_its_own_limits(cupy: ModuleType, count: int) -> None:
    fake_cupy.configure(count, 10 * MB)
    found = devices.each(range(count), lambda n: (cupy.cuda.Device().id, cupy.zeros(3).device.id, memory.room()))
    assert found == [(n, n, 9 * MB) for n in range(count)]


def test_an_array_of_another_device_is_refused_and_the_error_names_the_device(cupy: ModuleType) -> None:
    fake_cupy.configure(2)
    with cupy.cuda.Device(0):
        ones = cupy.ones(3)
    with pytest.raises(RuntimeError, match="device 1: an array of device 0 is used under device 1"):
        devices.each([0, 1], lambda n: (ones + 1).get())


def test_memory_that_one_device_lacks_is_told_as_its_own(cupy: ModuleType) -> None:
    fake_cupy.configure(2, 10 * MB)
    with pytest.raises(memory.TooLarge, match="on device 1"):
        devices.each([0, 1], lambda n: memory.need((1 + 19 * n) * MB, "a thing"))


def test_shares_follow_each_other_and_are_even() -> None:
    assert devices.shares(7, 3) == [range(2), range(2, 4), range(4, 7)]
    assert devices.shares(1, 3) == [range(0), range(0), range(1)]


@pytest.mark.parametrize("count", [1, 3])
def test_turns_give_results_in_the_items_order(cupy: ModuleType, count: int) -> None:
    fake_cupy.configure(count)
    assert devices.take_turns(range(count), "abcdefg", lambda n, item: item.upper()) == list("ABCDEFG")


def test_after_a_failure_no_turn_is_begun(cupy: ModuleType) -> None:
    begun = []

    def work(n: int, item: int) -> None:
        begun.append(item)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        devices.take_turns([0], [1, 2, 3], work)
    assert begun == [1]


def test_copies_arrive_in_order_and_whole(cupy: ModuleType) -> None:
    frames = [np.full((3, 4), k, np.uint8) for k in range(5)]
    sums = cupy.zeros((3, 4), np.float32)
    copies = Copies((3, 4), np.uint8)
    seen = []
    for frame in copies.each(frames):
        sums += frame.astype(np.float32)
        seen.append(int(frame.get()[0, 0]))
    assert seen == [0, 1, 2, 3, 4]
    assert (sums.get() == 10).all()
    assert [int(frame.get()[2, 3]) for frame in copies.each(frames[3:])] == [3, 4]


def test_a_copy_that_is_not_waited_for_is_seen(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_cupy.Event, "record", lambda self, stream: None)  # as if no event were there
    frames = [np.full((3, 4), k, np.float32) for k in range(3)]
    found = [frame.get() for frame in Copies((3, 4), np.float32).each(frames)]
    assert np.isnan(found[0]).all()
