"""What squeue, sacct and logs say, read without SLURM. The texts are of a real 22.05."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.slurm.states import (
    Element,
    cause_in_log,
    cause_of,
    combine,
    expand,
    explain,
    find,
    parse_sacct,
    parse_squeue,
)

SQUEUE = """\
12|N/A|PENDING|Dependency||12
6|0|CANCELLED|None|n1|6_0
6|5|PENDING|JobArrayTaskLimit||6_5
6|7|PENDING|BeginTime||6_7
6|2|RUNNING|None|n1|6_2
6|1|COMPLETING|None|n[1-2]|6_1
6|8|NODE_FAIL|NodeDown|n3|6_8
9|[4-6%2]|PENDING|Resources||9_[4-6%2]
"""

SACCT = """\
20_0|COMPLETED|0:0|n1
20_1|TIMEOUT|0:0|n1
20_2|OUT_OF_MEMORY|0:125|n1
20_3|FAILED|42:0|n2
20_4|FAILED|0:53|n2
20_5|NODE_FAIL|0:0|n3
20_6|CANCELLED by 1000|0:0|n3
20_7|RUNNING|0:0|n1
20_[8-9%2]|PENDING|0:0|None assigned
21|CANCELLED by 0|0:0|None assigned
21+0|COMPLETED|0:0|n1
"""


def test_a_queue_is_read() -> None:
    found = parse_squeue(SQUEUE)
    assert found[12, None] == Element("waiting", None, "Dependency", "", None, "PENDING")
    assert found[6, 0] == Element("ended", "cancelled", "", "n1", None, "CANCELLED")
    assert found[6, 7] == Element("waiting", None, "BeginTime", "", None, "PENDING")
    assert found[6, 2] == Element("running", None, "", "n1", None, "RUNNING")
    assert found[6, 1].state == "running"  # its processes may still write
    assert found[6, 8] == Element("ended", "node", "NodeDown", "n3", None, "NODE_FAIL")
    assert {key for key in found if key[0] == 9} == {(9, 4), (9, 5), (9, 6)}


def test_accounts_are_read() -> None:
    found = parse_sacct(SACCT)
    causes = {task: element.cause for (job, task), element in found.items() if job == 20}
    assert causes == {
        0: "done",
        1: "timeout",
        2: "memory",
        3: "failed",
        4: "node",
        5: "node",
        6: "cancelled",
        7: None,
        8: None,
        9: None,
    }
    assert found[20, 3].exit_code == (42, 0)
    assert found[20, 8] == Element("waiting", None, "", "", None, "PENDING")
    assert (21, 0) not in found


def test_elements_that_never_started_share_a_line() -> None:
    found = parse_sacct(SACCT)
    assert find(found, 21, 17) == Element("ended", "cancelled", "", "", (0, 0), "CANCELLED")
    assert find(found, 20, 17) is None


def test_several_clusters_are_read() -> None:
    assert parse_squeue("CLUSTER: hpc\n12|N/A|RUNNING|None|n1|12\n\n") == {
        (12, None): Element("running", None, "", "n1", None, "RUNNING")
    }
    assert parse_squeue("") == {}
    assert parse_sacct("\n") == {}


def test_an_answer_of_another_form_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="where 6 columns were asked for"):
        parse_squeue("12|N/A|RUNNING")


def test_a_requeued_element_waits_whatever_the_accounting_says() -> None:
    queue = parse_squeue("20|5|PENDING|BeginTime||20_5\n20|3|FAILED|NonZeroExitCode|n2|20_3\n")
    both = combine(queue, parse_sacct(SACCT))
    assert both[20, 5] == Element("waiting", None, "BeginTime", "", None, "PENDING")
    assert both[20, 3] == Element("ended", "failed", "NonZeroExitCode", "n2", (42, 0), "FAILED")
    assert both[20, 1].cause == "timeout"


@pytest.mark.parametrize("said", ["SUSPENDED", "STAGE_OUT", "A_STATE_OF_THE_FUTURE"])
def test_what_is_not_known_to_have_ended_goes_on(said: str) -> None:
    assert parse_squeue(f"1|N/A|{said}|None||1")[1, None].state == "running"


ranges = st.tuples(st.integers(0, 300), st.integers(0, 40), st.integers(1, 7))


@given(st.lists(ranges, min_size=1, max_size=8), st.booleans(), st.integers(0, 5))
def test_ranges_are_expanded(parts: list[tuple[int, int, int]], brackets: bool, throttle: int) -> None:
    wanted = [task for first, more, step in parts for task in range(first, first + more + 1, step)]
    text = ",".join(
        f"{first}-{first + more}" + (f":{step}" if step > 1 else "") if more else f"{first}"
        for first, more, step in parts
    ) + (f"%{throttle}" if throttle else "")
    assert expand(f"[{text}]" if brackets else text) == wanted


@pytest.mark.parametrize("text", ["", "a", "1-", "1,,2", "1_2", "[1-2,...]"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no list of array elements"):
        expand(text)


TIME_LIMIT = "slurmstepd-n1: error: *** JOB 2 ON n1 CANCELLED AT 2026-11-22T08:15:41 DUE TO TIME LIMIT ***"
REQUEUE = "slurmstepd-n1: error: *** JOB 3 ON n1 CANCELLED AT 2026-11-22T12:04:39 DUE TO JOB REQUEUE ***"
CANCELLED = "slurmstepd: error: *** JOB 9 ON node7 CANCELLED AT 2026-11-22T12:04:39 ***"
NODE = (
    "slurmstepd: error: *** JOB 9 ON n3 CANCELLED AT 2026-11-22T12:04:39 DUE TO NODE FAILURE, "
    "SEE SLURMCTLD LOG FOR DETAILS ***"
)
MEMORY = (
    "slurmstepd-n1: error: StepId=144.batch exceeded memory limit (120135680 > 104857600), being killed\n"
    "slurmstepd-n1: error: Exceeded job memory limit\n"
    "slurmstepd-n1: error: *** JOB 144 ON n1 CANCELLED AT 2026-11-22T12:04:39 ***"
)
OOM = (
    "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.batch. "
    "Some of your processes may have been killed by the cgroup out-of-memory handler."
)


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("", None),
        ("error: no such file\n", None),
        (TIME_LIMIT, "timeout"),
        (REQUEUE, "node"),
        (CANCELLED, "cancelled"),
        (NODE, "node"),
        (MEMORY, "memory"),
        (OOM, "memory"),
        (f"{REQUEUE}\nand again\n{TIME_LIMIT}\n", "timeout"),
        (f"{TIME_LIMIT}\nitem m_1: CANCELLED AT dawn DUE TO TIME LIMIT", "timeout"),
    ],
)
def test_a_log_tells_why(log: str, cause: str | None) -> None:
    assert cause_in_log(log) == cause


def test_the_state_comes_before_the_log_where_it_says_enough() -> None:
    killed = Element("ended", "failed", exit_code=(0, 9))
    assert cause_of(killed) == "failed"
    assert cause_of(killed, MEMORY) == "memory"
    assert cause_of(Element("ended", "unknown"), TIME_LIMIT) == "timeout"
    assert cause_of(Element("ended", "done"), CANCELLED) == "done"
    assert cause_of(Element("running")) == "unknown"


@pytest.mark.parametrize(
    ("reason", "meaning", "never"),
    [
        ("Resources", "the nodes are busy", False),
        ("(Priority)", "other jobs are before it", False),
        ("JobArrayTaskLimit", "as many as the job's limits allow", False),
        ("Dependency", "an earlier phase", False),
        ("DependencyNeverSatisfied", "has failed or is gone", True),
        ("PartitionTimeLimit", "its walltime is longer", True),
        ("PartitionNodeLimit", "more nodes", True),
        ("JobHeldUser", "you hold it", True),
        ("JobHeldAdmin", "the people who run the cluster hold it", True),
        ("BadConstraints", "no node is as it asks", True),
        ("launch failed requeued held", "could not be started", True),
        ("launch_failed_requeued_held", "could not be started", True),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "down, drained or reserved", False),
        (
            "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions",
            "down, drained or reserved",
            False,
        ),
        ("BeginTime", "requeued", False),
        ("QOSMaxJobsPerUserLimit", "you use as much as the QOS allows", False),
        ("QOSGrpGRES", "all who share the QOS", False),
        ("QOSMaxWallDurationPerJobLimit", "each job asks for more than the QOS allows", True),
        ("QOSMinGRES", "each job asks for less than the QOS allows", True),
        ("AssocGrpCPUMinutesLimit", "your account has used up its hours", False),
        ("AssocMaxJobsLimit", "you use as much as your account allows", False),
        ("AssociationResourceLimit", "each job asks for more than your account allows", True),
        ("None", "not looked at it yet", False),
        ("", "not looked at it yet", False),
        ("SomethingNew", "SLURM's reason: SomethingNew", False),
    ],
)
def test_reasons_are_put_in_plain_words(reason: str, meaning: str, never: bool) -> None:
    told = explain(reason)
    assert meaning in told.meaning
    assert told.never is never
    assert told.advice


def test_an_element_knows_that_it_will_never_start() -> None:
    assert Element("waiting", reason="BadConstraints").never
    assert not Element("running", reason="BadConstraints").never
