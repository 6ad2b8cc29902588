"""Names that nobody should use, and somebody will."""

import os
from collections.abc import Callable
from pathlib import Path

from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.status import read_status

NAMES = [
    "with blank.dat",
    "quote'\".dat",
    "semi;colon.dat",
    "$(touch executed).dat",
    "-rf.dat",
    "--help.dat",
    ".hidden.dat",
    "new\nline.dat",
    "tab\there.dat",
    "Ångström µm.dat",
    "日本語.dat",
    "[brackets].dat",
    "star*.dat",
    "percent%s{0}.dat",
    "x" * 200 + ".dat",
    os.fsdecode(b"not-utf8-\xff.dat"),
]


def test_hostile_names_do_no_harm(
    rehearse: Callable[..., Outcome], resume: Callable[..., Outcome], folder: Path
) -> None:
    (folder / "in").mkdir()
    for name in NAMES:
        (folder / "in" / name).write_text("x")
    outcome = rehearse(product=10, bundle_size=4)
    assert outcome.exit_code == 0
    assert outcome.counts["done"] == len(NAMES)
    assert not (folder / "executed").exists()
    assert len(list((folder / "job/rehearsed").iterdir())) == len(NAMES)
    known = read_status(Job.open(folder / "job"))
    assert {item.path.name for item in known.items} == set(NAMES)
    assert resume().launched.todo == []


def test_hostile_names_given_one_by_one(folder: Path, rehearse: Callable[..., Outcome]) -> None:
    (folder / "in").mkdir()
    odd = f"in/{NAMES[-1]}"
    Path(odd).write_text("x")
    assert rehearse(inputs=odd).exit_code == 0
    assert rehearse(inputs=odd).launched.todo == []
