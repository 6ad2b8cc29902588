"""SLURM's commands as we call them, on a real cluster: submitted once, told apart, one line for each error."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from private_cluster import PrivateCluster, wait_until

from pypcore.slurm.client import Client, Missing, Rejected, Unreachable
from pypcore.slurm.states import Element, parse_squeue

pytestmark = pytest.mark.slurm

HELD = "#SBATCH --hold"


@pytest.fixture
def client() -> Client:
    return Client(pauses=(0.5, 0.5, 0.5))


def write(script: Path, *lines: str) -> Path:
    script.write_text("\n".join(["#!/bin/bash", "#SBATCH --output=/dev/null", *lines, ""]))
    return script


def ended(client: Client, job: int) -> bool:
    return all(element.state == "ended" for element in parse_squeue(client.squeue([job])).values())


def test_an_array_is_submitted_with_one_call_and_seen_element_by_element(
    cluster: PrivateCluster, client: Client, folder: Path
) -> None:
    sent = client.submit(write(folder / "job.sh", "#SBATCH --array=0-3%2", "sleep 0.$SLURM_ARRAY_TASK_ID"), "mine-1")
    assert sent.cluster is None
    assert client.queue_by_name("mine-1") == [sent.job_id]
    assert client.queue_by_name("mine") == []
    wait_until("the array to end", lambda: ended(client, sent.job_id))
    done = Element("ended", "done", "", "n1", None, "COMPLETED")
    assert parse_squeue(client.squeue([sent.job_id])) == {(sent.job_id, task): done for task in range(4)}


def test_a_trial_queues_nothing_and_says_where_it_would_start(
    cluster: PrivateCluster, client: Client, folder: Path
) -> None:
    told = client.sbatch(write(folder / "job.sh", "true"), name="trial", test_only=True)
    assert "to start at" in told.said
    assert client.queue_by_name("trial") == []


@pytest.mark.parametrize(
    ("directive", "words"),
    [
        ("--gres=gpu:h100:1", "Requested node configuration is not available"),
        ("--gres=tpu:1", "Invalid generic resource (gres) specification"),
        ("--cpus-per-task=9", "Requested node configuration is not available"),
        ("--partition=nope", "invalid partition specified: nope; Invalid partition name specified"),
        ("--array=3-0", "Invalid job array specification"),
    ],
)
@pytest.mark.parametrize("test_only", [False, True])
def test_a_refusal_is_one_line_of_slurms_words(
    cluster: PrivateCluster, client: Client, folder: Path, directive: str, words: str, test_only: bool
) -> None:
    with pytest.raises(Rejected) as refused:
        client.sbatch(write(folder / "job.sh", f"#SBATCH {directive}", "true"), test_only=test_only)
    text = str(refused.value).replace("Batch job submission failed: ", "").replace("allocation failure: ", "")
    assert words in text
    assert "\n" not in text
    assert refused.value.exit_code == 2


def test_other_refusals(cluster: PrivateCluster, client: Client) -> None:
    with pytest.raises(Rejected, match="scontrol said: Partition nope not found"):
        client.scontrol_show("partition nope")
    with pytest.raises(Rejected, match="Invalid job id specified for job 99999"):
        client.update(99999, Nice=1)
    with pytest.raises(ValueError, match="can't be looked for"):
        client.submit(Path("job.sh"), "a,b")


def test_jobs_that_slurm_does_not_know_are_no_error(cluster: PrivateCluster, client: Client) -> None:
    assert client.squeue([99999]) == ""
    assert client.queue_by_name("nobodys") == []
    client.scancel([99999, "99998_3"])
    client.scancel([])


def test_without_accounting_sacct_is_none(cluster: PrivateCluster, client: Client) -> None:
    assert client.sacct([1]) is None


def test_the_cluster_is_described(cluster: PrivateCluster, client: Client) -> None:
    assert "n1|main*|idle|8|16000|gpu:H100:4|0/8/0/8|(null)" in client.sinfo().splitlines()
    assert "MaxArraySize            = 1001" in client.scontrol_show("config")
    assert [line.split()[0] for line in client.scontrol_show("node").splitlines()] == [
        "NodeName=n1",
        "NodeName=n2",
        "NodeName=n3",
    ]


def test_elements_and_arrays_are_cancelled(cluster: PrivateCluster, client: Client, folder: Path) -> None:
    job = client.sbatch(write(folder / "job.sh", "#SBATCH --array=0-5%2", "sleep 300")).job_id

    def states() -> dict[int | None, str]:
        return {task: element.state for (_, task), element in parse_squeue(client.squeue([job])).items()}

    wait_until("two to run", lambda: list(states().values()).count("running") == 2)
    client.scancel([f"{job}_0", f"{job}_[3-4]"])
    wait_until("0 to end and 2 to run", lambda: (states()[0], states()[2]) == ("ended", "running"))
    assert not {3, 4} & {task for task, state in states().items() if state != "ended"}
    client.scancel([f"{job}_0", job])  # what ended before is passed over
    wait_until("all to end", lambda: ended(client, job))
    assert {element.cause for element in parse_squeue(client.squeue([job])).values()} == {"cancelled"}


def test_a_throttle_is_changed_while_some_have_ended(cluster: PrivateCluster, client: Client, folder: Path) -> None:
    job = client.sbatch(write(folder / "job.sh", "#SBATCH --array=0-9%1", "sleep 1")).job_id
    wait_until("one to end", lambda: any(e.state == "ended" for e in parse_squeue(client.squeue([job])).values()))
    client.update(job, ArrayTaskThrottle=5)
    wait_until("more than one to run", lambda: len(cluster.squeue("-t", "R")) > 1)


TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"


def test_a_submission_that_got_in_though_it_timed_out_is_not_sent_again(
    cluster: PrivateCluster, client: Client, folder: Path, wrap: Callable[[str, str], None]
) -> None:
    wrap("sbatch", f'REAL "$@" >/dev/null; echo "$@" >> calls; echo "{TIMED_OUT}" >&2; exit 1')
    sent = client.submit(write(folder / "job.sh", HELD, "true"), "only-once")
    assert len(cluster.squeue("-n", "only-once")) == 1
    assert cluster.squeue("-o", "%A", "-n", "only-once") == [str(sent.job_id)]
    assert len((folder / "calls").read_text().splitlines()) == 1
    assert "Socket timed out" in sent.said


def test_a_submission_that_did_not_get_in_is_sent_again(
    cluster: PrivateCluster, client: Client, folder: Path, wrap: Callable[[str, str], None]
) -> None:
    wrap("sbatch", f'[ -e tried ] && exec REAL "$@"; touch tried; echo "{TIMED_OUT}" >&2; exit 1')
    sent = client.submit(write(folder / "job.sh", HELD, "true"), "again")
    assert cluster.squeue("-o", "%A", "-n", "again") == [str(sent.job_id)]


def test_nothing_is_sent_again_while_it_is_not_known_whether_it_got_in(
    cluster: PrivateCluster, client: Client, folder: Path, wrap: Callable[[str, str], None]
) -> None:
    wrap("sbatch", f'REAL "$@" >/dev/null; echo "{TIMED_OUT}" >&2; exit 1')
    wrap("squeue", 'echo "slurm_load_jobs error: Socket timed out on send/recv operation" >&2; exit 1')
    with pytest.raises(Unreachable, match="if it got in all the same, this ends it: scancel --name=unsure"):
        client.submit(write(folder / "job.sh", HELD, "true"), "unsure")
    assert len(cluster.squeue("-n", "unsure", "-u", "root", "-o", "%A")) <= 1


def test_what_sbatch_warns_of_is_not_taken_for_its_answer(
    cluster: PrivateCluster, client: Client, folder: Path, wrap: Callable[[str, str], None]
) -> None:
    wrap("sbatch", 'echo "sbatch: 4711 hours of your budget are left" >&2; echo welcome; exec REAL "$@"')
    sent = client.sbatch(write(folder / "job.sh", HELD, "true"))
    assert str(sent.job_id) == cluster.squeue("-o", "%A")[0]
    assert sent.said == "4711 hours of your budget are left"


def test_the_name_of_the_cluster_is_kept(
    cluster: PrivateCluster, client: Client, folder: Path, wrap: Callable[[str, str], None]
) -> None:
    wrap("sbatch", 'echo "$(REAL "$@");private"')
    assert client.sbatch(write(folder / "job.sh", HELD, "true")).cluster == "private"
    wrap("sbatch", 'echo "$SLURM_CLUSTERS" > named; exec REAL "$@"')
    with pytest.raises(Rejected, match="'other' can't be reached"):  # no database here knows of clusters
        Client(cluster="other").submit(write(folder / "job.sh", HELD, "true"), "there")
    assert (folder / "named").read_text() == "other\n"


def test_a_command_that_hangs_is_given_up(
    cluster: PrivateCluster, folder: Path, wrap: Callable[[str, str], None]
) -> None:
    wrap("squeue", "exec sleep 60")
    with pytest.raises(Unreachable, match=r"squeue took longer than 0\.5 s"):
        Client(timeout=0.5).squeue([1])


def test_without_a_controller_there_is_one_line(cluster: PrivateCluster, folder: Path) -> None:
    script = write(folder / "job.sh", "true")
    cluster.stop_controller()
    with pytest.raises(Unreachable, match=r"Unable to contact slurm controller \(connect failure\)") as error:
        Client(pauses=()).submit(script, "x")
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 3


def test_without_slurm_there_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(Missing, match=r"^sbatch: not on PATH: no SLURM here; `pypcore run` needs none$"):
        Client().submit(folder / "job.sh", "x")
    assert Client().sacct([1]) is None


def test_without_its_configuration_there_is_one_line(
    folder: Path, wrap: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(folder / "nowhere.conf"))
    with pytest.raises(Missing, match=r"nowhere\.conf: no such file, and SLURM_CONF names it"):
        Client().squeue([1])
    monkeypatch.delenv("SLURM_CONF")  # the commands themselves then ask for a name server, a minute long
    wrap("squeue", 'echo "squeue: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host" >&2; exit 1')
    with pytest.raises(Missing, match="not its configuration"):
        Client().squeue([1])


def test_a_surrounding_jobs_environment_does_not_reach_the_job(
    cluster: PrivateCluster, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SLURM_JOB_ID": "4711",
        "SLURM_ARRAY_TASK_ID": "5",
        "SLURM_MEM_PER_NODE": "300",
        "SLURM_CLUSTERS": "elsewhere",
        "SBATCH_PARTITION": "nope",
        "SBATCH_ARRAY_INX": "0-99",
        "SQUEUE_FORMAT": "%u",
        "SQUEUE_STATES": "FAILED",
        "CUDA_VISIBLE_DEVICES": "7",
        "LAB_SETTING": "kept",
    }.items():
        monkeypatch.setenv(name, value)
    script = write(folder / "job.sh", "#SBATCH --nodelist=n3", "env > seen.part; mv seen.part seen")
    job = client.submit(script, "clean").job_id
    wait_until("the job to end", lambda: ended(client, job) and (folder / "seen").exists())
    seen = dict(line.partition("=")[::2] for line in (folder / "seen").read_text().splitlines())
    assert seen["SLURM_JOB_ID"] == str(job)
    assert seen["SLURM_JOB_PARTITION"] == "main"
    assert seen["SLURM_CONF"] == str(cluster.configuration)
    assert seen["LAB_SETTING"] == "kept"
    assert not {"SLURM_ARRAY_TASK_ID", "SLURM_CLUSTERS", "CUDA_VISIBLE_DEVICES", "SQUEUE_FORMAT", "LC_ALL"} & (
        seen.keys() - ({"LC_ALL"} & os.environ.keys())
    )


def test_a_job_may_submit_another(cluster: PrivateCluster, client: Client, folder: Path) -> None:
    write(folder / "child.sh", "env > seen.part; mv seen.part seen")
    parent = write(folder / "parent.sh", "#SBATCH --array=5", "#SBATCH --mem=300", "sbatch --mem-per-cpu=10 child.sh")
    client.submit(parent, "parent")
    wait_until("the child to end", (folder / "seen").exists)
