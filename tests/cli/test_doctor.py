"""``pypcore doctor``, with SLURM's commands played by a script that prints canned texts."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pypcore import checkup
from pypcore.cli.doctor import app

TEXTS = Path(__file__).parents[1] / "slurm_pure/texts"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter an empty folder, with an empty home and nothing but ``bin`` on PATH."""
    (tmp_path / "bin").mkdir()
    for folder in ("home", "project"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def play(folder: Path, program: str, script: str) -> None:
    file = folder / "bin" / program
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def play_cluster(folder: Path, name: str) -> None:
    # The last word that isn't an option says what is to be shown.
    script = f'for word; do case $word in config|partition|node) exec /bin/cat "{TEXTS}/{name}-$word.txt";; esac; done'
    play(folder, "scontrol", script)


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def line(result: Result, what: str) -> str:
    found = [one for one in result.output.splitlines() if f" {what}: " in one]
    assert len(found) == 1, result.output
    return found[0]


def test_without_slurm_it_is_ready_for_run(alone: Path) -> None:
    done = doctor()
    assert done.exit_code == 0
    assert line(done, "SLURM") == "amber  SLURM: no SLURM here: run works, submit doesn't"
    assert "threads" in line(done, "this machine")
    assert "not on PATH; no job needs it" in line(done, "RELION")
    assert line(done, "site template").startswith("green")
    assert json.loads(doctor("--json").output)["cluster"] is None


def test_every_partition_has_its_line(alone: Path) -> None:
    play_cluster(alone, "campus")
    done = doctor()
    assert done.exit_code == 0
    assert "22.05.8, cluster campus" in line(done, "SLURM")
    cpu = line(done, "partition cpu (default)")
    assert cpu.startswith("green")
    assert "5 of 6 nodes usable; at most 7-00:00:00; up to 64 threads and 250G on a node; no gres" in cpu
    assert "gres on a node: gpu:1g.10gb:7, gpu:3g.40gb:2, gpu:A100:2" in line(done, "partition mig")
    assert "at most 8000M a thread" in line(done, "partition mig")
    assert "up to 16 threads" in line(done, "partition gpulong")
    assert "not open to everybody" in line(done, "partition gpulong")
    assert line(done, "partition old").startswith("amber  partition old: DOWN; 0 of 1 nodes usable")
    assert "9997 a job (MaxJobCount 10000" in line(done, "arrays")
    assert line(done, "sacct").startswith("amber")
    assert "5 min 00 s after its end" in line(done, "sacct")


def test_accounting_and_no_default_partition(alone: Path) -> None:
    play_cluster(alone, "centre")
    done = doctor()
    assert line(done, "sacct").startswith("green")
    assert "give --partition" in line(done, "partitions")
    accel = line(done, "partition accel")
    assert "2 of 3 nodes usable" in accel
    assert "gpu:nvidia_h100_80gb_hbm3:4, shard:nvidia_h100_80gb_hbm3:16" in accel
    assert line(done, "partition empty").startswith("amber")


def test_nodes_that_are_all_down_are_told_with_the_reason(alone: Path) -> None:
    play_cluster(alone, "campus")
    text = (
        (TEXTS / "campus-node.txt").read_text().replace("State=IDLE ThreadsPerCore=1 TmpDisk=0 Weight=1", "State=DOWN")
    )
    (alone / "campus-node.txt").write_text(text)
    for name in ("config", "partition"):
        (alone / f"campus-{name}.txt").write_text((TEXTS / f"campus-{name}.txt").read_text())
    script = (alone / "bin/scontrol").read_text().replace(str(TEXTS), str(alone))
    (alone / "bin/scontrol").write_text(script)
    assert "(fat01 is DOWN: no reason given)" in line(doctor(), "partition himem")


def test_a_controller_that_is_down_is_red(alone: Path) -> None:
    play(alone, "sbatch", "exit 1")
    play(
        alone,
        "scontrol",
        "echo 'slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
    )
    done = doctor()
    assert done.exit_code == 3
    assert "Unable to contact slurm controller" in line(done, "SLURM")
    assert line(done, "SLURM").startswith("red")


def test_a_bad_site_template_is_red(alone: Path) -> None:
    (alone / "project/pypcore-site.toml").write_text("[splti]\n")
    done = doctor()
    assert done.exit_code == 3
    assert "did you mean 'split'?" in line(done, "site template")


def test_it_speaks_json(alone: Path) -> None:
    play_cluster(alone, "campus")
    told = json.loads(doctor("--json").output)
    assert told["schema"] == 1
    assert told["cluster"]["limits"]["max_array_size"] == 1001
    assert told["cluster"]["partitions"][3] == {
        "name": "gpu",
        "default": False,
        "state": "UP",
        "max_time_s": 172_800,
        "nodes": 4,
        "nodes_usable": 3,
        "gres": {"gpu:A100": 4, "gpu:H100": 8, "gpu:RTX2080": 8, "lustre": 4096},
    }
    assert {one["level"] for one in told["findings"]} <= {"green", "amber", "red"}


def test_relion_is_found(alone: Path) -> None:
    play(alone, "relion_run_motioncorr", "exit 0")
    assert os.fspath(alone / "bin/relion_run_motioncorr") in line(doctor(), "RELION")


def test_what_jobs_need_of_the_machine_has_a_line_each(alone: Path) -> None:
    done = doctor()
    assert "GB free in" in line(done, "disk")
    assert line(done, "open files").startswith("green")
    assert line(done, "compiled kernels").startswith("green")
    assert done.output.splitlines()[-1].startswith("Ready for run and watch")


def test_a_little_disk_and_few_open_files_are_amber(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "LITTLE_DISK", 1e18)
    monkeypatch.setattr(checkup, "FEW_FILES", 10**9)
    done = doctor()
    assert done.exit_code == 0
    assert line(done, "disk").startswith("amber")
    assert "pypcore clean JOB" in line(done, "disk")
    assert "-> ulimit -n" in line(done, "open files")
    assert "2 lines say what would be better" in done.output


def test_a_folder_that_can_t_be_written_to_is_red(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.os, "access", lambda path, mode: False)
    done = doctor()
    assert done.exit_code == 3
    assert line(done, "disk").startswith("red")
    assert "PYPCORE_CACHE_DIR" in line(done, "compiled kernels")
    assert "To mend first: disk" in done.output
