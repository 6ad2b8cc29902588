"""Watching a folder: each file once, whatever its writer does; restarts; Merge kept fresh; ways to end it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pypcore import records
from pypcore.errors import SetupError, UsageError
from pypcore.options import prepare
from pypcore.status import read_status
from pypcore.watching import pace
from pypcore.watching.intake import Intake, WatchOptions

Command = Callable[..., "subprocess.Popen[str]"]


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_writer_that_is_slow_pauses_and_renames(watching) -> None:
    def write(raw: Path) -> None:
        with (raw / "slow.dat").open("w") as file:
            for _ in range(6):  # a pause is shorter than what is called quiet
                file.write("x" * 100)
                file.flush()
                time.sleep(0.15)
        for number in range(5):
            part = raw / f".m_{number}.dat.tmp"
            part.write_text(f"{number}" * 10)
            time.sleep(0.1)
            part.rename(raw / f"m_{number}.dat")
        (raw / "copied.dat.part").write_text("never finished")

    writer = watching.writing(write)
    outcome = watching.run(quiet=1.0, merge_every=0.6, until_idle=2.5)
    writer.join()
    assert outcome.exit_code == 0
    names = [*(f"m_{n}" for n in range(5)), "slow"]
    assert sorted(watching.merged()) == names
    assert watching.ends() == dict.fromkeys(names, 1)
    assert {item.name: item.size for item in watching.job.items()}["slow"] == 600
    assert watching.heard.merges >= 1


def test_a_burst_of_500_is_done_once_each_and_again_nothing(watching) -> None:
    for number in range(500):
        (watching.raw / f"m_{number:03d}.dat").write_text("x")
    outcome = watching.run(bundle_size=20)
    assert (outcome.exit_code, outcome.counts[records.DONE]) == (0, 500)
    assert set(watching.ends().values()) == {1}
    assert len(watching.merged()) == 500
    standing = json.loads(watching.job.watch_file.read_text())
    assert (standing["taken"], standing["waiting"], standing["in_hand"]) == (500, 0, 0)
    # Renamed afterwards: the same movies.
    (watching.raw / "m_007.dat").rename(watching.raw / "renamed.dat")
    (watching.raw / "new.dat").write_text("y")
    outcome = watching.run()
    assert outcome.counts[records.DONE] == 501
    assert watching.ends()["new"] == 1
    assert any("is raw/m_007.dat, renamed" in note for note in watching.heard.notes)


def test_a_file_that_grows_after_it_was_taken_is_done_again(watching) -> None:
    def write(raw: Path) -> None:
        (raw / "m.dat").write_text("x")
        wait_until(lambda: next(watching.job.items(), None) is not None)  # taken, and in hand
        with (raw / "m.dat").open("a") as file:
            file.write("more")

    writer = watching.writing(write)
    outcome = watching.run(seconds=0.8, until_idle=1.5)
    writer.join()
    assert (outcome.exit_code, outcome.counts[records.DONE]) == (0, 1)
    assert [item.size for item in watching.job.items()] == [5]
    assert any("changed after it was taken" in note for note in watching.heard.notes)


def test_killed_in_the_middle_and_started_again_it_does_the_rest(watching, command: Command) -> None:
    for number in range(60):
        (watching.raw / f"m_{number:02d}.dat").write_text("x")
    arguments = ("watch", "rehearse", "raw", "-o", "job", "--seconds", "0.1", "--every", "0.1", "--total-threads", "2")
    first = command(*arguments)
    wait_until(lambda: watching.job.records.is_dir() and sum(watching.ends().values()) > 5)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert 5 < len(watching.ends()) < 60
    (watching.raw / "late.dat").write_text("x")
    second = command(*arguments, "--until-idle", "0:01")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert watching.ends() == dict.fromkeys([*(f"m_{n:02d}" for n in range(60)), "late"], 1)
    assert len(watching.merged()) == 61


def test_a_job_has_one_watch_at_a_time(watching, command: Command) -> None:
    (watching.raw / "m.dat").write_text("x")
    first = command("watch", "rehearse", "raw", "-o", "job", "--seconds", "300", "--every", "0.1")
    wait_until(lambda: watching.job.last_run() is not None)
    with pytest.raises(SetupError, match="already being run by process"):
        watching.run(seconds=300)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()


def test_ctrl_c_ends_after_the_items_in_hand_and_merges(watching, command: Command) -> None:
    for number in range(40):
        (watching.raw / f"m_{number:02d}.dat").write_text("x")
    watch = command("watch", "rehearse", "raw", "-o", "job", "--seconds", "0.2", "--every", "0.1")
    wait_until(lambda: watching.job.records.is_dir() and sum(watching.ends().values()) > 3)
    watch.send_signal(signal.SIGINT)
    said, _ = watch.communicate(timeout=30)
    assert watch.returncode == 4, said
    assert "Ending after the items in hand" in said
    assert "Go on with the same command" in said
    assert sorted(watching.merged()) == sorted(watching.ends())
    assert read_status(watching.job).counts[records.LOST] == 0


def test_tiny_movies_of_a_writer_that_dies(watching) -> None:
    rng = np.random.default_rng(1)

    def write(raw: Path) -> None:
        for number in range(3):
            with tifffile.TiffWriter(raw / f"m_{number}.tif") as file:
                for _ in range(6):  # page by page, as a camera's software does
                    file.write(rng.poisson(3, (64, 64)).astype(np.uint8), photometric="minisblack", contiguous=False)
                    time.sleep(0.03)
        whole = (raw / "m_0.tif").read_bytes()
        (raw / "dead.tif").write_bytes(whole[: len(whole) // 2])

    writer = watching.writing(write)
    outcome = watching.run(
        "motioncorr",
        quiet=0.3,
        patience=1.5,
        until_idle=3.0,
        expected=6,
        pixel_size=1.3,
        dose_weighting=False,
        patches="0,0",
        reject=("motion_total > 1e9", "frames < 6"),
    )
    writer.join()
    assert outcome.exit_code == 1
    assert outcome.counts[records.DONE] == 3
    status = read_status(watching.job)
    ((bad, state),) = status.bad()
    assert bad.name == "dead"
    assert "cut off" in state.record["message"]
    assert any("dead.tif: taken as it is (cut off" in note for note in watching.heard.notes)
    assert (watching.folder / "job/micrographs.star").read_text().count("raw") == 0
    assert (watching.folder / "job/micrographs.csv").read_text().count("raw/m_") == 3
    assert status.aside == {}


def test_what_is_not_whole_at_the_end_is_left_and_said(watching) -> None:
    (watching.raw / "empty.dat").touch()
    (watching.raw / "m.dat").write_text("x")
    outcome = watching.run(until_idle=0.5)
    assert outcome.counts[records.DONE] == 1
    assert outcome.left == {str(watching.raw / "empty.dat"): "it is empty"}
    assert outcome.exit_code == 1


def test_it_says_that_it_falls_behind_and_that_it_caught_up(watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LEAST_S", 0.3)

    def write(raw: Path) -> None:
        (raw / "backlog.dat").write_text("x")  # what is there at first tells nothing of the rate
        time.sleep(0.6)
        for number in range(8):
            (raw / f"m_{number}.dat").write_text("x")

    writer = watching.writing(write)
    watching.run(seconds=0.3, total_threads=1)
    writer.join()
    assert watching.heard.said[0].startswith("behind, ")
    assert watching.heard.said[1:] == ["caught up"]


def test_a_tilt_series_is_taken_when_its_movies_are_there(watching) -> None:
    """Before the first mdoc has come, a folder's movies must not be taken for stacks."""
    request = prepare("tomogram", ["raw"], "job", {"pixel_size": 2.0}).request
    intake = Intake(watching.job, request, [], WatchOptions(expected=3), watching.heard.note)
    sections = [f"[ZValue = {n}]\nTiltAngle = {3 * n}\nSubFramePath = D:\\t_{n}.tif\n" for n in range(3)]

    def look() -> list[str]:
        made, _ = intake.look(lambda index: False, lambda index: False)
        intake.take(made)
        return [item.given for item in made]

    for number, section in enumerate(sections):
        tifffile.imwrite(watching.raw / f"t_{number}.tif", np.zeros((2, 8, 8), np.uint8), photometric="minisblack")
        with (watching.raw / "TS.mdoc").open("a") as file:
            file.write(section)
        if number < 2:
            assert [look(), look()] == [[], []]
            assert intake.arrivals.waiting() == {str(watching.raw / "TS.mdoc"): f"{number + 1} of 3 views"}
    assert [look(), look(), look()] == [[], ["raw/TS.mdoc"], []]


def test_products_of_the_job_are_no_arrivals(watching) -> None:
    (watching.raw / "m.dat").write_text("x")
    outcome = watching.run(inputs="**/m*", product=10, until_idle=1.0)
    assert outcome.counts[records.DONE] == 1


def test_a_folder_that_goes_away_is_said_and_waited_for(watching) -> None:
    def move(raw: Path) -> None:
        time.sleep(0.3)
        raw.rename(watching.folder / "away")
        time.sleep(0.5)
        (watching.folder / "away" / "m.dat").write_text("x")
        (watching.folder / "away").rename(raw)

    writer = watching.writing(move)
    outcome = watching.run(until_idle=1.5)
    writer.join()
    assert outcome.counts[records.DONE] == 1
    assert any("can't look: No such file" in note for note in watching.heard.notes)


def test_an_end_that_comes_before_anything_is_at_rest_is_refused(watching) -> None:
    with pytest.raises(UsageError, match="nothing would be taken"):
        watching.run("tomogram", until_idle=60.0, pixel_size=2.0)


def test_merge_is_kept_fresh_while_it_goes_on(watching) -> None:
    for number in range(8):
        (watching.raw / f"m_{number}.dat").write_text("x")
    outcome = watching.run(seconds=0.4, merge_every=1.0, total_threads=1)
    assert watching.heard.merges >= 2
    assert len(watching.merged()) == outcome.counts[records.DONE] == 8


def test_a_look_that_takes_long_does_not_end_it(watching, monkeypatch: pytest.MonkeyPatch) -> None:
    (watching.raw / "m.dat").write_text("x")
    discover = Intake.discover

    def slowly(intake: Intake) -> list[Path]:
        time.sleep(0.5)
        return discover(intake)

    monkeypatch.setattr(Intake, "discover", slowly)
    assert watching.run(until_idle=0.3).counts[records.DONE] == 1


def test_nothing_arrives(watching) -> None:
    outcome = watching.run(until_idle=0.3)
    assert (outcome.exit_code, outcome.states) == (0, [])


def test_a_folder_that_is_not_there_is_refused(watching) -> None:
    with pytest.raises(UsageError, match="no such folder to watch"):
        watching.run(inputs="nowhere")
    with pytest.raises(UsageError, match="no such folder to watch"):
        watching.run(inputs="nowhere/*.dat")


def test_other_settings_than_before_are_refused(watching) -> None:
    (watching.raw / "m.dat").write_text("x")
    watching.run(until_idle=0.5)
    with pytest.raises(UsageError, match="with other settings"):
        watching.run(until_idle=0.5, product=10)


def test_a_request_that_no_movie_fits_ends_the_watch(watching) -> None:
    tifffile.imwrite(watching.raw / "m.tif", np.zeros((4, 64, 64), np.uint8), photometric="minisblack")
    tifffile.imwrite(watching.raw / "gain.tif", np.ones((32, 32), np.float32), photometric="minisblack")
    with pytest.raises(UsageError, match="use the gain of these movies"):
        watching.run("motioncorr", pixel_size=1.3, dose_weighting=False, gain="raw/gain.tif")
    assert [item.name for item in watching.job.items()] == []


def test_a_dry_run_says_what_would_be_taken(watching, command: Command) -> None:
    (watching.raw / "m.dat").write_text("x")
    (watching.raw / "empty.dat").touch()
    told, _ = command("watch", "rehearse", "raw", "-o", "job", "--dry-run", "--json").communicate(timeout=30)
    said = json.loads(told)
    assert said["take"] == [{"name": "m", "input": "raw/m.dat"}]
    assert said["not_whole"] == {str(watching.raw / "empty.dat"): "it is empty"}
    assert not (watching.folder / "job").exists()
