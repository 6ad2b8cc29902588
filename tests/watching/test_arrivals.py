"""Which files are taken, and when: with a clock of the test's own."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pypcore.watching.arrivals import Arrivals
from pypcore.watching.complete import Completeness, Wanting, is_partial_name
from pypcore.watching.pace import LEAST_S, Pace


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def arrivals(folder: Path, look_into=lambda path: None, **options: float) -> Arrivals:
    clock = Clock()
    limits = {"quiet": 0.0, "patience": 600.0, **options}
    found = Arrivals(lambda: sorted(folder.iterdir()), folder, [], look_into, **limits, clock=clock)
    return found


def look(watched: Arrivals, after: float = 10.0) -> list[str]:
    watched.clock.now += after
    return [one.path.name for one in watched.look()]


def test_a_file_is_taken_when_two_looks_agree(tmp_path: Path) -> None:
    watched = arrivals(tmp_path)
    (tmp_path / "a.tif").write_text("x")
    assert look(watched) == []
    with (tmp_path / "a.tif").open("a") as file:
        file.write("more")
    assert look(watched) == []
    assert look(watched) == ["a.tif"]
    assert look(watched) == []  # once


def test_a_change_of_time_alone_is_a_change(tmp_path: Path) -> None:
    watched = arrivals(tmp_path)
    (tmp_path / "a.tif").write_text("x")
    look(watched)
    os.utime(tmp_path / "a.tif", ns=(5, 5_000_000_001))
    assert look(watched) == []
    assert look(watched) == ["a.tif"]


def test_a_slow_writer_that_pauses_is_waited_for(tmp_path: Path) -> None:
    watched = arrivals(tmp_path, quiet=60.0)
    (tmp_path / "ts.mdoc").write_text("x")
    look(watched)
    assert [look(watched) for _ in range(5)] == [[]] * 5  # 50 s
    assert look(watched, 10.1) == ["ts.mdoc"]


@pytest.mark.parametrize(
    "name",
    [".a.tif", "a.tif.part", "a.part.tif", "a.tif.tmp", "a.TMP.tif", "a.tif~", "a.tif.filepart", ".a.tif.x7Gh2k"],
)
def test_names_of_copies_in_progress_are_passed_over(tmp_path: Path, name: str) -> None:
    assert is_partial_name(name)
    watched = arrivals(tmp_path)
    (tmp_path / name).write_text("x")
    assert [look(watched), look(watched), watched.waiting()] == [[], [], {}]
    (tmp_path / name).rename(tmp_path / "a.tif")
    assert [look(watched), look(watched)] == [[], ["a.tif"]]


@pytest.mark.parametrize("name", ["part_1.tif", "template.tif", "a.b.tif", "Fractions.tiff"])
def test_names_that_only_look_like_that_are_not(name: str) -> None:
    assert not is_partial_name(name)


def test_what_is_not_whole_waits_and_is_then_taken_as_it_is(tmp_path: Path) -> None:
    watched = arrivals(tmp_path, lambda path: Wanting("3 of 40 frames"), patience=100.0)
    (tmp_path / "a.tif").write_text("x")
    look(watched)
    assert look(watched) == []
    assert watched.waiting() == {str(tmp_path / "a.tif"): "3 of 40 frames"}
    watched.clock.now += 100
    (taken,) = watched.look()
    assert taken.lacking == "3 of 40 frames"


def test_what_is_never_an_item_is_neither_taken_nor_waited_for(tmp_path: Path) -> None:
    watched = arrivals(tmp_path, lambda path: Wanting("the mdoc of one movie", never=True), patience=1.0)
    (tmp_path / "a.mdoc").write_text("x")
    assert [look(watched) for _ in range(3)] == [[], [], []]
    assert watched.waiting() == {}


def test_a_file_that_goes_away_is_forgotten(tmp_path: Path) -> None:
    watched = arrivals(tmp_path)
    (tmp_path / "a.tif").write_text("x")
    look(watched)
    (tmp_path / "a.tif").unlink()
    assert look(watched) == []
    (tmp_path / "a.tif").write_text("x")
    assert [look(watched), look(watched)] == [[], ["a.tif"]]


def test_idle_counts_from_the_last_change(tmp_path: Path) -> None:
    watched = arrivals(tmp_path)
    (tmp_path / "a.tif").write_text("x")
    look(watched), look(watched)
    watched.clock.now += 30
    assert watched.idle() == 30


# -- whether a file is whole


def movie(path: Path, frames: int, cut: int = 0) -> Path:
    tifffile.imwrite(path, np.zeros((frames, 16, 16), np.uint8), photometric="minisblack")
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])
    return path


def test_a_movie_is_whole_when_it_opens_and_has_its_frames(tmp_path: Path) -> None:
    whole = Completeness(expected=4)
    assert whole.wanting(movie(tmp_path / "a.tif", 4)) is None
    assert whole.wanting(movie(tmp_path / "b.tif", 3)) == Wanting("3 of 4 frames")
    assert "cut off" in str(whole.wanting(movie(tmp_path / "c.tif", 4, cut=600)))
    (tmp_path / "d.tif").touch()
    assert whole.wanting(tmp_path / "d.tif") == Wanting("it is empty")


def test_frames_are_expected_as_most_so_far_had(tmp_path: Path) -> None:
    whole = Completeness()
    short = movie(tmp_path / "short.tif", 2)
    assert whole.wanting(short) is None
    for name in "abc":
        whole.learn(movie(tmp_path / f"{name}.tif", 4))
    assert whole.wanting(short) == Wanting("2 of 4 frames")
    assert whole.counts == Counter({4: 3})


def mdoc(folder: Path, views: int, kind: str = "ZValue") -> Path:
    sections = [
        f"[{kind} = {n}]\nTiltAngle = {3 * n - 3}\nSubFramePath = X:\\\\frames\\\\t_{n}.tif\n" for n in range(views)
    ]
    path = folder / "ts.mdoc"
    path.write_text("PixelSpacing = 2\n\n" + "\n".join(sections))
    return path


def test_a_series_is_whole_when_all_its_movies_are_there_and_whole(tmp_path: Path) -> None:
    whole = Completeness(series=True)
    path = mdoc(tmp_path, 3)
    assert whole.wanting(path) == Wanting("3 of 3 movies are not there yet (first: t_0.tif)")
    for n in range(3):
        movie(tmp_path / f"t_{n}.tif", 2, cut=300 if n == 1 else 0)
    assert whole.wanting(path) == Wanting("its movie t_1.tif is not whole yet")
    movie(tmp_path / "t_1.tif", 2)
    assert whole.wanting(path) is None
    assert Completeness(expected=5, series=True).wanting(path) == Wanting("3 of 5 views")


def test_the_mdoc_of_one_movie_is_no_series(tmp_path: Path) -> None:
    found = Completeness(series=True).wanting(mdoc(tmp_path, 1, "FrameSet"))
    assert found == Wanting("the mdoc of one movie, not of a tilt series", never=True)


def test_the_mdoc_of_a_stack_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "ts.tif.mdoc").write_text("[ZValue = 0]\nTiltAngle = 0\n[ZValue = 1]\nTiltAngle = 3\n")
    whole = Completeness(series=True)
    assert whole.wanting(tmp_path / "ts.tif.mdoc") == Wanting("its stack ts.tif is not there")
    movie(tmp_path / "ts.tif", 2)
    assert whole.wanting(tmp_path / "ts.tif.mdoc") is None


# -- whether the work keeps up


def test_it_says_when_more_arrives_than_is_done() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.arrived(100)
    assert pace.rates(100) is None  # too early to tell
    clock.now += LEAST_S
    for _ in range(20):
        pace.ended()
    rates = pace.rates(80)
    assert rates is not None
    assert (rates.arriving, rates.done, rates.behind, rates.catch_up_s) == (100, 20, True, None)


def test_it_says_when_it_will_have_caught_up() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.arrived(100)
    clock.now += 700  # the burst is over
    pace.arrived(10)
    for _ in range(60):
        pace.ended()
    rates = pace.rates(50)
    assert rates is not None
    assert not rates.behind
    assert rates.catch_up_s == pytest.approx(60 * 50 / (rates.done - rates.arriving))
