"""What a cluster can never run is told before it is queued, each in one line with the nearest that would."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.errors import UsageError
from pypcore.resources import Gres, PhaseResources, Placement, Resources
from pypcore.slurm.cluster import Cluster, Limits, Node, Offer, Partition, read_cluster
from pypcore.slurm.features import named_features, wanted_by
from pypcore.slurm.fit import closest, fits
from pypcore.slurm.preflight import Problem, check, largest_elements

TEXTS = Path(__file__).with_name("texts")
SMALL = {"memory": "100M", "walltime": "10"}


class Canned:
    def __init__(self, name: str) -> None:
        self.name = name

    def scontrol_show(self, what: str) -> str:
        return (TEXTS / f"{self.name}-{what}.txt").read_text()


CLUSTERS = {name: read_cluster(Canned(name)) for name in ("testbed", "campus", "centre")}


def problems(cluster: str, elements: int = 1, place: dict[str, Any] | None = None, **split: Any) -> list[Problem]:
    """Check Split alone: small, where nothing else is said."""
    resources = Resources.from_dict({"split": {**SMALL, **split}, "placement": place or {}})
    return check(resources, CLUSTERS[cluster], elements=elements, phases=("split",))


def only(found: list[Problem]) -> Problem:
    assert len(found) == 1, found
    assert "\n" not in found[0].message
    assert found[0].message.endswith(found[0].nearest)
    return found[0]


@pytest.mark.parametrize(
    ("cluster", "place", "split"),
    [
        ("testbed", {}, {}),
        ("testbed", {}, {"gres": "gpu:H100:4", "threads": 8, "memory": "2000M", "walltime": "7-0"}),
        ("testbed", {"partition": "tiny,main"}, {"memory": "1G", "walltime": "1-0"}),
        ("campus", {"partition": "gpu", "constraint": "rome&gpu80g"}, {"gres": "gpu:2"}),
        ("campus", {"partition": "mig"}, {"gres": "gpu:1g.10gb:7"}),
        ("campus", {"partition": "gpulong", "account": "cryoem"}, {"threads": 16}),
        ("centre", {"partition": "accel"}, {"gres": "shard:2"}),
        ("centre", {"partition": "burst"}, {"gres": "gpu:4"}),  # asleep: a job wakes them
    ],
)
def test_what_can_run_has_no_problem(cluster: str, place: dict[str, str], split: dict[str, Any]) -> None:
    assert problems(cluster, place=place, **split) == []


@pytest.mark.parametrize(
    ("cluster", "place", "split", "said", "nearest"),
    [
        ("testbed", {}, {"gres": "gpu:V100:1"}, "there are gpu:A100, gpu:H100", "--gres gpu:H100:1"),
        ("testbed", {}, {"gres": "gpu:h100:1"}, "did you mean gpu:H100:1?", "--gres gpu:H100:1"),
        ("testbed", {}, {"gres": "gpu:H100:5"}, "gives more than 4", "--gres gpu:H100:4"),
        ("testbed", {}, {"gres": "tpu:1"}, "no node of partition main has any tpu", ""),
        ("testbed", {}, {"threads": 9}, "no node of partition main gives more than 8", "--threads 8"),
        ("testbed", {}, {"memory": "20G"}, "gives more than 16000M", "--memory 16000M"),
        ("testbed", {}, {"threads": 9, "memory": "2G"}, "9 threads", "--threads 8 --memory 2000M"),
        ("testbed", {}, {"walltime": "8-0"}, "main's MaxTime", "--walltime 7-00:00:00"),
        ("testbed", {}, {"gres": "gpu:A100:1"}, "n2 is IDLE+DRAIN (fan)", "--gres gpu:H100:1"),
        ("campus", {"partition": "gpu"}, {"gres": "gpu:H100:1"}, "State=UP after Friday)", "--gres gpu:A100:1"),
        ("campus", {}, {"gres": "gpu:A100:1"}, "cpu has any gpu", "--partition gpu"),
        ("campus", {}, {"memory": "300G"}, "than 250G", "--memory 250G or --partition short"),
        ("campus", {"partition": "mig"}, {"gres": "gpu:1g.5gb:1"}, "gpu:3g.40gb", "--gres gpu:1g.10gb:1"),
        ("campus", {"partition": "old"}, {}, "old is DOWN: a job would wait", "--partition cpu"),
        ("campus", {"partition": "gpulong"}, {"threads": 17}, "than 16", "--threads 16 or --partition cpu"),
        ("centre", {"partition": "teaching"}, {}, "is DRAIN: it takes no jobs", "--partition standard"),
        ("centre", {"partition": "empty"}, {}, "has no nodes", "--partition standard"),
        ("centre", {"partition": "capability"}, {}, "only jobs of 4 nodes", "--partition standard"),
        ("centre", {"partition": "accel"}, {"gres": "gpu:H100:1"}, "nvidia", "--gres gpu:nvidia_h100_80gb_hbm3:1"),
        ("centre", {"partition": "burst"}, {"gres": "gpu:a100:2"}, "there are gpu", "--gres gpu:2"),
        ("centre", {"partition": "standard"}, {"threads": 256}, "than 252", "--threads 252"),
        ("centre", {}, {}, "no partition is the default here", ""),
        ("testbed", {"partition": "mian"}, {}, "did you mean 'main'?", "--partition main"),
        ("testbed", {"partition": "Main"}, {}, "did you mean 'main'?", "--partition main"),
        ("testbed", {"partition": "xyz"}, {}, "there are main, short, tiny", ""),
        ("campus", {"partition": "cpu,gup"}, {}, "did you mean 'gpu'?", "--partition cpu,gpu"),
        ("campus", {"constraint": "icelake&IB"}, {}, "no feature is called 'IB'", "--constraint 'icelake&ib'"),
        ("campus", {"constraint": "a100"}, {}, "(features there: ib, icelake)", "--partition gpu"),
        ("campus", {"partition": "gpu", "constraint": "a100&genoa"}, {}, "leaves no node of partition gpu", ""),
        ("campus", {"constraint": "ib&"}, {}, "a feature is missing", ""),
        ("campus", {"exclude": "c001,c099"}, {}, "not nodes of this cluster: c099", ""),
        ("campus", {"exclude": "c[001-099]"}, {}, "not nodes of this cluster: c007, c008", ""),
        ("campus", {"exclude": "c[1-99999999]"}, {}, "more than 65536", ""),
        ("campus", {"exclude": "c[001-006]"}, {}, "leaves no node of partition cpu", "--partition short"),
        ("campus", {"partition": "gpulong", "account": "cryo"}, {}, "cryoem", "--account cryoem or --partition cpu"),
        ("centre", {"partition": "debug", "qos": "normal"}, {}, "only to debug", "--partition standard"),
    ],
)
def test_each_problem_is_one_line_with_the_nearest(
    cluster: str, place: dict[str, str], split: dict[str, Any], said: str, nearest: str
) -> None:
    one = only(problems(cluster, place=place, **split))
    assert said in one.message
    assert one.nearest == nearest
    assert str(one).startswith("Split: ")


def test_what_is_there_but_on_no_single_node() -> None:
    one = only(problems("campus", place={"partition": "gpu"}, gres="gpu:A100:4", threads=48, memory="8G"))
    assert "48 threads, 384G and gpu:A100:4: no single node of partition gpu has them together" in one.message
    assert "the closest, g01, has 32 threads, 500G and gpu:A100:4" in one.message
    assert one.nearest == "--threads 32"


def test_two_types_that_no_node_has_both_of() -> None:
    one = only(problems("campus", place={"partition": "gpu"}, gres="gpu:A100:1,gpu:H100:1"))
    assert "no single node" in one.message


def test_memory_above_that_of_a_cpu_is_had_with_more_threads() -> None:
    one = only(problems("testbed", place={"partition": "tiny"}, threads=2, memory="1000M"))
    assert "MaxMemPerCPU of 500M" in one.message
    assert one.nearest == "--threads 4 --memory 500M or --partition main"
    most = only(problems("centre", place={"partition": "standard"}, threads=200, memory="2500M"))
    assert most.nearest.startswith("--threads 245 --memory 2043M")


def test_each_that_is_wrong_has_its_line() -> None:
    found = problems("centre", place={"partition": "debug", "qos": "normal"}, walltime="1:00:00", threads=300)
    assert [one.nearest.partition(" or ")[0] for one in found] == [
        "",
        "--walltime 0-00:20:00",
        "--threads 252",
    ]


def test_walltimes_are_compared_in_whole_minutes_as_slurm_does() -> None:
    assert problems("testbed", place={"partition": "short"}, walltime="9:01") == []
    assert len(problems("testbed", place={"partition": "short"}, walltime="10:01")) == 1


def test_more_elements_than_slurm_holds_get_the_bundle_size_that_fits() -> None:
    most = largest_elements(CLUSTERS["testbed"])
    assert most == 9997  # tried: an array of N is taken while all jobs stay below MaxJobCount
    assert problems("testbed", elements=most) == []
    one = only(problems("testbed", elements=most + 1, bundle_size=10))
    assert one.nearest == "--bundle-size 11"
    assert only(problems("testbed", elements=1_000_000)).nearest == "--bundle-size 101"


def test_a_site_without_arrays() -> None:
    cluster = Cluster(CLUSTERS["testbed"].partitions, CLUSTERS["testbed"].nodes, Limits(max_array_size=0))
    resources = Resources.from_dict({"split": SMALL})
    assert "takes no arrays" in check(resources, cluster, elements=1, phases=("split",))[0].message


def test_each_phase_has_its_own_options_and_its_own_place() -> None:
    resources = Resources.from_dict({"launch": {"threads": 9, **SMALL}, "split": SMALL, "merge": SMALL})
    placements = dict.fromkeys(("launch", "split"), Placement()) | {"merge": Placement(partition="shrot")}
    found = check(resources, CLUSTERS["testbed"], elements=1, placements=placements)
    assert [(one.phase, one.nearest) for one in found] == [
        ("Launch", "--launch-threads 8"),
        ("Merge", "--partition short"),
    ]
    assert check(resources, CLUSTERS["testbed"], elements=1, phases=("split", "merge")) == []


# ---- properties -----------------------------------------------------------------------------------------

counts = st.integers(1, 8)
types = st.sampled_from(["H100", "A100", "h100", "V100"])
tasks = st.builds(
    PhaseResources,
    threads=counts,
    memory=st.integers(1, 4000),
    gres=st.one_of(
        st.just(()),
        st.tuples(st.builds(Gres, st.just("gpu"), types, counts)),
        st.just((Gres("gpu", "A100"), Gres("x"))),
    ),
)
nodes = st.builds(
    Node,
    name=st.sampled_from(["a", "b", "c"]),
    cpus=counts,
    memory=st.integers(1, 20_000),
    gres=st.lists(st.builds(Offer, st.sampled_from(["gpu", "x"]), types, counts), max_size=3, unique_by=str).map(tuple),
    partitions=st.just(("p",)),
    state=st.sampled_from(["IDLE", "DOWN"]),
)


@given(tasks, nodes)
def test_the_nearest_fits_and_is_the_task_itself_where_that_fits(task: PhaseResources, node: Node) -> None:
    far, near = closest(task, node)
    assert (far == 0) == fits(task, node)
    assert near is None or fits(near, node)
    assert not fits(task, node) or near == task


@given(tasks, st.lists(nodes, min_size=1, max_size=4))
def test_a_problem_is_found_exactly_where_no_usable_node_holds_the_task(
    task: PhaseResources, there: list[Node]
) -> None:
    cluster = Cluster({"p": Partition("p", default=True)}, tuple(there))
    found = check(Resources(launch=task), cluster, elements=1, phases=("launch",))
    assert bool(found) != any(node.usable and fits(task, node) for node in there)


# ---- constraints ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraint", "features", "allowed"),
    [
        ("", "", True),
        ("a", "a b", True),
        ("a", "b", False),
        ("a&b", "a", False),
        ("a,b", "a b", True),
        ("a|b", "b", True),
        ("a&b|c", "c", True),  # from left to right
        ("a|b&c", "a", False),
        ("a&(b|c)", "a c", True),
        ("[a|b]", "b", True),
        ("a*2&b", "a b", True),
    ],
)
def test_what_a_constraint_lets_a_job_on(constraint: str, features: str, allowed: bool) -> None:
    assert wanted_by(constraint)(features.split()) is allowed


def test_the_features_that_a_constraint_names() -> None:
    assert named_features("[rack1*2|rack2]&(gpu80g|h100),ib") == ["rack1", "rack2", "gpu80g", "h100", "ib"]


@pytest.mark.parametrize("constraint", ["&a", "a&", "a||b", "(a", "a)", "()", "a(b)"])
def test_a_constraint_that_is_no_expression(constraint: str) -> None:
    with pytest.raises(UsageError, match=r"^constraint"):
        wanted_by(constraint)
