"""``init``: what it finds where, what it asks, and that it guesses nothing."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from pypcore.errors import UsageError
from pypcore.formats.epu_xml import read_epu_xml
from pypcore.formats.fei_header import read_fei_header
from pypcore.options import prepare
from pypcore.survey.facts import Survey
from pypcore.survey.look import look_at
from pypcore.survey.toml import to_toml

REAL = Path(__file__).parent / "real"

# Elements, namespaces and units as in EPU 3.9's files; the numbers are made up.
EPU = """<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<CustomData xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays">
<a:KeyValueOfstringanyType><a:Key>Dose</a:Key><a:Value>4.0E+21</a:Value></a:KeyValueOfstringanyType>
<a:KeyValueOfstringanyType><a:Key>DetectorCommercialName</a:Key><a:Value>K3</a:Value></a:KeyValueOfstringanyType>
</CustomData>
<SpatialScale><offset><x><numericValue>0</numericValue></x></offset>
<pixelSize><x><numericValue>1.06E-10</numericValue></x></pixelSize></SpatialScale>
<microscopeData><acquisition><camera>
<Binning xmlns:a="http://schemas.datacontract.org/2004/07/System.Drawing"><a:x>2</a:x><a:y>2</a:y></Binning>
<CameraSpecificInput xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays">
<a:KeyValueOfstringanyType><a:Key>FractionationSettings</a:Key>
<a:Value xmlns:b="x"><b:NumberOffractions>8</b:NumberOffractions></a:Value></a:KeyValueOfstringanyType>
</CameraSpecificInput>
<ReadoutArea xmlns:a="http://schemas.datacontract.org/2004/07/System.Drawing"><a:height>16</a:height><a:width>24</a:width>
</ReadoutArea></camera></acquisition><gun><AccelerationVoltage>300000</AccelerationVoltage></gun></microscopeData>
</MicroscopeImage>"""


def movie(path: Path, frames: int = 8, shape: tuple[int, int] = (32, 48), kind: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.zeros((frames, *shape), kind), photometric="minisblack")
    return path


def found(survey: Survey) -> dict[str, object]:
    return {key: facts[0].value for key, facts in survey.found.items()}


def asked(survey: Survey) -> set[str]:
    return {question.key for question in survey.questions}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def epu(folder: Path) -> Path:
    """Two squares of an EPU session, as EPU lays them out: movies, their sums, an XML each, and one of the square."""
    for square in ("GridSquare_1", "GridSquare_2"):
        data = folder / "epu/Images-Disc1" / square / "Data"
        for hole in (7, 12):
            movie(data / f"FoilHole_{hole}_Data_1_Fractions.tiff")
            movie(data / f"FoilHole_{hole}_Data_1.tiff", 1, kind=np.uint16)
            (data / f"FoilHole_{hole}_Data_1.xml").write_text(EPU)
        (data.parent / f"{square}.xml").write_text(EPU.replace("1.06E-10", "2.1E-08").replace("4.0E+21", "3E+17"))
    return folder / "epu"


def test_an_epu_session_is_found_out(epu: Path, folder: Path) -> None:
    movie(folder / "epu/20240101_gain.tiff", 1, (48, 32), np.float32)
    survey = look_at(epu)
    assert survey.operation == "motioncorr"
    assert survey.inputs == ["epu/Images-Disc1/**/*_Fractions.tiff"]
    # The movie has twice the pixels of the image that the XML is of; the dose is over eight fractions.
    assert found(survey) == {"voltage": 300.0, "pixel_size": 0.53, "dose": 5.0, "gain": "epu/20240101_gain.tiff"}
    assert "finer" in survey.found["pixel_size"][0].source
    assert "turned by 90 or 270" in survey.found["gain"][0].source
    assert asked(survey) == {"gain_rotate", "gain_flip"}
    assert "4 movies of 48 x 32 px, 8 frames, uint8" in survey.summary


def test_what_it_writes_is_what_run_takes(epu: Path, folder: Path) -> None:
    (folder / "pypcore.toml").write_text(to_toml(look_at(epu)))
    request = prepare("motioncorr", look_at(epu).inputs, "job", {}, config=folder / "pypcore.toml").request
    assert (request.parameters["pixel_size"], request.parameters["dose"], request.parameters["voltage"]) == (
        0.53,
        5,
        300,
    )
    text = (folder / "pypcore.toml").read_text()
    assert "# from pixelSize in FoilHole_7_Data_1.xml" in text
    assert "# gain" in text  # none was found: a question
    assert "leave it out if it is applied" in text


def test_files_that_disagree_are_both_shown_and_neither_is_taken(folder: Path) -> None:
    for name, pixel in (("a", 0.83), ("b", 1.06)):
        with mrcfile.new(folder / f"raw_{name}.mrcs") as file:
            file.set_data(np.zeros((4, 16, 16), np.int8))
            file.voxel_size = pixel
        (folder / f"raw_{name}.mrcs.mdoc").write_text(
            f"Voltage = 300\n\n[FrameSet = 0]\nPixelSpacing = {pixel}\nExposureDose = 40\nNumSubFrames = 40\n"
        )
    survey = look_at(folder)
    assert {fact.value for fact in survey.conflicts["pixel_size"]} == {0.83, 1.06}
    assert found(survey) == {"voltage": 300, "dose": 1.0}
    table = tomllib.loads(to_toml(survey))["parameters"]
    assert "pixel_size" not in table
    assert "# pixel_size = 0.83  # " in to_toml(survey)


def test_the_doses_of_serialem_s_frames_are_taken_and_its_gain_is_named(folder: Path) -> None:
    movie(folder / "s_001.tif", 12)
    (folder / "s_001.tif.mdoc").write_text(
        "T = SerialEM\nVoltage = 300\n\n[FrameSet = 0]\nTiltAngle = 33\nPixelSpacing = 1.2827\nExposureDose = 7.65892\n"
        "NumSubFrames = 12\nFrameDosesAndNumber = 0.63824 12\nGainReference = SuperRef_s.dm4\n"
        "DefectFile = defects_s.txt\n"
    )
    (folder / "defects_s.txt").write_text("CameraSizeX 48\nCameraSizeY 32\nRotationAndFlip 0\n")
    (folder / "SuperRef_s.dm4").touch()
    survey = look_at(folder)
    assert found(survey) == {"voltage": 300, "pixel_size": 1.2827, "dose": 0.63824}
    assert any("dm2mrc SuperRef_s.dm4" in note for note in survey.notes)
    assert any("clip defect -D defects_s.txt" in note for note in survey.notes)
    assert "gain" in asked(survey)


def mdoc(path: Path, axis: float = 85.3, names: str = "t_{n}.tif", more: str = "", size: str = "48 32") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = [
        f"[ZValue = {n}]\nTiltAngle = {3 * n - 6}\nPixelSpacing = 2.7\nExposureDose = 3.1\n{more}"
        f"SubFramePath = D:\\\\data\\\\{names.format(n=n)}\nDateTime = 01-Jan-24  10:0{n}:00\n"
        for n in range(5)
    ]
    head = f"PixelSpacing = 2.7\nVoltage = 300\nImageSize = {size}\n\n[T = Tilt axis angle = {axis}, binning = 1]\n\n"
    path.write_text(head + "\n".join(sections))
    return path


def test_tilt_series_are_found_out_with_their_movies_elsewhere(folder: Path) -> None:
    mdoc(folder / "mdocs/TS_1.mdoc", 85.3)
    mdoc(folder / "mdocs/TS_2.mdoc", 84.9)
    mdoc(folder / "mdocs/TS_2_override.mdoc", 12.0)
    (folder / "mdocs/t_0.tif.mdoc").write_text("[FrameSet = 0]\nTiltAngle = 3\nSubFramePath = t_0.tif\n")
    for n in range(5):
        movie(folder / f"raw/t_{n}.tif", 4, (64, 96))
    survey = look_at(folder)
    assert (survey.operation, survey.inputs) == ("tomogram", ["mdocs/*.mdoc"])
    # The movies have twice the pixels of the stack's images that the mdoc is of.
    assert found(survey) == {"frames": "raw", "voltage": 300.0, "pixel_size": 1.35, "dose": 3.1}
    questions = {question.key: question.text for question in survey.questions}
    assert questions["tilt_axis"] == "each series has its own, 84.9 to 85.3 degrees; the job takes each from its mdoc"
    assert {"thickness", "handedness", "gain"} <= set(questions)
    assert any("override" in note for note in survey.notes)
    request = prepare("tomogram", survey.inputs, "job", {}, config=_written(folder, survey)).request
    assert request.parameters["pixel_size"] == 1.35


def _written(folder: Path, survey: Survey) -> Path:
    (folder / "pypcore.toml").write_text(to_toml(survey))
    return folder / "pypcore.toml"


def test_movies_of_one_name_are_told_apart_by_their_paths_or_asked_for(folder: Path) -> None:
    """warp#143: two grids, the same names."""
    mdoc(folder / "mdocs/TS_1.mdoc", names="grid_2\\\\t_{n}.tif")
    for grid in ("grid_1", "grid_2"):
        for n in range(5):
            movie(folder / f"raw/{grid}/t_{n}.tif", 4)
    survey = look_at(folder)
    assert found(survey)["frames"] == "raw"  # from which grid_2/t_0.tif leads there
    mdoc(folder / "mdocs/TS_1.mdoc", names="t_{n}.tif")
    survey = look_at(folder)
    assert "frames" not in found(survey)
    assert any("5 movies have namesakes" in note for note in survey.notes)


def test_the_axis_of_tomography_5_is_asked_for(folder: Path) -> None:
    mdoc(folder / "TS.mdoc", -176.7, "Position_{n}_Fractions.mrc")
    survey = look_at(folder)
    (question,) = (one for one in survey.questions if one.key == "tilt_axis")
    assert "86.7" in question.text
    assert "tilt_axis" not in survey.found


def test_a_broken_mdoc_is_a_note_and_the_others_count(folder: Path) -> None:
    mdoc(folder / "TS_1.mdoc")
    (folder / "TS_2.mdoc").write_text("no such thing")
    survey = look_at(folder)
    assert "1 tilt series" in survey.summary
    assert any("TS_2.mdoc" in note and "key = value" in note for note in survey.notes)


def test_a_real_stem_mdoc_at_one_angle_is_no_tilt_series(folder: Path) -> None:
    (folder / "x.mrc.mdoc").write_bytes((REAL / "serialem_multiframe.mrc.mdoc").read_bytes())
    with pytest.raises(UsageError, match="no movie"):
        look_at(folder)


def test_the_header_that_epu_writes_is_read(folder: Path) -> None:
    raw = bytearray((REAL / "fei-extended-header.bin").read_bytes())
    raw[8:12] = (3).to_bytes(4, "little")  # sections, so that it is a movie; and its images
    raw[92:96] = (768).to_bytes(4, "little")
    columns, rows = (int.from_bytes(raw[at : at + 4], "little") for at in (0, 4))
    (folder / "m.mrc").write_bytes(raw)
    with (folder / "m.mrc").open("ab") as file:
        file.truncate(len(raw) + 3 * rows * columns * 2)
    header = read_fei_header(folder / "m.mrc")
    assert header is not None
    assert (header.voltage, header.application) == (300, "Fei EPU")
    assert header.pixel_size == pytest.approx(0.85378, abs=1e-5)
    assert header.dose == pytest.approx(47.6, abs=0.1)
    assert found(look_at(folder))["pixel_size"] == pytest.approx(0.85378, abs=1e-5)


def test_other_xml_is_none_of_epu_s(folder: Path) -> None:
    (folder / "a.xml").write_text("<TiltSeries/>")
    assert read_epu_xml(folder / "a.xml") is None


def test_an_empty_folder_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="give the folder that the microscope writes to"):
        look_at(folder)
    with pytest.raises(UsageError, match="no such folder"):
        look_at(folder / "nowhere")


def test_the_command_writes_once_and_speaks_json(epu: Path, folder: Path) -> None:
    def init(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "pypcore.cli.main", "init", "epu", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)

    told = json.loads(init("--json").stdout)
    assert told["found"]["voltage"][0]["value"] == 300
    assert told["command"].startswith("pypcore run motioncorr 'epu/Images-Disc1/**/*_Fractions.tiff'")
    text = (folder / "pypcore.toml").read_text()
    again = init()
    assert again.returncode == 2
    assert "is there already; give --force" in again.stderr
    assert init("--force").returncode == 0
    assert (folder / "pypcore.toml").read_text() == text
