"""What a job folder costs, and what may be removed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pypcore import records
from pypcore.cleaning import clean, weigh
from pypcore.cli.clean import app
from pypcore.errors import SetupError
from pypcore.job import Job
from pypcore.operations.rehearse import Rehearse


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def job(make_items: Callable[[int], list[Path]], rehearse: Callable, folder: Path) -> Job:
    """Three items done, and what a worker and a writer that died left."""
    make_items(3)
    rehearse(product=100)
    (folder / "job/scratch/0001-00-1").mkdir(parents=True)
    (folder / "job/scratch/0001-00-1/big").write_bytes(bytes(5000))
    (folder / "job/rehearsed/.m_001.ab12.part.dat").write_bytes(bytes(700))
    (folder / "job/rehearsed/mine.txt").write_text("a user's")
    return Job.open(folder / "job")


def test_each_part_is_weighed_and_nothing_is_removed(job: Job) -> None:
    before = sorted(job.folder.rglob("*"))
    parts = {part.name: part for part in weigh(job)}
    assert (parts["scratch"].bytes, parts["unfinished"].bytes, parts["other"].bytes) == (5000, 700, 8)
    assert len(parts["product file"].files) == 3
    assert [path.name for path in parts["product list"].files] == ["rehearsed.txt"]
    assert {part.name for part in parts.values() if part.removable} == {"scratch", "unfinished"}
    for arguments in ((), ("--dry-run",), ("--scratch", "--dry-run")):
        told = run(str(job.folder), *arguments)
        assert told.exit_code == 0, told.output
    assert "nothing is removed unless an option asks for it" in run(str(job.folder)).output
    assert sorted(job.folder.rglob("*")) == before


def test_scratch_goes_when_it_is_asked_for_and_the_job_stays(job: Job, resume: Callable) -> None:
    told = json.loads(run(str(job.folder), "--scratch", "--json").output)
    removed = {part["part"]: part["bytes"] for part in told["parts"] if part["removed"]}
    assert removed == {"scratch": 5000, "unfinished": 700}
    assert not (job.folder / "scratch").exists()
    assert (job.folder / "rehearsed/mine.txt").exists()
    assert resume().merged_before  # all that is done is done


def test_intermediates_that_are_gone_are_not_made_again(
    job: Job, resume: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rehearse, "intermediates", {"file": "only for the list"}, raising=False)
    (removed,) = clean(job, ["intermediates"])
    assert len(removed.files) == 3
    assert not (job.folder / "rehearsed/m_001").exists()
    outcome = resume()
    assert outcome.merged_before
    assert outcome.counts[records.DONE] == 3
    assert sorted(job.read_cleaned()) == ["rehearsed/m_001", "rehearsed/m_002", "rehearsed/m_003"]


def test_a_job_that_is_being_run_is_left_alone(job: Job) -> None:
    job.claim(["test"])  # by this process, which lives
    with pytest.raises(SetupError, match="is being run by process"):
        clean(job, ["scratch"])
    assert (job.folder / "scratch/0001-00-1/big").exists()
    assert isinstance(run(str(job.folder), "--scratch").exception, SetupError)
    assert run(str(job.folder)).exit_code == 0  # looking is free


def test_partials_are_said_to_be_needed_or_not(folder: Path, make_items, rehearse) -> None:
    make_items(1)
    rehearse()
    job = Job.open(folder / "job")
    job.partials.mkdir()
    (job.partials / "000000.partial").write_bytes(bytes(9))
    assert {part.name: part.bytes for part in clean(job, ["partials", "records"])} == {"partials": 9}
    assert job.request_file.exists()
