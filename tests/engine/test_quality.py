"""Thresholds on figures: what they put aside, and what Merge then leaves out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.quality import Rule, read_aside
from pypcore.status import read_status


@pytest.mark.parametrize(
    ("rule", "figures", "said"),
    [
        ("motion > 50", {"motion": 61.234}, "motion 61.23 > 50"),
        ("motion > 50", {"motion": 50}, ""),
        ("motion>=50", {"motion": 50}, "motion 50 >= 50"),
        ("frames != 40", {"frames": 39}, "frames 39 != 40"),
        ("fit < 1e-1", {"fit": 0.05}, "fit 0.05 < 0.1"),
        ("motion > 50", {"motion": None}, "motion could not be measured (motion > 50)"),
        ("motion > 50", {"motion": float("nan")}, "motion could not be measured (motion > 50)"),
        ("motion > 50", {}, "motion could not be measured (motion > 50)"),
    ],
)
def test_a_rule_says_how_it_is_broken(rule: str, figures: dict[str, object], said: str) -> None:
    assert Rule.parse(rule).broken_by({"figures": figures}) == said


def test_what_was_used_can_be_judged_too() -> None:
    assert Rule.parse("wall_s > 3").broken_by({"wall_s": 4.0, "figures": {}}) == "wall_s 4 > 3"


@pytest.mark.parametrize("text", ["motion", "motion > fast", "> 5", "motion > nan", "motion => 5", "a b > 3"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not FIGURE > NUMBER"):
        Rule.parse(text)


def test_items_aside_stay_done_and_are_left_out_of_merge(
    make_items: Callable[[int], list[Path]], rehearse: Callable, resume: Callable, folder: Path
) -> None:
    make_items(4)
    outcome = rehearse(product=1, reject=("held_mib < 1",))
    job = Job.open(folder / "job")
    assert outcome.exit_code == 0
    assert (folder / "job/rehearsed.txt").read_text() == ""
    assert read_aside(job) == dict.fromkeys(range(4), "held_mib 0 < 1")
    status = read_status(job)
    assert (status.phase, status.to_dict()["aside"], status.table()[0]["aside"]) == ("done", 4, "held_mib 0 < 1")
    assert read_status(job, glance=True).merge_state == "done"
    # The user's own word wins, and Merge is made again.
    (folder / "job/by-hand.txt").write_text("# mine\nm_002 keep\nm_003 aside  ice\n")
    assert resume().merge is not None
    assert (folder / "job/rehearsed.txt").read_text() == "m_002\n"
    lines = [json.loads(line) for line in (folder / "job/aside.jsonl").read_text().splitlines()]
    assert [line["reason"] for line in lines if line["name"] == "m_003"] == ["by hand: ice"]
    assert resume().merged_before
    # Other thresholds decide anew.
    assert resume(reject=("held_mib > 1",)).merge is not None
    assert (folder / "job/rehearsed.txt").read_text() == "m_001\nm_002\nm_004\n"


def test_a_rule_on_a_figure_that_nobody_has_names_the_nearest(
    make_items: Callable[[int], list[Path]], rehearse: Callable
) -> None:
    make_items(1)
    with pytest.raises(UsageError, match="no item has a figure 'held_mb'; did you mean 'held_mib'"):
        rehearse(reject=("held_mb > 1",))


def test_a_wrong_line_of_the_user_s_list_is_named(
    make_items: Callable[[int], list[Path]], rehearse: Callable, resume: Callable, folder: Path
) -> None:
    make_items(2)
    rehearse()
    (folder / "job/by-hand.txt").write_text("m_00 keep\n")
    with pytest.raises(UsageError, match=r"by-hand.txt: line 1 is 'm_00 keep'; did you mean 'm_00[12]'"):
        resume()


def test_an_operation_that_adds_up_takes_no_rule(folder: Path) -> None:
    from pypcore.options import prepare

    (folder / "p.star").touch()
    with pytest.raises(UsageError, match="adds its items up"):
        prepare("reconstruct", ["p.star"], "job", {"reject": ("a > 1",)})
