"""Jobs on a real cluster: limits kept, GPUs found, the impossible refused, names that would like to be code."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from private_cluster import PrivateCluster
from slurm_job import SlurmJob

pytestmark = pytest.mark.slurm

# ---- limits


def test_nextpyps_example_never_runs_more_than_three_at_once(
    make_cluster: Callable[..., PrivateCluster], folder: Path
) -> None:
    job = SlurmJob(folder, make_cluster(cpus=64))  # where twenty-seven tasks of seven threads would fit
    job.make_items(8)
    job.submit("--threads=7", "--total-threads=21", "--seconds=1.5")
    assert "--array=0-7%3" in job.script("0001-split-0")
    job.wait_for_end()
    job.assert_whole()
    assert 2 <= job.at_once() <= 3


def test_a_hundred_items_in_bundles_of_ten_are_ten_elements(job: SlurmJob) -> None:
    job.make_items(100)
    job.submit("--bundle-size=10")
    assert [len(items) for items in job.elements()] == [10] * 10
    assert "--array=0-9\n" in job.script("0001-split-0")
    job.wait_for_end()
    job.assert_whole()


def test_more_elements_than_an_array_may_have_and_the_limit_holds_over_all_arrays(
    make_cluster: Callable[..., PrivateCluster], folder: Path
) -> None:
    job = SlurmJob(folder, make_cluster(MaxArraySize=21))
    job.make_items(53)
    job.submit("--total-threads=8", "--seconds=0.1")
    assert [array.spec for array in job.submission.arrays] == ["0-17%3", "0-17%3", "0-16%2"]
    job.wait_for_end(150)
    job.assert_whole()
    assert job.at_once() <= 8


def test_status_asks_slurm_once(job: SlurmJob, wrap: Callable[[str, str], None]) -> None:
    job.make_items(40)
    job.submit("--seconds=60", "--total-threads=4")
    for program in ("squeue", "sacct", "scontrol", "sinfo"):
        wrap(program, f'echo {program} >> calls; exec REAL "$@"')
    said = job.pypcore("status", "job")
    assert "Split" in said
    assert (job.folder / "calls").read_text().split() == ["squeue"]


# ---- GPUs


def test_gpus_of_a_type_are_found_and_numbered_from_nought(job: SlurmJob) -> None:
    job.make_items(2)
    job.submit("--gres=gpu:H100:2")
    job.wait_for_end()
    job.assert_whole()
    assert job.hosts() == {"n1"}
    assert [row["devices"] for row in job.status().table()] == [[0, 1], [0, 1]]


def test_a_gpu_of_the_login_node_is_not_used(job: SlurmJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    job.make_items(1)
    job.submit("--exclude=n1,n2")
    job.wait_for_end()
    job.assert_whole()
    assert job.hosts() == {"n3"}
    assert job.status().table()[0]["devices"] == []


# ---- what no node can do


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gres=gpu:V100:1"], ["gpu:V100", "gpu:H100", "gpu:A100"]),
        (["--gres=gpu:h100:1"], ["gpu:h100", "did you mean", "gpu:H100:1"]),
        (["--gres=gpu:H100:5"], ["gpu:H100:5", "gpu:H100:4"]),
        (["--threads=9", "--memory=0.1"], ["9", "8"]),
        (["--memory=20"], ["20G", "16000M"]),
        (["--partition=short", "--walltime=1:00:00"], ["short", "0-01:00:00", "0-00:10:00"]),
        (["--partition=mian"], ["mian", "did you mean", "main"]),
    ],
)
def test_the_impossible_is_refused_before_sbatch(
    job: SlurmJob, wrap: Callable[[str, str], None], options: list[str], words: list[str]
) -> None:
    wrap("sbatch", 'touch called; exec REAL "$@"')
    job.make_items(2)
    said = job.submit(*options, code=2)
    assert all(word in said.replace("\n", " ") for word in words), said
    assert not (job.folder / "called").exists()
    assert not job.job.folder.exists()


def test_force_submits_the_impossible_with_a_warning(job: SlurmJob) -> None:
    job.make_items(1)
    said = job.submit("--partition=short", "--walltime=1:00:00", "--force")
    assert "warning: " in said
    job.wait("the reason", lambda: "PartitionTimeLimit" in job.pypcore("why", "job"))
    assert "ask for less --walltime" in job.pypcore("why", "job")
    job.pypcore("cancel", "job")
    job.wait_for_end()
    assert job.status().phase == "cancelled"


def test_a_dry_run_submits_nothing_and_prints_what_would_be(job: SlurmJob, wrap: Callable[[str, str], None]) -> None:
    job.make_items(3)
    said = job.submit("--dry-run", "--gres=gpu:A100:1", "--walltime=30")
    assert "#SBATCH --array=0-2" in said
    assert "#SBATCH --gres=gpu:A100:1" in said
    assert "core-hours" in said
    assert not job.job.folder.exists()
    assert not job.cluster.squeue("-t", "PD,R")


# ---- names

HOSTILE = [
    "with blank.dat",
    "'single'.dat",
    '"double".dat',
    "semi;touch x.dat",
    "$(touch x).dat",
    "`touch x`.dat",
    "${HOME}.dat",
    "-n.dat",
    "--array=0-99.dat",
    "line\nbreak.dat",
    "#SBATCH --hold.dat",
    "tab\tstop.dat",
    "back\\slash.dat",
    "per%cent %A_%a.dat",
    "*.dat",
    "?[a-z].dat",
    "~root.dat",
    "ñandú-渦-🐈.dat",
    "& touch x &.dat",
    "| touch x.dat",
    "> x.dat",
    "< x.dat",
    "!!.dat",
    "=x.dat",
    "comma,comma.dat",
    " leading blank.dat",
    "trailing blank .dat",
    "x" * 196 + ".dat",
    "é" * 100 + ".dat",
    "null\x01byte.dat",
]


def test_hostile_names_do_no_harm(job: SlurmJob) -> None:
    (job.folder / "in").mkdir()
    names = HOSTILE + [f"$(touch x{n}) '{n}' ;.dat" for n in range(50 - len(HOSTILE))]
    for name in names:
        (job.folder / "in" / name).touch()
    before = set(os.listdir(job.folder))
    job.submit("--bundle-size=10")
    job.wait_for_end()
    status = job.status()
    assert status.phase == "done"
    assert sorted(Path(item.file).name for item in status.items) == sorted(names)
    assert len(os.listdir(job.job.folder / "rehearsed")) == 50
    assert set(os.listdir(job.folder)) == before | {"job"}  # nothing was executed


def test_a_hostile_folder_does_no_harm(job: SlurmJob) -> None:
    job.folder /= "per%A 'cent' $(touch x) ;"
    job.folder.mkdir()
    job.make_items(2)
    job.submit()
    job.wait_for_end()
    job.assert_whole()
    assert sorted(os.listdir(job.folder)) == ["in", "job"]
