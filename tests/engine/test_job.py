import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pypcore.errors import SetupError, UsageError
from pypcore.job import Job
from pypcore.local import Consent, Outcome
from pypcore.options import prepare
from pypcore.request import Request
from pypcore.status import read_status

Rehearse = Callable[..., Outcome]
MakeItems = Callable[[int], list[Path]]


def test_a_job_does_every_item_and_merges(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(5)
    outcome = rehearse(product=100, bundle_size=2)
    assert outcome.exit_code == 0
    assert outcome.counts["done"] == 5
    assert (folder / "job/rehearsed.txt").read_text().split() == [f"m_{n:03d}" for n in range(1, 6)]
    assert len(list((folder / "job/rehearsed").iterdir())) == 5


def test_a_second_run_does_nothing(make_items: MakeItems, rehearse: Rehearse) -> None:
    make_items(3)
    rehearse()
    again = rehearse()
    assert again.launched.todo == []
    assert again.merged_before
    assert again.exit_code == 0


def test_a_bad_item_fails_alone_and_is_not_tried_again_until_it_is_replaced(
    make_items: MakeItems, rehearse: Rehearse, resume: Rehearse
) -> None:
    files = make_items(4)
    first = rehearse(fail="m_002")
    assert first.exit_code == 1
    assert (first.counts["done"], first.counts["failed"]) == (3, 1)
    assert resume().launched.todo == []
    files[1].write_text("replaced")
    assert resume().launched.todo == [1]
    assert resume(consent=Consent(retry_failed=True)).launched.todo == [1]


def test_new_files_join_a_job_at_its_end(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(2)
    rehearse()
    (folder / "in" / "a_first.dat").touch()
    again = rehearse()
    assert again.launched.todo == [2]
    assert [item.name for item in again.launched.items] == ["m_001", "m_002", "a_first"]


def test_a_missing_or_cut_product_is_made_again(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(3)
    rehearse(product=50)
    (folder / "job/rehearsed/m_001").unlink()
    (folder / "job/rehearsed/m_003").write_text("cut")
    again = rehearse(product=50)
    assert again.launched.todo == [0, 2]
    assert "missing" in again.launched.reasons[0]


def test_other_parameters_need_consent_before_finished_items_are_made_again(
    make_items: MakeItems, rehearse: Rehearse
) -> None:
    make_items(2)
    rehearse(product=10)
    with pytest.raises(UsageError, match=r"2 items are finished, with other settings \(product 10 -> 20\)"):
        rehearse(product=20)
    assert rehearse(product=20, consent=Consent(redo=True)).launched.todo == [0, 1]


def test_a_job_folder_can_be_moved(make_items: MakeItems, rehearse: Rehearse, resume: Rehearse, folder: Path) -> None:
    make_items(2)
    rehearse(product=10)
    (folder / "job").rename(folder / "elsewhere")
    assert resume("elsewhere").launched.todo == []
    assert read_status(Job.open(folder / "elsewhere")).products()["list"].is_file()


def test_the_request_survives_its_file(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(1)
    rehearse(memory="1500M", walltime="2:00:00", threads=1, item_timeout="10:00", on_done="true")
    request = Job.open(folder / "job").request()
    assert Request.from_toml(request.to_toml(), "again") == request
    assert request.policy.item_timeout == 600
    assert request.resources.split.memory == 1500


def test_a_request_that_matches_nothing_leaves_no_folder(rehearse: Rehearse, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"no/\*\.tif"):
        rehearse(inputs="no/*.tif")
    assert not (folder / "job").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threads": 4096}, "4096 threads a task; this machine gives"),
        ({"memory": 10**7}, "the largest that fits is"),
        ({"merge_threads": 4096}, "Merge asks 4096"),
        ({"launch_memory": 10**7}, "Launch asks"),
        ({"gres": "gpu:NoSuch:1"}, "GPUs of this machine"),
        ({"gres": "shard:4"}, "gpu"),
    ],
)
def test_what_can_never_fit_is_refused_before_anything_is_made(
    options: dict[str, object], said: str, make_items: MakeItems, rehearse: Rehearse, folder: Path
) -> None:
    make_items(1)
    with pytest.raises(SetupError, match=said):
        rehearse(**options)
    assert not (folder / "job").exists()


def test_a_job_that_needs_more_disk_than_there_is_is_refused(make_items: MakeItems, rehearse: Rehearse) -> None:
    make_items(1)
    with pytest.raises(SetupError, match="GB of disk"):
        rehearse(product=10**17)


def test_a_misspelt_option_is_named_with_the_nearest(make_items: MakeItems) -> None:
    make_items(1)
    with pytest.raises(UsageError, match="did you mean 'seconds'"):
        prepare("rehearse", ["in"], "job", {"secnds": 1})


def test_a_value_out_of_bounds_is_named(make_items: MakeItems) -> None:
    make_items(1)
    with pytest.raises(UsageError, match="seconds -1"):
        prepare("rehearse", ["in"], "job", {"seconds": -1})


def test_config_gives_values_and_options_win(make_items: MakeItems, folder: Path) -> None:
    make_items(1)
    config = folder / "pypcore.toml"
    config.write_text("[parameters]\nseconds = 2\nproduct = 7\n[resources.split]\nthreads = 1\nbundle_size = 3\n")
    prepared = prepare("rehearse", ["in"], "job", {"product": 8}, config=config)
    assert prepared.request.parameters["seconds"] == 2
    assert prepared.request.parameters["product"] == 8
    assert prepared.request.resources.split.bundle_size == 3
    assert prepared.origins == {
        "seconds": str(config),
        "product": "command line",
        "threads": str(config),
        "bundle_size": str(config),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[parameter]\n", "did you mean 'parameters'"),
        ("[parameters]\nsecnds = 1\n", "did you mean 'seconds'"),
        ("[resources.split]\nthread = 1\n", "threads"),
        ("[resources.spilt]\nthreads = 1\n", "split"),
        ("[policy]\nallow_mising = true\n", "did you mean 'allow_missing'"),
        ("not toml", "not TOML"),
    ],
)
def test_every_misspelt_key_of_a_config_is_named(text: str, said: str, make_items: MakeItems, folder: Path) -> None:
    make_items(1)
    config = folder / "pypcore.toml"
    config.write_text(text)
    with pytest.raises(UsageError, match=said):
        prepare("rehearse", ["in"], "job", {}, config=config)


def test_commands_after_the_job_hear_how_it_ended(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(2)
    tell = 'echo "$PYPCORE_DONE $PYPCORE_FAILED $PYPCORE_EXIT_CODE" >>'
    rehearse(on_done=f"{tell} done.txt", on_fail=f"{tell} fail.txt")
    assert (folder / "done.txt").read_text() == "2 0 0\n"
    rehearse(job="other", fail="m_001", on_done=f"{tell} done.txt", on_fail=f"{tell} fail.txt")
    assert (folder / "fail.txt").read_text() == "1 1 1\n"


def test_inside_relion_the_exit_file_is_left(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(2)
    for job in ("External/job001", "External/job002"):
        (folder / job).mkdir(parents=True)
        (folder / job / "job.star").touch()
    rehearse(job="External/job001/")
    rehearse(job="External/job002", fail="m_001")
    assert [p.name for p in (folder / "External/job001").glob("RELION_*")] == ["RELION_JOB_EXIT_SUCCESS"]
    assert [p.name for p in (folder / "External/job002").glob("RELION_*")] == ["RELION_JOB_EXIT_FAILURE"]


def test_relions_wish_to_abort_is_heard(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(30)
    job = folder / "External/job003"
    job.mkdir(parents=True)
    (job / "job.star").touch()
    asking = threading.Timer(1.5, (job / "RELION_JOB_ABORT_NOW").touch)
    asking.start()
    outcome = rehearse(job="External/job003", seconds=0.3)
    asking.join()
    assert outcome.exit_code == 4
    assert 0 < outcome.counts["waiting"] < 30
    assert (job / "RELION_JOB_EXIT_ABORTED").exists()


def test_a_live_driver_keeps_others_out(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(1)
    rehearse()
    job = Job.open(folder / "job")
    job.claim([])  # this very process, which lives
    with pytest.raises(SetupError, match=f"already being run by process {os.getpid()}"):
        rehearse(fail="x", consent=Consent(redo=True))


def test_records_say_what_an_item_used(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(1)
    rehearse(seconds=0.3, fill=0.2, busy=True)
    row = read_status(Job.open(folder / "job")).table()[0]
    assert row["wall_s"] >= 0.3
    assert row["cpu_s"] > 0.1
    assert row["peak_mib"] > 200
    assert row["threads"] == 1


def test_a_product_holds_no_clock(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(2)
    rehearse(job="a", product=100)
    rehearse(job="b", product=100)
    for name in ("rehearsed/m_001", "rehearsed/m_002", "rehearsed.txt"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


def test_the_plan_is_written_down(make_items: MakeItems, rehearse: Rehearse, folder: Path) -> None:
    make_items(7)
    rehearse(bundle_size=3, total_threads=1)
    plan = json.loads((folder / "job/plan.json").read_text())
    assert (plan["items"], plan["bundles"], plan["concurrency"], plan["at_once_here"]) == (7, 3, 1, 1)
