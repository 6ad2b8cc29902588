import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pypcore.cli.efficiency import app
from pypcore.efficiency import (
    MEMORY_STEPS,
    WALLTIME_STEPS,
    bundle_size_for,
    bundle_walls,
    efficiency,
    last_launch,
    measured_bundle_size,
    percentile,
    round_up,
)
from pypcore.efficiency_advice import advise
from pypcore.errors import UsageError
from pypcore.items import Item
from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.options import prepare
from pypcore.records import Record, State
from pypcore.request import Policy
from pypcore.resources import Resources, parse_memory, parse_walltime
from pypcore.status import Status, read_status

MakeStatus = Callable[..., Status]


def used(wall_s: float = 60.0, cpu_s: float = 60.0, peak_mib: float = 1000.0, **more: Any) -> Record:
    return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_mib, "threads": 1, "outcome": "done", **more}


@pytest.fixture
def status(folder: Path) -> MakeStatus:
    """A status of items with these records (None: waiting), asked with these resources of Split."""

    def make(known: list[Record | None], merge: Record | None = None, **split: Any) -> Status:
        options = {"threads": 1, "memory": "4", "walltime": "1:00:00", **split}
        request = prepare("rehearse", ["in"], "job", options).request
        items = [Item(n, f"m{n}", f"/m{n}", f"m{n}", 1, 1) for n in range(len(known))]
        states = [State(record["outcome"], record, 1) if record else State() for record in known]
        return Status(Job(folder / "job"), request, items, states, None, merge)

    return make


# ---- what would have been enough


def test_enough_is_the_99th_percentile_and_a_fifth_more_rounded_up(status: MakeStatus) -> None:
    known = [used(wall_s=60, peak_mib=1000) for _ in range(99)] + [used(wall_s=60, peak_mib=9000)]
    split = efficiency(status(list(known), bundle_size=10)).phases[0]
    assert split.memory.asked == 4096
    assert (split.memory.median, split.memory.high, split.memory.most) == (1000, 1000, 9000)
    assert split.memory.enough == pytest.approx(1200)
    assert split.walltime.high == 600
    assert split.flags == ("--memory 1.2", "--walltime 0-00:15:00", "--bundle-size 10")


def test_flags_are_options_of_run_and_ask_for_no_less_than_was_used(status: MakeStatus) -> None:
    flags = efficiency(status([used(wall_s=100, peak_mib=3333)] * 7, merge=used())).flags.split()
    given: dict[str, Any] = dict(zip([name[2:].replace("-", "_") for name in flags[::2]], flags[1::2], strict=True))
    given["bundle_size"] = int(given["bundle_size"])
    resources = prepare("rehearse", ["in"], "job", given).request.resources
    assert resources.split.total_memory >= 3333 * 1.2
    assert resources.split.walltime >= resources.split.bundle_size * 100 * 1.2
    assert resources.merge.total_memory >= 1200


def test_fewer_threads_are_proposed_where_they_idle_and_the_task_keeps_its_memory(status: MakeStatus) -> None:
    idle = efficiency(status([used(wall_s=10, cpu_s=11, peak_mib=4000, threads=8)] * 5, threads=8)).phases[0]
    assert idle.cpu_share == pytest.approx(11 / 80)
    assert idle.flags[:2] == ("--threads 2", "--memory 2.5")  # 4000 MiB x 1.2 / 2
    busy = efficiency(status([used(wall_s=10, cpu_s=79, threads=8)] * 5, threads=8)).phases[0]
    assert "--threads" not in " ".join(busy.flags)


def test_a_task_that_needs_next_to_nothing_still_gets_room_for_the_interpreter(status: MakeStatus) -> None:
    assert "--memory 0.5" in efficiency(status([used(peak_mib=3)])).flags


def test_what_broke_a_limit_counts_though_it_is_rarer_than_one_in_a_hundred(status: MakeStatus) -> None:
    fine: list[Record | None] = [used() for _ in range(500)]
    memory = efficiency(status([*fine, {"outcome": "memory", "peak_mib": 4100.0}])).phases[0]
    assert memory.memory.enough == pytest.approx(4920)
    assert memory.broken == 1
    timeout = efficiency(status([*fine, {"outcome": "timeout", "wall_s": 3600.0}], bundle_size=10)).phases[0]
    assert timeout.walltime.enough >= 3600 * 1.2
    assert timeout.broken == 1


def test_an_item_over_its_own_timeout_says_nothing_of_the_bundles(status: MakeStatus) -> None:
    known = status([used(), {"outcome": "timeout", "wall_s": 5.0}])
    known.request = replace(known.request, policy=Policy(item_timeout=5))
    assert efficiency(known).phases[0].broken == 0


def test_what_failed_is_no_measure(status: MakeStatus) -> None:
    known = status([used(wall_s=60), used(wall_s=0.01, peak_mib=1, outcome="failed")])
    assert efficiency(known).phases[0].tasks == 1
    assert efficiency(known).seconds_per_item == 60


def test_a_running_job_with_one_finished_item_has_an_efficiency(status: MakeStatus) -> None:
    found = efficiency(status([None, used(wall_s=60), None, None], bundle_size=2))
    assert [phase.phase for phase in found.phases] == ["Split"]
    assert found.phases[0].walltime.most == 120  # its neighbour counts as the bundle's mean


def test_a_job_without_a_finished_item_is_one_line(status: MakeStatus) -> None:
    with pytest.raises(UsageError, match="no item has finished yet"):
        efficiency(status([None, used(outcome="failed")]))


def test_every_phase_that_was_recorded_is_told(status: MakeStatus) -> None:
    known = status([used()], merge=used(wall_s=2000))
    known.request = replace(known.request, resources=Resources())
    found = efficiency(known, launch=used(peak_mib=100))
    assert [phase.phase for phase in found.phases] == ["Launch", "Split", "Merge"]
    assert "--launch-memory 0.5 --launch-walltime 0-00:05:00" in found.flags
    assert "--merge-memory 1.2 --merge-walltime 0-00:40:00" in found.flags


def test_a_launch_that_was_recorded_is_found(folder: Path) -> None:
    job = Job(folder / "job")
    job.create()
    assert last_launch(job) is None
    for number, wall in ((1, 3.0), (2, 4.0)):
        record = {"event": "launch", "time": number, **used(wall_s=wall)}
        (job.records / f"{number:04d}-launch.jsonl").write_text(json.dumps(record) + "\n")
    found = last_launch(job)
    assert found is not None
    assert found["wall_s"] == 4.0


# ---- arithmetic


def test_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([5], 0.99) == 5
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([3, 1, 2], 0.5) == 2


@pytest.mark.parametrize(
    ("value", "steps", "rounded"),
    [
        (0.01, MEMORY_STEPS, 0.1),
        (1.2, MEMORY_STEPS, 1.2),
        (1.21, MEMORY_STEPS, 1.3),
        (5.1, MEMORY_STEPS, 5.5),
        (70.0, MEMORY_STEPS, 72.0),
        (1.0, WALLTIME_STEPS, 300),
        (301.0, WALLTIME_STEPS, 600),
        (4000.0, WALLTIME_STEPS, 4500),
        (30_000.0, WALLTIME_STEPS, 32_400),
    ],
)
def test_requests_are_rounded_up_to_what_people_write(value: float, steps: Any, rounded: float) -> None:
    assert round_up(value, steps) == pytest.approx(rounded)


def test_a_bundle_without_a_finished_item_is_not_guessed() -> None:
    assert list(bundle_walls([1.0, 3.0, None, None, 5.0], 2)) == [4.0, 5.0]


# ---- the bundle size


def test_bundles_take_about_ten_minutes() -> None:
    assert bundle_size_for(20, 10_000) == 30
    assert bundle_size_for(20, 10_000, target_s=60) == 3
    assert bundle_size_for(7200, 10_000) == 1
    assert bundle_size_for(0.001, 50) == 50


def test_bundles_leave_no_worker_idle_and_don_t_exceed_what_the_cluster_takes() -> None:
    assert bundle_size_for(20, 100, at_once=20) == 5
    assert bundle_size_for(600, 1_000_000, most_elements=9_000) == 112
    assert bundle_size_for(20, 100, at_once=1000) == 1


def test_bundles_that_are_too_long_already_make_whole_rounds() -> None:
    size = bundle_size_for(20, 1_000_000, at_once=8_000, most_elements=9_000)
    assert 7_800 <= 1_000_000 / size <= 7_900
    assert bundle_size_for(20, 1_000_000, at_once=8_000, most_elements=5_000) == 200


def test_nothing_measured_makes_no_bundle() -> None:
    with pytest.raises(UsageError, match="give --bundle-size as a number"):
        bundle_size_for(0, 10)


def test_the_measured_bundle_size_is_of_the_job_s_own_items(
    make_items: Callable[[int], list[Path]], rehearse: Callable[..., Outcome], folder: Path
) -> None:
    make_items(8)
    rehearse(total_threads=2)
    assert measured_bundle_size(Job.open(folder / "job")) == 4  # two at once
    assert measured_bundle_size(Job.open(folder / "job"), most_elements=1) == 8


def test_without_a_measure_the_bundle_size_is_asked_for(folder: Path) -> None:
    with pytest.raises(UsageError, match="none has finished; give a number"):
        measured_bundle_size(Job(folder / "nothing"))


# ---- what to do about it


def test_what_to_do_is_said_with_the_option_that_does_it(status: MakeStatus) -> None:
    idle = [used(wall_s=10, cpu_s=11, peak_mib=1000, threads=8)] * 200
    said = advise(efficiency(status([*idle, {"outcome": "memory", "peak_mib": 33000.0}], threads=8)))
    assert said[0].startswith("Split: 1 ended for going over memory or walltime")
    assert any("of 8 threads 1.1 were busy; --threads 2" in text for text in said)
    assert any("An item takes 10 s: on SLURM an element of 1 costs more to start" in text for text in said)
    lavish = advise(efficiency(status([used(wall_s=600, cpu_s=600, peak_mib=800)] * 9, walltime="1-00:00:00")))
    assert lavish[0] == (
        "Split: a task asks 4 GB and took 0.78 GB at most; with --memory 1 more run at once, and start earlier"
    )
    assert lavish[1].startswith("Split: its threads are busy 100% of the time")
    assert lavish[2].startswith("Split: asks 1 day and took 10 minutes at most")
    long = advise(efficiency(status([used(wall_s=600, peak_mib=3000)] * 20, bundle_size=20, walltime="4:00:00")))
    assert any("A bundle of 20 takes 3 hours 20 minutes" in text for text in long)


def test_a_request_that_fits_needs_nothing(status: MakeStatus) -> None:
    fits = efficiency(status([used(wall_s=600, cpu_s=400, peak_mib=3000)] * 9, walltime="15:00"))
    assert advise(fits) == ["What was asked fits what was used: nothing to change"]


# ---- the command


def test_the_command_prints_flags_that_can_be_pasted(
    make_items: Callable[[int], list[Path]], rehearse: Callable[..., Outcome], folder: Path
) -> None:
    make_items(3)
    rehearse(threads=1)
    told = CliRunner().invoke(app, ["job"], env={**os.environ, "COLUMNS": "100"})
    assert told.exit_code == 0, told.output
    assert "3 of 3 items measured" in told.output
    assert "Launch: not measured" in told.output
    assert "Enough for the next job: --memory 0.5 --walltime 0-00:05:00 --bundle-size" in told.output
    found = json.loads(CliRunner().invoke(app, ["job", "--json"]).output)
    assert found["schema"] == 1
    assert found["phases"][0]["gpu"] is None
    assert found["advice"]
    assert found["flags"] == efficiency(read_status(Job.open(folder / "job"))).flags
    assert parse_memory(found["flags"].split()[1]) == 512
    assert parse_walltime(found["flags"].split()[3]) == 300
