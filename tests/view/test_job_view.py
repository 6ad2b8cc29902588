"""A job folder as plain values: phases, causes, pace, figures, items; and that all of it can be written as JSON."""

import json
import math
import time
from pathlib import Path

import pytest
from synthetic_job import START, SyntheticJob

from pypcore.efficiency import efficiency
from pypcore.errors import UsageError
from pypcore.slurm.states import Element
from pypcore.slurm.watch import Sight
from pypcore.status import item_log, read_status
from pypcore.view.causes import alike
from pypcore.view.folders import find_jobs
from pypcore.view.job_view import JobView
from pypcore.view.pace import pace
from pypcore.view.phases import phases
from pypcore.view.plain import to_json
from pypcore.view.spread import BARS, POINTS, STEPS, course, histogram

TORN = "raw/{}.tiff: the file ends after {} of 40 frames"


@pytest.fixture
def made(tmp_path: Path) -> SyntheticJob:
    """Twelve items: 6 done, 3 torn, 1 over memory, 1 in hand, 1 waiting; the run goes on elsewhere."""
    made = SyntheticJob(tmp_path / "job", 12, threads=2, memory="4")
    made.run()
    for n in range(6):
        made.end(n, products=made.picture(n) if n < 2 else {})
    for n in (6, 7, 8):
        made.end(n, "failed", TORN.format(n, n + 3), log=made.log(f"frames of {n}\nall torn\n"))
    made.end(9, "memory", "went over its memory: 9.1 GB of 8 GB", peak_mib=9318.0)
    made.begin(10)
    return made


def test_it_says_of_every_item_what_the_records_say(made: SyntheticJob) -> None:
    view, truth = JobView(made.job.folder), read_status(made.job)
    told = view.everything()
    assert told["counts"] == truth.counts
    assert told["state"] == truth.phase == "running"
    assert told["bad"] == 4
    rows = view.rows()["rows"]
    assert [row["outcome"] for row in rows] == [state.outcome for state in truth.states]
    assert [row["name"] for row in rows] == [item.name for item in truth.items]


def test_all_of_it_is_plain_values(made: SyntheticJob) -> None:
    view = JobView(made.job.folder)
    view.look()
    for told in (view.everything(), view.rows(), view.item(6), view.figures(), view.resources(), view.request()):
        assert json.loads(to_json(told)) == json.loads(json.dumps(told))


def test_what_is_no_number_becomes_null() -> None:
    assert to_json({"a": [math.nan, 1.5, math.inf]}) == '{"a":[null,1.5,null]}'


def test_failures_are_grouped_by_cause_with_the_end_of_a_log_and_a_command(made: SyntheticJob) -> None:
    torn, memory = JobView(made.job.folder).failures()
    assert (torn["count"], torn["outcome"], memory["count"]) == (3, "failed", 1)
    assert torn["log"] == ["frames of 6", "all torn"]
    assert [one["item"] for one in torn["items"]] == [6, 7, 8]
    assert torn["command"] == f"pypcore resume {made.job.folder} --retry-failed"
    assert (
        memory["command"] == f"pypcore resume {made.job.folder} --memory 6"
    )  # 1.5 of 4 GB; 9318 MiB / 2 · 1.2 is less


def test_messages_of_one_cause_are_alike_and_those_of_two_are_not() -> None:
    assert alike("a/b_1.tif: 3 of 40 frames") == alike("a/c_22.tif: 17 of 40 frames")
    assert alike("m_2.dat: told because of 'm_2'") == alike("other.dat: told because of 'other'")
    assert alike("a.tif: torn") != alike("a.tif: no gain")


@pytest.mark.parametrize(
    ("outcome", "message", "options", "command"),
    [
        ("timeout", "went over its walltime", {"walltime": "1:00:00"}, " --walltime 0-02:00:00"),
        ("timeout", "went over --item-timeout of 60 seconds", {"item_timeout": "1:00"}, " --item-timeout 0-00:05:00"),
        ("error", "ValueError: no", {}, ""),
        ("lost", "its worker died", {}, ""),
    ],
)
def test_each_outcome_has_the_command_that_helps(tmp_path, outcome, message, options, command) -> None:
    made = SyntheticJob(tmp_path / "a job", 1, **options)
    made.run(ended=True, outcome="failed")
    made.end(0, outcome, message)
    (cause,) = JobView(made.job.folder).failures()
    assert cause["command"] == f"pypcore resume '{made.job.folder}'{command}"


def test_the_pace_is_that_of_the_last_items_and_falls_when_nothing_ends(tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "job", 100)
    made.run()
    for n in range(60):
        made.end(n)
    known = JobView(made.job.folder).known
    now = pace(known, START + 59)
    assert now is not None
    assert now.per_hour == pytest.approx(3600, rel=0.05)
    assert now.left_s == pytest.approx(40, rel=0.05)
    later = pace(known, START + 659)
    assert later is not None
    assert later.per_hour < 400
    assert later.last_s == pytest.approx(600)


def test_no_pace_before_an_item_and_after_the_run(tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "job", 3)
    made.run()
    assert JobView(made.job.folder).card()["pace"] is None
    made.end(0)
    made.run(ended=True, outcome="failed")
    assert JobView(made.job.folder).card()["pace"] is None


def test_a_view_reads_on_as_the_job_goes_on(made: SyntheticJob) -> None:
    view = JobView(made.job.folder)
    assert view.look()
    assert not view.look()
    before = view.card()["counts"]["done"]
    made.end(11)
    assert view.look()
    assert view.card()["counts"]["done"] == before + 1
    assert view.figures()["figures"][0]["count"] == before + 1


def test_figures_that_differ_are_told_from_those_that_do_not(made: SyntheticJob) -> None:
    view = JobView(made.job.folder)
    view.look()
    told = view.figures()
    assert [one["name"] for one in told["figures"]] == ["motion_total", "motion_early", "wall_s", "peak_mib"]
    assert [one["name"] for one in told["same"]] == ["pixel_size"]
    one = view.figure("motion_total")
    assert (one["by"], one["unit"], sum(one["histogram"]["counts"])) == ("time", "Å", 6)
    assert [point[0] for point in one["points"]] == [START + n / 2 for n in range(6)]
    assert view.figure("motion_total", by="order")["points"][3][0] == 3.0
    with pytest.raises(UsageError, match="no finished item has a figure 'no'"):
        view.figure("no")


def test_outliers_do_not_squeeze_a_histogram() -> None:
    told = histogram([float(n % 10) for n in range(1000)] + [1e6, math.nan])
    assert (told["low"], told["high"], told["above"], told["below"]) == (0.0, 9.0, 1, 0)
    assert (len(told["counts"]), sum(told["counts"])) == (BARS, 1000)


def test_a_long_course_is_thinned_and_keeps_its_extremes() -> None:
    values = [1.0] * 20_000
    values[777] = 50.0
    told = course(values, None)
    assert len(told["steps"]) <= STEPS
    assert len(told["points"]) <= 2 * POINTS
    assert [777.0, 50.0, 777] in told["points"]


def test_asked_against_used_is_what_efficiency_says(made: SyntheticJob) -> None:
    view = JobView(made.job.folder)
    view.look()
    assert view.resources()["used"] == efficiency(read_status(made.job)).to_dict()


def test_items_are_chosen_sorted_and_paged(made: SyntheticJob) -> None:
    view = JobView(made.job.folder)
    view.look()
    failed = view.rows(outcomes=["failed"])
    assert (failed["total"], failed["rows"][0]["message"]) == (3, TORN.format(6, 9))
    by_motion = view.rows(sort="motion_total", descending=True)["rows"]
    motions = [row["values"][0] for row in by_motion]
    assert motions[:6] == sorted(motions[:6], reverse=True)
    assert motions[6:] == [None] * 6
    page = view.rows(offset=10, limit=5)
    assert (page["total"], [row["item"] for row in page["rows"]]) == (12, [10, 11])
    assert view.rows(text="00007_FRAC")["rows"][0]["item"] == 7


def test_an_item_has_its_log_attempts_products_and_commands(made: SyntheticJob) -> None:
    view = JobView(made.job.folder)
    view.look()
    torn = view.item(7)
    assert torn["log"] == "frames of 7\nall torn\n"
    assert [one["outcome"] for one in torn["attempts"]] == ["failed"]
    assert torn["commands"]["fix"].endswith("--retry-failed")
    done = view.item(0)
    assert [(one["kind"], one["picture"], one["there"]) for one in done["products"]] == [("picture", True, True)]
    assert [one["name"] for one in done["lists"]] == ["motion_error_per_frame"]
    with pytest.raises(UsageError, match="none is number 13"):
        view.item(12)


def test_nothing_outside_the_job_is_read_whatever_a_record_says(made: SyntheticJob, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_text("secret")
    (made.job.folder / "link.png").symlink_to(tmp_path / "secret.png")
    products = {"up": ["../secret.png", 6], "link": ["link.png", 6], "absolute": [str(tmp_path / "secret.png"), 6]}
    made.end(11, products=products, log=["../secret.png", 0, 6])
    view = JobView(made.job.folder)
    view.look()
    told = view.item(11)
    assert told["log"] == ""
    assert [one["there"] for one in told["products"]] == [False, False, False]
    assert item_log(made.job, read_status(made.job).states[11]) == ""


def test_the_items_in_hand_are_told_with_their_time(made: SyntheticJob) -> None:
    (one,) = JobView(made.job.folder).in_hand()
    assert one["item"] == 10
    assert 0 <= one["for_s"] < 60


def test_phases_say_what_is_pending_in_plain_words(made: SyntheticJob) -> None:
    known = JobView(made.job.folder).known
    waiting = Element("waiting", reason="Priority")
    known.sight = Sight(time.time(), None, {0: waiting, 1: waiting, 2: Element("waiting", reason="BadConstraints")})
    launch, split, merge = phases(known)
    assert (launch["state"], merge["state"]) == ("done", "waiting")
    assert [(one["count"], one["meaning"]) for one in split["pending"]] == [
        (2, "other jobs are before it"),
        (1, "no node is as it asks"),
    ]
    assert split["pending"][1]["never"]


def test_a_merge_that_failed_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "job", 2)
    made.run(ended=True, outcome="failed")
    made.end(0)
    made.end(1)
    made.merge("failed", "the disk is full")
    merge = JobView(made.job.folder).phases()[2]
    assert (merge["state"], merge["detail"]) == ("failed", "the disk is full")
    assert merge["command"] == f"pypcore resume {made.job.folder}"


def test_jobs_are_found_below_a_folder_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("a", "deep/b", "job/inside"):
        SyntheticJob(tmp_path / "jobs" / name, 1)
    SyntheticJob(tmp_path / "jobs" / "job", 1)
    SyntheticJob(tmp_path / "elsewhere", 1)
    (tmp_path / "jobs" / "link").symlink_to(tmp_path / "elsewhere")
    found = [str(path.relative_to(tmp_path / "jobs")) for path in find_jobs([tmp_path / "jobs", tmp_path / "jobs/a"])]
    assert found == ["a", "deep/b", "job"]


def test_what_was_not_read_for_figures_is_told_all_the_same(made: SyntheticJob) -> None:
    """``status`` reads no figures, the panel does: both give the same causes and commands."""
    quick, whole = JobView(made.job.folder), JobView(made.job.folder)
    quick.look(0)
    whole.look()
    assert not quick.whole
    assert quick.causes() == whole.causes()
    assert [cause.peak_mib for cause in quick.causes()] == [2008.0, 9318.0]
