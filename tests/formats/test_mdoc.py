"""mdocs as they are found in the wild: each trap here has cost somebody a data set."""

from datetime import datetime
from pathlib import Path

import pytest

from pypcore.errors import InputError
from pypcore.formats.mdoc import acquisition_order, parse_time, read_mdoc, write_mdoc
from pypcore.formats.tilt_series_mdoc import find_movie, series_of_movies

HEADER = "PixelSpacing = 2.5\nVoltage = 300\nImageFile = ts.mrc\n\n[T = Tilt axis angle = 84.2, binning = 1]\n\n"
READ = {"frames": None, "skip_missing": False, "duplicates": "last"}


def section(number: int, angle: float, kind: str = "ZValue", **values: object) -> str:
    lines = {"TiltAngle": angle, "PixelSpacing": 2.5, **values}
    return f"[{kind} = {number}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()) + "\n"


def write(folder: Path, sections: list[str], header: str = HEADER, name: str = "ts.mdoc") -> Path:
    path = folder / name
    path.write_text(header + "".join(sections))
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_what_is_not_known_survives_a_round_trip(tmp_path: Path) -> None:
    odd = section(0, 1.5, MadeUpKey="a = b, c", Voltage2="") + "[MontSection = 7]\nX = 1\n"
    path = write(tmp_path, [odd])
    mdoc = read_mdoc(path)
    write_mdoc(tmp_path / "again.mdoc", mdoc)
    again = read_mdoc(tmp_path / "again.mdoc")
    assert again.header == mdoc.header
    assert again.titles == mdoc.titles == ["Tilt axis angle = 84.2, binning = 1"]
    assert [vars(one) | {"source": ""} for one in again.sections] == [
        vars(one) | {"source": ""} for one in mdoc.sections
    ]
    assert mdoc.sections[0].values["MadeUpKey"] == "a = b, c"
    assert mdoc.sections[1].kind == "MontSection"


def test_windows_line_ends_byte_order_mark_and_foreign_letters_are_read(tmp_path: Path) -> None:
    text = HEADER + section(0, -3, SubFramePath="D:\\J\xf6rg\\a.tif")
    (tmp_path / "ts.mdoc").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode("latin-1"))
    mdoc = read_mdoc(tmp_path / "ts.mdoc")
    assert mdoc.header["Voltage"] == "300"
    assert mdoc.sections[0].movie is not None
    assert mdoc.sections[0].movie.name == "a.tif"
    write_mdoc(tmp_path / "again.mdoc", mdoc)
    assert b"J\xf6rg" in (tmp_path / "again.mdoc").read_bytes()


def test_the_axis_is_the_title_s_and_else_the_rotation_less_a_right_angle(tmp_path: Path) -> None:
    assert read_mdoc(write(tmp_path, [section(0, 0, RotationAngle=174.2)])).tilt_axis == (
        84.2,
        "'Tilt axis angle' in the mdoc",
    )
    bare = read_mdoc(write(tmp_path, [section(0, 0, RotationAngle=-95.5)], header="Voltage = 200\n"))
    assert bare.tilt_axis is not None
    assert bare.tilt_axis[0] == pytest.approx(174.5)
    assert read_mdoc(write(tmp_path, [section(0, 0)], header="Voltage = 200\n")).tilt_axis is None


def test_order_is_by_dose_on_record_before_the_clock_before_the_file(tmp_path: Path) -> None:
    def order(*rows: dict[str, object], angles: tuple[float, ...] = (0, 3, -3)) -> object:
        sections = [section(i, angle, **row) for i, (angle, row) in enumerate(zip(angles, rows, strict=True))]
        return acquisition_order(read_mdoc(write(tmp_path, sections)).sections)

    doses = [{"PriorRecordDose": dose, "DateTime": "01-Jan-24  10:00:00"} for dose in (6.1, 0, 3)]
    assert order(*doses) == ([2, 0, 1], "PriorRecordDose")
    clocks = [{"DateTime": f"08-Oct-21  07:3{minute}:08"} for minute in (5, 4, 6)]
    assert order(*clocks) == ([1, 0, 2], "DateTime")
    # warp#310: one time stamp is missing; the sections of a dose-symmetric series are then in the order taken ...
    assert order(clocks[0], {"DateTime": ""}, clocks[2]) == ([0, 1, 2], "the order of the sections")
    # ... unless they were sorted by angle, when nobody knows any more.
    assert order({}, {}, {}, angles=(-3, 0, 3)) is None


def test_doses_are_those_before_each_tilt_in_time_not_in_the_file(tmp_path: Path) -> None:
    """warp#432: sections by angle, doses by time."""
    touch(tmp_path, "a.tif", "b.tif", "c.tif")
    rows = ((-3, "a.tif", 3), (0, "b.tif", 1), (3, "c.tif", 2))
    times = [
        section(i, angle, SubFramePath=name, ExposureDose=2.5, DateTime=f"01-Jan-24  10:0{minute}:00")
        for i, (angle, name, minute) in enumerate(rows)
    ]
    series = series_of_movies(write(tmp_path, times), **READ)
    assert [view.prior_dose for view in series.views] == [5.0, 0.0, 2.5]
    assert [view.order for view in series.views] == [2, 0, 1]
    assert series.sources["dose"].startswith("ExposureDose")


def test_movies_are_found_by_the_longest_end_of_their_windows_path(tmp_path: Path) -> None:
    """warp#143: movies of two grids have the same name."""
    touch(tmp_path, "one/frames/t_0.tif", "two/frames/t_0.tif", "t_9.tif")
    recorded = read_mdoc(write(tmp_path, [section(0, 0, SubFramePath="X:\\2024\\two\\frames\\t_0.tif")]))
    movie = recorded.sections[0].movie
    assert movie is not None
    assert find_movie(movie, [tmp_path]) == tmp_path / "two/frames/t_0.tif"
    for text in ("/data/me/t_9.tif", "\\\\server\\share\\t_9.tif", "frames\\deep\\t_9.tif", "t_9.tif"):
        movie = read_mdoc(write(tmp_path, [section(0, 0, SubFramePath=text)])).sections[0].movie
        assert movie is not None
        assert find_movie(movie, [tmp_path]) == tmp_path / "t_9.tif"


def test_missing_movies_are_one_line_or_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "frames/t_1.tif", "frames/t_2.tif", "frames/t_3.tif")
    sections = [section(i, 3.0 * i, SubFramePath=f"D:\\data\\t_{i}.tif") for i in range(4)]
    path = write(tmp_path, sections)
    with pytest.raises(InputError, match=r"1 of 4 movies are missing \(first: t_0.tif; .*--frames.*--skip-missing"):
        series_of_movies(path, **READ)
    series = series_of_movies(path, frames=None, skip_missing=True, duplicates="last")
    assert [view.file.name for view in series.views] == ["t_1.tif", "t_2.tif", "t_3.tif"]
    assert "t_0.tif: its movie is missing" in " ".join(series.notes)


@pytest.mark.parametrize(("keep", "left"), [("last", ["a", "c", "d"]), ("first", ["a", "b", "d"]), ("all", "abcd")])
def test_an_angle_taken_again_counts_once(tmp_path: Path, keep: str, left: str) -> None:
    touch(tmp_path, *(f"{name}.tif" for name in "abcd"))
    sections = [
        section(i, angle, SubFramePath=f"{name}.tif", DateTime=f"01-Jan-24  10:0{i}:00")
        for i, (name, angle) in enumerate(zip("abcd", (-3, 0.01, 0.02, 3), strict=True))
    ]
    series = series_of_movies(write(tmp_path, sections), frames=None, skip_missing=False, duplicates=keep)
    assert [view.file.stem for view in series.views] == list(left)


def test_one_movie_named_twice_counts_once_whatever_is_asked(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif", "c.tif")
    sections = [section(i, a, SubFramePath=f"{n}.tif") for i, (n, a) in enumerate([("a", 0), ("b", 3), ("c", -3)])]
    path = write(tmp_path, [*sections, section(3, 3.4, SubFramePath="b.tif")])
    series = series_of_movies(path, frames=None, skip_missing=False, duplicates="all")
    assert [(view.file.stem, view.angle) for view in series.views] == [("c", -3), ("a", 0), ("b", 3.4)]


def test_tomography_5_s_axis_is_doubted_aloud(tmp_path: Path) -> None:
    """warp#461: Tomography 5 writes another angle than IMOD means."""
    names = [f"Position_1_00{i}_{3.0 * i:.2f}_20240101_Fractions.mrc" for i in range(3)]
    touch(tmp_path, *names)
    header = "Voltage = 300\n[T = Tilt axis angle = -176.73, binning = 1]\n"
    sections = [section(i, 3.0 * i, SubFramePath=f"C:\\x\\{name}") for i, name in enumerate(names)]
    series = series_of_movies(write(tmp_path, sections, header), **READ)
    assert series.axis == -176.73
    assert any("86.73" in note and "--tilt-axis" in note for note in series.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no such line", "should be 'key = value'"),
        ("[ZValue 0]\n", r"a section is \[ZValue = 0\]"),
        ("PixelSpacing = 1\n", "no .ZValue"),
        ("[ZValue = 0]\nTiltAngle = 3,5\n", "TiltAngle = 3,5; it should be a number"),
        ("[ZValue = 0]\nStageZ = 3\n", "no TiltAngle"),
        ("[ZValue = 0]\nTiltAngle = 3\n", "no SubFramePath"),
        ("[FrameSet = 0]\nTiltAngle = 3\nSubFramePath = a.tif\n", "the mdoc of one movie"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "bad.mdoc"
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as raised:
        series_of_movies(path, **READ)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("08-Oct-21  07:39:08", datetime(2021, 10, 8, 7, 39, 8)),
        ("2021-Feb-26 10:20:41", datetime(2021, 2, 26, 10, 20, 41)),
        ("26-Feb-2021 10:20:41", datetime(2021, 2, 26, 10, 20, 41)),
        ("", None),
        ("yesterday", None),
        ("40-Foo-21 10:20:41", None),
    ],
)
def test_time_stamps(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected
