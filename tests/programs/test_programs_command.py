"""``pypcore programs``: what is here and what is wanting; versions asked once, and not for ever."""

import hashlib
import json
import subprocess
import sys
import time

import pytest
from program_cases import Bench

from pypcore.programs.check import programs, stand
from pypcore.programs.start import Start
from pypcore.programs.version import ask_version

LIMIT = 60


def command(bench: Bench, *words: str, code: int = 0) -> str:
    told = subprocess.run(
        [sys.executable, "-P", "-m", "pypcore.cli.main", *words], cwd=bench.folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert told.returncode == code, told.stdout + told.stderr
    return told.stdout


def test_every_program_has_a_line(bench: Bench):
    rows = json.loads(command(bench, "programs", "--json"))["programs"]
    assert {row["program"] for row in rows} == set(programs())
    assert all(row["found"] for row in rows)
    version = {row["program"]: (row["version"], row["version_known"]) for row in rows}
    assert version["topaz"] == ("0.3.20", True)
    assert version["motioncor3"] == ("1.2.1", True)
    assert version["ctffind"] == ("4.1.14", True)
    assert version["pytom-match-pick"] == ("0.14.0", True)  # which not even says its help without a GPU


def test_what_is_absent_says_what_to_do(bench: Bench):
    (bench.folder / "bin/topaz").unlink()
    said = command(bench, "programs", "topaz", code=3)
    assert "absent" in said
    assert "pip install topaz-em" in said


def test_a_name_that_is_none_is_told(bench: Bench):
    told = subprocess.run([sys.executable, "-P", "-m", "pypcore.cli.main", "programs", "topas"],
                          cwd=bench.folder, capture_output=True, text=True, check=False)  # fmt: skip
    assert told.returncode == 2
    assert "did you mean 'topaz'" in told.stderr


def test_weights_are_named_with_their_sum(bench: Bench):
    (bench.folder / "w.ckpt").write_bytes(b"weights")
    site = bench.folder / "programs.toml"
    site.write_text(site.read_text() + f'[membrain-seg]\nweights = {{ weights = "{bench.folder}/w.ckpt" }}\n')
    standing = stand(programs()["membrain-seg"], bench.folder)
    assert standing.weights[0].sha256 == hashlib.sha256(b"weights").hexdigest()
    (bench.folder / "w.ckpt").unlink()
    assert stand(programs()["membrain-seg"], bench.folder).weights[0].problem == "no such file"


def test_a_version_is_asked_once_and_again_when_the_program_changes(bench: Bench):
    program = bench.folder / "bin/topaz"
    topaz = programs()["topaz"][0].program
    program.write_text(f'#!/bin/sh\necho asked >> {bench.folder}/asked\necho "TOPAZ 0.9"\n')
    assert [ask_version(topaz, Start()).text for _ in range(3)] == ["0.9"] * 3
    assert (bench.folder / "asked").read_text() == "asked\n"
    program.write_text(program.read_text() + "# other\n")
    assert ask_version(topaz, Start()).text == "0.9"
    assert (bench.folder / "asked").read_text() == "asked\n" * 2
    standing = stand(programs()["topaz"], bench.folder)
    assert standing.version_known is False


def test_a_program_that_says_nothing_is_not_waited_for(bench: Bench):
    (bench.folder / "bin/topaz").write_text("#!/bin/sh\nexec sleep 60\n")
    began = time.monotonic()
    answer = ask_version(programs()["topaz"][0].program, Start(), limit=1)
    assert answer.problem == "it said nothing for 1 s"
    assert time.monotonic() - began < LIMIT


def test_doctor_names_what_is_here(bench: Bench):
    bench.monkeypatch.setenv("SLURM_CONF", "/nowhere")
    assert "topaz" in command(bench, "doctor").split("programs:")[1].splitlines()[0]


@pytest.mark.parametrize("text", ["[topaz]\npaht = 1\n"])
def test_doctor_finds_a_wrong_file_of_starts(bench: Bench, text: str):
    (bench.folder / "programs.toml").write_text(text)
    assert "did you mean 'path'" in " ".join(command(bench, "doctor", code=3).split())
