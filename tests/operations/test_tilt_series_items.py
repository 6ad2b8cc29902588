"""Tilt series as items: what a folder or a list stands for, and what is refused before and at the first look."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pypcore.errors import InputError, UsageError
from pypcore.formats.mrc import write_mrc
from pypcore.formats.mrc_stack import MrcStackWriter
from pypcore.formats.tilt_angles import write_angles
from pypcore.items import Item, choose_names
from pypcore.operation import Context
from pypcore.operations.align_tilts import AlignTilts
from pypcore.operations.tilt_items import find_series, open_series
from pypcore.operations.tilt_parameters import TiltSeriesParameters, read_views
from pypcore.operations.tilt_task import begin, look
from pypcore.operations.tomogram import Tomogram
from pypcore.operations.tomogram_parameters import TomogramParameters

ANGLES = np.arange(-12.0, 13, 6)


def stack(folder: Path, name: str = "ts", images: np.ndarray | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if images is None:
        images = np.random.default_rng(0).poisson(50, (5, 32, 48)).astype(np.float32)
    with MrcStackWriter(folder / f"{name}.st", 3.0) as writer:
        for image in images:
            writer.append(image)
    write_angles(folder / f"{name}.rawtlt", ANGLES[: len(images)])
    return folder / f"{name}.st"


def item_of(path: Path) -> Item:
    stat = path.stat()
    return Item(0, choose_names([path])[0], str(path), path.name, stat.st_size, stat.st_mtime_ns)


def read(path: Path, **options: object) -> list[str]:
    series, _ = open_series(item_of(path), TiltSeriesParameters(**options), path.parent)
    return [view.excluded for view in series.views]


def test_a_folder_stands_for_its_mdocs_and_else_for_its_stacks(tmp_path: Path) -> None:
    for name in ("a.mdoc", "a_override.mdoc", "b.mdoc", "c_override.mdoc", "x.tif"):
        (tmp_path / "mdocs").mkdir(exist_ok=True)
        (tmp_path / "mdocs" / name).touch()
    stack(tmp_path / "stacks", "ts_10")
    stack(tmp_path / "stacks", "ts_9")
    # relion#1327: of two mdocs of one series Tomography 5's override is none of the acquisition.
    assert [path.name for path in find_series(["mdocs"], tmp_path)] == ["a.mdoc", "b.mdoc", "c_override.mdoc"]
    assert [path.name for path in find_series(["mdocs/*.mdoc"], tmp_path)] == ["a.mdoc", "b.mdoc", "c_override.mdoc"]
    assert [path.name for path in find_series(["stacks"], tmp_path)] == ["ts_9.st", "ts_10.st"]
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no tilt series in this folder"):
        find_series(["none"], tmp_path)


def test_a_star_file_stands_for_the_series_it_lists(tmp_path: Path) -> None:
    (tmp_path / "all.star").write_text(
        "data_global\nloop_\n_rlnTomoName\n_rlnTomoTiltSeriesStarFile\na s/a.star\nb s/b.star\n"
    )
    (tmp_path / "other.star").write_text("data_micrographs\nloop_\n_rlnMicrographName\na.mrc\n")
    assert find_series(["all.star"], tmp_path) == [Path("s/a.star"), Path("s/b.star")]
    with pytest.raises(UsageError, match="no column rlnTomoTiltSeriesStarFile"):
        find_series(["other.star"], tmp_path)


def test_an_mdoc_is_named_as_its_stack(tmp_path: Path) -> None:
    assert choose_names([Path("TS_01.mrc.mdoc"), Path("TS_02.mdoc"), Path("a.b.mdoc")]) == ["TS_01", "TS_02", "a.b"]


@pytest.mark.parametrize(("text", "views"), [("1", [1]), ("1,3-5", [1, 3, 4, 5]), ("2, 7", [2, 7])])
def test_lists_of_views(text: str, views: list[int]) -> None:
    assert read_views(text) == views


@pytest.mark.parametrize("text", ["", "0", "1;2", "3-", "a", "-3"])
def test_what_is_no_list_of_views(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number of a view"):
        read_views(text)


def test_views_are_left_out_by_number_for_all_series_or_for_each(tmp_path: Path) -> None:
    path = stack(tmp_path)
    assert read(path, exclude_views="1,5") == ["excluded by the request", "", "", "", "excluded by the request"]
    (tmp_path / "bad.txt").write_text("# series views\nother 3\nts 2\n")
    assert read(path, exclude_list=tmp_path / "bad.txt").index("excluded by the request") == 1
    with pytest.raises(InputError, match="view 7 is to be left out, of 5"):
        read(path, exclude_views="7")
    with pytest.raises(InputError, match="2 of 5 views can be used"):
        read(path, exclude_views="1-3")


def test_a_view_is_named_by_its_place_in_the_stack_whatever_is_left_out(tmp_path: Path) -> None:
    path = stack(tmp_path)
    write_angles(tmp_path / "ts.rawtlt", [0, 6, -6, 12, -12])  # as taken
    params = TiltSeriesParameters(sort_angles=True, exclude_views="2")
    series, _ = open_series(item_of(path), params, tmp_path)
    assert [(view.number, view.angle) for view in series.views] == [(5, -12), (3, -6), (1, 0), (2, 6), (4, 12)]
    assert [view.number for view in series.views if view.excluded] == [2]


def test_a_pixel_size_is_never_guessed(tmp_path: Path) -> None:
    path = stack(tmp_path)
    write_mrc(path, np.ones((5, 8, 8), np.float32), 1.0)  # 1 Å is what programs write for "not known"
    with pytest.raises(InputError, match="pixel size; give it"):
        read(path)
    assert read(path, pixel_size=2.0) == [""] * 5


@pytest.mark.parametrize(("size", "fits"), [("48 32", True), ("46 30", True), ("24 16", False), ("12 8", False)])
def test_an_mdoc_s_pixel_size_is_of_its_own_images(tmp_path: Path, size: str, fits: bool) -> None:
    for name in "abc":
        write_mrc(tmp_path / f"{name}.mrc", np.ones((2, 32, 48), np.float32), 1.0)
    sections = [f"[ZValue = {z}]\nTiltAngle = {3 * z}\nSubFramePath = {name}.mrc\n" for z, name in enumerate("abc")]
    path = tmp_path / "ts.mdoc"
    path.write_text(f"PixelSpacing = 5.4\nImageSize = {size}\n" + "\n".join(sections))
    if fits:
        assert read(path) == ["", "", ""]
    else:
        with pytest.raises(
            InputError, match=r"5.4 Å, is of images of .* but a.mrc has 48 x 32; .*\(about (2.7|1.35) Å"
        ):
            read(path)
        assert read(path, pixel_size=1.35) == ["", "", ""]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"thickness": 0}, "thickness"),
        ({"alignment": Path("x"), "realign": True}, "give one of them"),
        ({"eer_fractions": 8, "eer_group": 4}, "give one"),
        ({"patches": "1,5"}, "patches 1,5"),
        ({"exclude_views": "x"}, "neither a number of a view"),
        ({"bin": 0.5}, "bin"),
    ],
)
def test_requests_that_make_no_sense(options: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        TomogramParameters(**options)


def test_launch_refuses_what_no_series_can_use(tmp_path: Path) -> None:
    good, bad = stack(tmp_path, "good"), stack(tmp_path, "bad")
    (tmp_path / "bad.rawtlt").unlink()
    AlignTilts().check(TiltSeriesParameters(), [item_of(bad), item_of(good)])  # the bad one fails when its turn comes
    with pytest.raises(UsageError, match="no angles beside it"):
        Tomogram().check(TomogramParameters(), [item_of(bad)])


def test_black_and_broken_views_are_left_out_with_the_reason(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    images = np.random.default_rng(0).poisson(50, (5, 32, 48)).astype(np.float32)
    images[1] = 0
    images[3, 2, 2:5] = np.nan
    task = begin(item_of(stack(tmp_path, images=images)), TomogramParameters(), make_context(), halves=False, share=1.0)
    series = look(task, 2, logging.getLogger("test")).series
    assert [view.excluded[:22] for view in series.views] == [
        "",
        "black: a mean of 0 whe",
        "",
        "3 pixels are NaN or in",
        "",
    ]
    images[4] = 0
    task = begin(item_of(stack(tmp_path, images=images)), TomogramParameters(), make_context(), halves=False, share=1.0)
    with pytest.raises(InputError, match=r"2 of 5 views can be used .*black.*NaN.*black.*a tomogram needs 3"):
        look(task, 2, logging.getLogger("test"))
