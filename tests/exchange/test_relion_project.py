"""STAR files for a RELION project: paths that start there; opened by RELION itself."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pypcore.exchange.convert import import_files
from pypcore.exchange.relion import star_for_project
from pypcore.formats.coordinates import Picks, write_picks
from pypcore.formats.mrc import write_mrc
from pypcore.formats.star import read_star, write_star

OPTICS = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnVoltage": [300.0], "rlnSphericalAberration": [2.7],
          "rlnAmplitudeContrast": [0.1]}  # fmt: skip


def pypcore(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job ``job`` of extract in ``work``, outside the RELION project ``relion``."""
    root = tmp_path_factory.mktemp("export")
    work = root / "work"
    (work / "picks").mkdir(parents=True)
    (root / "relion").mkdir()
    for name in "ab":
        write_mrc(work / f"{name}.mrc", np.random.default_rng(1).normal(size=(64, 80)).astype(np.float32), 1.5)
        write_picks(work / f"picks/{name}.star", Picks(np.array([[30.0, 30.0], [50.0, 40.0]]), np.zeros(0)))
    rows = {"rlnMicrographName": ["a.mrc", "b.mrc"], "rlnOpticsGroup": [1, 1], "rlnDefocusU": [12000.0, 13000.0],
            "rlnDefocusV": [11000.0, 12500.0], "rlnDefocusAngle": [30.0, 40.0]}  # fmt: skip
    write_star(work / "ctf.star", {"optics": OPTICS | {"rlnMicrographPixelSize": [1.5]}, "micrographs": rows})
    pypcore(
        work,
        "run",
        "extract",
        "a.mrc",
        "b.mrc",
        "-o",
        "job",
        "--coordinates",
        "picks",
        "--box",
        "16",
        "--ctf",
        "ctf.star",
    )
    return root


@pytest.mark.relion
def test_relion_opens_the_particles_of_a_job_from_its_own_project(extracted: Path) -> None:
    work, project = extracted / "work", extracted / "relion"
    told = json.loads(
        pypcore(
            work, *("export", "job", "--to", "relion", "-o", "../relion/import", "--project", "../relion", "--json")
        )
    )
    assert told["written"] == ["../relion/import/particles.star"]
    columns = read_star(project / "import/particles.star")["particles"].columns
    assert columns["rlnImageName"][0] == f"000001@{work}/job/particles/a.mrcs"
    run = subprocess.run(
        ["relion_stack_create", "--i", "import/particles.star", "--o", "out"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert (project / "out.mrcs").stat().st_size == 1024 + 4 * 16 * 16 * 4


def test_the_same_job_goes_to_cryosparc(extracted: Path) -> None:
    work = extracted / "work"
    told = json.loads(pypcore(work, "export", "job", "--to", "cryosparc", "-o", "cs", "--json"))
    assert told["not_mapped"] == {}
    array = np.load(work / "cs/particles.cs")
    assert array["ctf/df1_A"].tolist() == [12000, 12000, 13000, 13000]
    np.testing.assert_allclose(array["location/center_x_frac"][:2], [30 / 80, 50 / 80], atol=1e-6)


def test_star_files_that_are_named_go_along(tmp_path: Path) -> None:
    work, project = tmp_path / "work", tmp_path / "work/relion"
    (work / "job/micrographs").mkdir(parents=True)
    for name in ("m.mrc", "m.tif"):
        (work / "job/micrographs" / name).touch()
    write_star(work / "job/micrographs/m.star", {"general": {"rlnMicrographMovieName": "job/micrographs/m.tif"}})
    rows = {"rlnMicrographName": ["job/micrographs/m.mrc"], "rlnMicrographMetadata": ["job/micrographs/m.star"],
            "rlnMicrographNameEven": ["gone.mrc"], "rlnOpticsGroup": [1]}  # fmt: skip
    write_star(work / "job/micrographs.star", {"optics": OPTICS, "micrographs": rows})
    made = star_for_project(work / "job/micrographs.star", project / "in", work, work / "relion")
    after = read_star(project / "in/micrographs.star")
    assert after["optics"].columns["rlnOpticsGroupName"] == ["o"]
    columns = after["micrographs"].columns
    assert columns["rlnMicrographName"] == [f"{work}/job/micrographs/m.mrc"]
    assert columns["rlnMicrographMetadata"] == ["in/job/micrographs/m.star"]
    motion = read_star(project / "in/job/micrographs/m.star")["general"].pairs
    assert motion["rlnMicrographMovieName"] == f"{work}/job/micrographs/m.tif"
    assert columns["rlnMicrographNameEven"] == ["gone.mrc"]
    assert any("1 paths name nothing" in note for note in made.notes)


def test_an_import_job_s_star_gives_the_parameters(tmp_path: Path) -> None:
    optics = OPTICS | {"rlnMicrographOriginalPixelSize": [0.885], "rlnMtfFileName": ["mtf.star"]}
    movies = {"rlnMicrographMovieName": ["Movies/a.tif", "Movies/b.tif"], "rlnOpticsGroup": [1, 1]}
    write_star(tmp_path / "movies.star", {"optics": optics, "movies": movies})
    made = import_files([tmp_path / "movies.star"], tmp_path, root=tmp_path)
    text = (tmp_path / "pypcore.toml").read_text()
    assert "pixel_size = 0.885 # rlnMicrographOriginalPixelSize" in text
    assert "voltage = 300.0" in text
    assert made.not_mapped == {"rlnMtfFileName": "motioncorr has no use for it"}
    assert "movies.star -o motion" in made.command


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    (tmp_path / ".pyp_config.toml").write_text("scope_pixel = 1.1\nslurm_tasks = 2\nctf_max_res = 4\n")
    told = json.loads(pypcore(tmp_path, "import", ".pyp_config.toml", "--json"))
    assert (told["schema"], told["written"]) == (1, ["pypcore.toml"])
    assert told["mapped"] == {"slurm_tasks": "threads = 2", "scope_pixel": "pixel_size = 1.1"}
    said = pypcore(tmp_path, "import", ".pyp_config.toml", "-o", "other")
    assert "not mapped  ctf_max_res = 4: CTF estimation is an operation of its own here" in said
    assert "wrote other/pypcore.toml" in said
    assert "Then: pypcore run motioncorr" in said
