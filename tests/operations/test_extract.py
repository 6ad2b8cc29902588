"""Particles cut out of micrographs: where, how many, how normalised; the same pixels as RELION's."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pypcore.errors import UsageError
from pypcore.formats.coordinates import Picks, write_picks
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.formats.star import read_star, write_star
from pypcore.job import Job
from pypcore.local import run_here
from pypcore.operations.extract import ExtractParameters, cut_out
from pypcore.options import prepare

POINTS = np.array([[60.0, 40.0], [100.4, 70.6], [33.5, 90.5], [5.0, 60.0]])  # the last one's box leaves the image


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two micrographs with a bright dot and a slope each, picks, and their CTF."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:128, :160]
    random = np.random.default_rng(4)
    for name in ("a", "b"):
        image = random.normal(size=y.shape) + 0.01 * x + 0.02 * y - 9 * np.exp(-((y - 40) ** 2 + (x - 60) ** 2) / 8)
        write_mrc(tmp_path / f"{name}.mrc", image.astype(np.float32), 1.5)
        (tmp_path / "picks").mkdir(exist_ok=True)
        write_picks(tmp_path / f"picks/{name}.star", Picks(POINTS, np.array([3.0, 2.0, 1.0, 0.5])))
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [1.5]}
    optics |= {"rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1]}
    rows = {"rlnMicrographName": ["a.mrc", "b.mrc"], "rlnOpticsGroup": [1, 1]}
    rows |= {"rlnDefocusU": [12000.0, 13000.0], "rlnDefocusV": [11000.0, 12500.0], "rlnDefocusAngle": [30.0, 40.0]}
    write_star(tmp_path / "ctf.star", {"optics": optics, "micrographs": rows})
    return tmp_path


def extract(data: Path, inputs: tuple[str, ...] = ("a.mrc", "b.mrc"), **options: Any) -> Path:
    given = {"coordinates": "picks", "box": 32} | options
    outcome = run_here(Job(data / "job"), prepare("extract", inputs, "job", given).request)
    assert outcome.exit_code == 0, outcome.states
    return data / "job"


def test_particles_are_where_relion_looks_for_them(data: Path):
    job = extract(data, ctf="ctf.star", scale=16)
    star = read_star(job / "particles.star")
    rows, optics = star["particles"].columns, star["optics"].columns
    assert rows["rlnImageName"][:3] == [f"{n:06d}@job/particles/a.mrcs" for n in (1, 2, 3)]
    assert len(rows["rlnImageName"]) == 6
    assert rows["rlnMicrographName"] == ["a.mrc"] * 3 + ["b.mrc"] * 3
    assert rows["rlnDefocusU"] == ["12000"] * 3 + ["13000"] * 3
    assert rows["rlnAutopickFigureOfMerit"][:3] == ["3", "2", "1"]
    assert {name: values[0] for name, values in optics.items() if name != "rlnOpticsGroupName"} == {
        "rlnOpticsGroup": "1",
        "rlnMicrographOriginalPixelSize": "1.5",
        "rlnVoltage": "300",
        "rlnSphericalAberration": "2.7",
        "rlnAmplitudeContrast": "0.1",
        "rlnImagePixelSize": "3",
        "rlnImageSize": "16",
        "rlnImageDimensionality": "2",
        "rlnCtfDataAreCtfPremultiplied": "0",
    }
    stack, size = read_mrc(job / "particles/a.mrcs")
    assert stack.shape == (3, 16, 16)
    assert size == pytest.approx(3)


def test_the_dot_is_in_the_middle_and_light_when_inverted(data: Path):
    stack, _ = read_mrc(extract(data, scale=16) / "particles/a.mrcs")
    assert np.unravel_index(stack[0].argmax(), (16, 16)) == (8, 8)
    axis = np.arange(16) - 8
    ground = axis[:, None] ** 2 + axis**2 > 6**2
    assert stack[:, ground].mean(axis=1) == pytest.approx([0] * 3, abs=1e-5)
    assert stack[:, ground].std(axis=1) == pytest.approx([1] * 3, abs=1e-5)


def test_a_threshold_takes_the_better_ones(data: Path):
    assert len(read_star(extract(data, threshold=1.5) / "particles.star")["particles"].columns["rlnImageName"]) == 4


def test_nothing_is_done_to_pixels_when_nothing_is_asked(data: Path):
    image, _ = read_mrc(data / "a.mrc")
    params = ExtractParameters(coordinates=Path("picks"), box=32, invert=False, normalize=False)
    assert (cut_out(image, POINTS[:1], params)[0] == image[24:56, 44:76]).all()


def test_one_star_for_all_micrographs_and_a_list_of_files(data: Path):
    names = ["a.mrc"] * 2 + ["b.mrc"]
    rows = {"rlnMicrographName": names, "rlnCoordinateX": [60.0, 80.0, 70.0], "rlnCoordinateY": [40.0, 50.0, 60.0]}
    write_star(data / "all.star", {"particles": rows})
    found = read_star(extract(data, coordinates="all.star") / "particles.star")["particles"].columns
    assert found["rlnMicrographName"] == names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"box": 31}, "box 31 is odd"),
        ({"scale": 64}, "more than the box"),
        ({"coordinates": "nowhere"}, "nowhere"),
        ({"ctf": "picks/a.star"}, "rlnDefocusU"),
    ],
)
def test_what_can_not_be_meant_is_refused(data: Path, options: dict[str, Any], words: str):
    with pytest.raises(UsageError, match=words):
        extract(data, **options)


def test_coordinates_of_another_data_set_are_refused(data: Path):
    image, _ = read_mrc(data / "a.mrc")
    write_mrc(data / "other.mrc", image, 1.5)
    with pytest.raises(UsageError, match="no coordinates for any of the 1 micrographs"):
        extract(data, ("other.mrc",))


def test_a_micrograph_with_a_nan_fails_alone(data: Path):
    with (data / "b.mrc").open("r+b") as file:
        file.seek(2048)
        file.write(np.float32(np.nan).tobytes())
    request = prepare("extract", ["a.mrc", "b.mrc"], "job", {"coordinates": "picks", "box": 32}).request
    outcome = run_here(Job(data / "job"), request)
    assert (outcome.counts["done"], outcome.counts["failed"]) == (1, 1)
    assert "not finite" in [state.record["message"] for state in outcome.states if state.record][1]


@pytest.mark.relion
@pytest.mark.parametrize("scale", [None, 16])
def test_pixels_are_relions(data: Path, scale: int | None):
    job = extract(data, ("a.mrc",), ctf="ctf.star", **({"scale": scale} if scale else {}))
    rows = {"rlnMicrographName": ["a.mrc"], "rlnOpticsGroup": [1]}
    write_star(data / "mics.star", {"optics": read_star(data / "ctf.star")["optics"].columns, "micrographs": rows})
    (data / "picked").mkdir()
    write_picks(data / "picked/a_picked.star", Picks(POINTS[:3], np.zeros(0)))
    side = scale or 32
    told = subprocess.run(
        ["relion_preprocess", "--i", "mics.star", "--coord_dir", "picked/", "--coord_suffix", "_picked.star",
         "--part_dir", "theirs/", "--part_star", "theirs.star", "--extract", "--extract_size", "32", "--norm",
         "--bg_radius", str(round(0.75 * side / 2)), "--invert_contrast",
         *(["--scale", str(scale)] if scale else [])],
        cwd=data, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr + told.stdout
    theirs, _ = read_mrc(data / "theirs/a.mrcs")
    ours, _ = read_mrc(job / "particles/a.mrcs")
    assert ours.shape == theirs.shape
    correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(ours, theirs, strict=True)]
    assert min(correlations) > (0.99999 if scale is None else 0.999), correlations
    assert np.abs(ours - theirs).max() < (2e-3 if scale is None else 0.5)
