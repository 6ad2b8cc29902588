"""What goes wrong on a cluster, done to a real one: nothing is lost, the cause is told, ``resume`` does the rest."""

import contextlib
import os
import signal
from collections.abc import Callable

import pytest
from private_cluster import PrivateCluster
from slurm_job import SlurmJob

from pypcore import records

pytestmark = pytest.mark.slurm

DONE, FAILED, LOST = records.DONE, records.FAILED, records.LOST


def test_an_item_fails_alone(job: SlurmJob) -> None:
    job.make_items(4)
    job.submit("--bundle-size=2", "--fail=m_002")
    status = job.wait_for_end()
    assert job.outcomes() == [DONE, FAILED, DONE, DONE]
    assert (status.phase, status.merge_state) == ("failed", "done")
    assert "told to fail" in job.pypcore("why", "job")
    assert "Nothing submitted" in job.resume()  # a file that is at fault is not tried again
    assert (job.job.folder / "rehearsed.txt").read_text().split() == ["m_001", "m_003", "m_004"]


def test_a_killed_worker_costs_the_item_in_hand(job: SlurmJob) -> None:
    job.make_items(4)
    job.submit("--bundle-size=4", "--seconds=1")
    job.wait("the second item", lambda: DONE in job.outcomes() and job.status().counts[records.RUNNING])
    for pid in job.processes(0):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    job.wait_for_end()
    assert job.outcomes()[0] == DONE
    assert job.outcomes().count(LOST) == 1
    assert job.status().merge_state == "waiting"
    job.resume()
    job.wait_for_end()
    job.assert_whole()
    assert sorted(item for run in job.elements(2) for item in run) == list(
        range(4 - len(job.elements(2)[0]), 4)
    )  # what was done is not done again


def test_too_little_memory_is_told_and_more_is_asked_for(job: SlurmJob) -> None:
    job.make_items(1)
    job.submit("--fill=0.25", "--seconds=5")
    job.wait_for_end()
    assert job.outcomes() == [records.MEMORY]
    said = job.resume()
    assert "memory x 1.5" in said
    assert "--mem=384M" in job.script("0002-split-0")
    job.wait_for_end()
    job.assert_whole()


def test_too_little_time_is_told_and_more_is_asked_for(job: SlurmJob) -> None:
    job.make_items(2)
    job.submit("--bundle-size=2", "--seconds=60", "--walltime=10")
    job.wait_for_running()
    job.cluster.run("scontrol", "update", f"JobId={job.array}_0", "EndTime=now+1")  # SLURM looks each 30 s
    job.wait_for_end()
    assert job.outcomes() == [records.TIMEOUT, records.WAITING]
    said = job.pypcore("resume", "job", "--dry-run")
    assert "--time=0-00:20:00" in said


def test_a_node_that_goes_down_loses_nothing(job: SlurmJob) -> None:
    job.make_items(2)
    job.submit("--seconds=3", "--exclude=n3")
    job.wait_for_running(2)
    job.cluster.down("n1")
    status = job.wait_for_end()  # SLURM requeues, and starts again elsewhere
    assert status.phase == "done"
    job.assert_whole()
    assert job.hosts() == {"n2"}


def test_an_element_that_is_requeued_goes_on_where_it_was(job: SlurmJob) -> None:
    job.make_items(3)
    job.submit("--bundle-size=3", "--seconds=1.5")
    job.wait("the second item", lambda: DONE in job.outcomes() and job.status().counts[records.RUNNING])
    job.cluster.run("scontrol", "requeue", f"{job.array}_0")
    job.wait("the second start", lambda: "BeginTime" in str(job.cluster.squeue("-j", str(job.array))))
    assert "SLURM holds requeued jobs" in job.pypcore("why", "job")
    job.wait_for_end()
    job.assert_whole()
    first = [record for record in job.records() if record.get("item") == 0]
    assert [record["outcome"] for record in first] == [DONE]


def test_one_element_is_cancelled(job: SlurmJob) -> None:
    job.make_items(3)
    job.submit("--seconds=2.5")
    job.wait_for_running(3)
    job.cluster.run("scancel", f"{job.array}_1")
    job.wait_for_end()
    assert [job.outcomes()[0], job.outcomes()[2]] == [DONE, DONE]
    assert job.outcomes()[1] in (LOST, records.CANCELLED)
    job.resume()
    job.wait_for_end()
    job.assert_whole()


def test_the_array_is_cancelled(job: SlurmJob) -> None:
    job.make_items(4)
    job.submit("--seconds=2.5", "--total-threads=2")
    job.wait_for_running(2)
    job.cluster.run("scancel", str(job.array))
    job.wait_for_end()
    assert DONE not in job.outcomes()
    job.resume("--total-threads=4")
    job.wait_for_end()
    job.assert_whole()


def test_cancel_leaves_nothing_behind(job: SlurmJob) -> None:
    job.make_items(4)
    job.submit("--seconds=60", "--total-threads=2")
    job.wait_for_running(2)
    processes = list(job.processes(0))
    job.pypcore("cancel", "job", "--now")
    assert job.wait_for_end().phase == "cancelled"
    job.wait("its processes to be gone", lambda: not list(job.processes(0)))
    assert processes
    assert not job.cluster.squeue("-t", "PD,R,CG,S")


def test_cancelled_items_are_left_out_and_the_others_done(job: SlurmJob) -> None:
    job.make_items(4)
    job.submit("--bundle-size=4", "--seconds=2", "--allow-missing")
    job.wait_for_running(1)
    job.pypcore("cancel", "job", "m_001", "m_003")
    job.wait_for_end()
    assert job.outcomes() == [records.CANCELLED, DONE, records.CANCELLED, DONE]
    assert (job.job.folder / "rehearsed.txt").read_text().split() == ["m_002", "m_004"]


def test_an_element_begins_no_item_that_it_cannot_finish(job: SlurmJob) -> None:
    job.make_items(3)
    job.submit("--bundle-size=3", "--seconds=2", "--walltime=0:06")  # SLURM itself rounds up to a minute
    job.wait_for_end()
    assert job.outcomes() == [DONE, DONE, records.WAITING]
    job.resume()
    job.wait_for_end()
    job.assert_whole()


def test_without_its_controller_the_last_known_is_told(job: SlurmJob) -> None:
    job.make_items(3)
    job.submit("--seconds=4", "--total-threads=2")
    job.wait_for_running(2)
    job.status()
    job.cluster.stop_controller()
    said = job.pypcore("status", "job")
    assert "Unable to contact slurm controller" in said
    assert "last known" in said
    job.cluster.start_controller()
    job.wait_for_end()
    job.assert_whole()


def test_records_that_show_late_are_waited_for(job: SlurmJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPCORE_LATE", "60")
    job.make_items(2)
    job.submit("--seconds=2")
    job.wait_for_running(2)
    merge = str(job.submission.merge)
    job.cluster.run("scontrol", "hold", merge)
    job.wait("Split to end", lambda: not job.cluster.squeue("-j", str(job.array), "-t", "PD,R,CG"))
    hidden = {path: path.with_suffix(".late") for path in job.job.records.glob("*.jsonl")}
    for path, late in hidden.items():
        path.rename(late)
    job.cluster.run("scontrol", "release", merge)
    job.wait("Merge to look", lambda: list(job.job.records.glob("*-merge-*.jsonl")))
    assert set(job.outcomes()) <= {records.WAITING, records.RUNNING}
    for path, late in hidden.items():
        late.rename(path)
    job.wait_for_end()
    job.assert_whole()


@pytest.mark.parametrize("launch", ["here", "slurm"])
def test_a_submission_that_timed_out_but_got_in_is_not_doubled(
    launch: str, job: SlurmJob, wrap: Callable[[str, str], None]
) -> None:
    trouble = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    wrap("sbatch", f'[ "$1" = --test-only ] && exec REAL "$@"; REAL "$@"; echo "{trouble}" >&2; exit 1')
    job.make_items(2)
    job.submit("--launch", launch)
    job.wait_for_end()
    job.assert_whole()
    phases = ["launch", "split-0", "merge"] if launch == "slurm" else ["split-0", "merge"]
    names = ",".join(f"{job.submission.name}-{phase}" for phase in phases)
    assert len(set(job.cluster.squeue("-t", "all", "-n", names, "-o", "%F"))) == len(phases)


@pytest.mark.long
def test_a_node_that_crashes_loses_nothing(job: SlurmJob) -> None:
    job.make_items(2)
    job.submit("--seconds=5", "--exclude=n3")
    job.wait_for_running(2)
    job.cluster.kill_node("n1")  # found out after half a minute
    job.wait_for_end(240)
    job.assert_whole()
    assert job.hosts() == {"n2"}


@pytest.mark.long
def test_a_node_that_crashes_and_may_not_be_replaced_costs_what_it_had(
    make_cluster: Callable[..., PrivateCluster], job: SlurmJob
) -> None:
    job.cluster = make_cluster(JobRequeue=0)
    job.make_items(2)
    job.submit("--seconds=5", "--exclude=n3")
    job.wait_for_running(2)
    job.cluster.kill_node("n1")
    job.wait_for_end(240)
    assert job.outcomes() == [LOST, LOST]
    said = job.resume()
    assert "--exclude=n3,n1" in job.script("0002-split-0"), said
    job.wait_for_end()
    job.assert_whole()
    assert job.hosts() == {"n2"}
