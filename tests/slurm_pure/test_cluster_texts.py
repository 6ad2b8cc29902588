"""What ``scontrol show`` says, read: of a real SLURM, and of clusters modelled on real big ones (texts/README.md)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.errors import SetupError, UsageError
from pypcore.slurm.cluster import (
    Cluster,
    Limits,
    Node,
    expand,
    parse_config,
    parse_nodes,
    parse_offers,
    parse_partitions,
    read_cluster,
)

TEXTS = Path(__file__).with_name("texts")


class Canned:
    """A cluster that says what a folder of texts says."""

    def __init__(self, name: str) -> None:
        self.name = name

    def scontrol_show(self, what: str) -> str:
        return (TEXTS / f"{self.name}-{what}.txt").read_text()


def cluster(name: str) -> Cluster:
    return read_cluster(Canned(name))


def node(of: Cluster, name: str) -> Node:
    return next(one for one in of.nodes if one.name == name)


def test_a_real_slurm_is_read() -> None:
    bed = cluster("testbed")
    assert bed.limits == Limits("testbed", "22.05.8", 1001, 10_000, 300, accounting=False)
    assert bed.default_partition == "main"
    assert [(one.name, one.cpus, one.memory) for one in bed.nodes] == [(f"n{i}", 8, 16_000) for i in range(1, 5)]
    assert bed.gres_of("main") == {"gpu:A100": 2, "gpu:H100": 4}
    assert bed.gres_of("tiny") == {}
    assert {name: one.max_time for name, one in bed.partitions.items()} == {"main": 604_800, "short": 600, "tiny": 600}
    assert bed.partitions["tiny"].max_memory_per_cpu == 500
    assert (node(bed, "n2").usable, node(bed, "n2").reason) == (False, "fan")


def test_both_layouts_of_scontrol_are_read() -> None:
    one_line = Canned("testbed").scontrol_show("node")
    several = re.sub(r" (?=CPUAlloc|AvailableFeatures|Gres|State|Partitions|Reason)", "\n   ", one_line)
    assert parse_nodes(several.replace("\nNodeName", "\n\nNodeName")) == parse_nodes(one_line)


def test_types_with_sockets_shares_and_mig_are_spelled_as_they_must_be_asked_for() -> None:
    campus, centre = cluster("campus"), cluster("centre")
    assert campus.gres_of("gpu") == {"gpu:A100": 4, "gpu:H100": 8, "gpu:RTX2080": 8, "lustre": 4096}
    assert campus.gres_of("mig") == {"gpu:1g.10gb": 7, "gpu:3g.40gb": 2, "gpu:A100": 2}
    assert centre.gres_of("accel") == {"gpu:nvidia_h100_80gb_hbm3": 4, "shard:nvidia_h100_80gb_hbm3": 16}
    assert centre.gres_of("burst") == {"gpu": 4}
    assert node(campus, "m01").count("gpu", None) == 11


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("", []),
        ("(null)", []),
        ("gpu", ["gpu:1"]),
        ("gpu:4", ["gpu:4"]),
        ("gpu:H100", ["gpu:H100:1"]),
        ("gpu:a100:4(S:0-1)", ["gpu:a100:4"]),
        ("gpu:a100:2(S:0,2),shard:a100:8(S:0,2)", ["gpu:a100:2", "shard:a100:8"]),
        ("gpu:A100:2(S:0),gpu:A100:2(S:1)", ["gpu:A100:4"]),
        ("gpu:1080:2(IDX:0-1)", ["gpu:1080:2"]),
        ("gpu:1g.10gb:7,gpu:a100:1", ["gpu:1g.10gb:7", "gpu:a100:1"]),
        ("bandwidth:lustre:no_consume:4G", [f"bandwidth:lustre:{4 * 1024**3}"]),
        ("mps:400,craynetwork:4", ["mps:400", "craynetwork:4"]),
    ],
)
def test_gres_of_a_node(text: str, spelled: list[str]) -> None:
    assert [str(offer) for offer in parse_offers(text)] == spelled


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        ("IDLE", True),
        ("MIXED", True),
        ("ALLOCATED+COMPLETING", True),
        ("IDLE+PLANNED", True),
        ("IDLE+CLOUD+POWERED_DOWN", True),
        ("MAINT", True),
        ("IDLE*", False),
        ("DOWN", False),
        ("DOWN*", False),
        ("IDLE+DRAIN", False),
        ("MIXED+DRAIN", False),
        ("DOWN+DRAIN+NOT_RESPONDING", False),
        ("FUTURE", False),
        ("UNKNOWN", False),
    ],
)
def test_which_states_give_jobs_something(state: str, usable: bool) -> None:
    assert Node("n", 1, 1, state=state).usable is usable


def test_what_the_site_keeps_for_the_system_is_not_offered() -> None:
    assert (node(cluster("centre"), "nid000001").cpus, node(cluster("centre"), "nid000001").memory) == (252, 512_000)


def test_words_of_people_can_look_like_pairs_and_have_lines() -> None:
    campus, centre = cluster("campus"), cluster("centre")
    assert node(campus, "g03").state == "IDLE+DRAIN"
    assert node(campus, "g03").reason == "bad PSU, State=UP after Friday"
    assert node(centre, "gpu03").reason == "NHC: check_hw_gpu: 4 expected, 3 found"
    assert str(node(centre, "gpu03").gres[0]) == "gpu:nvidia_h100_80gb_hbm3:4"  # not what the comment says
    assert len(centre.nodes) == 11


def test_limits_of_partitions() -> None:
    campus, centre = cluster("campus").partitions, cluster("centre").partitions
    assert (campus["old"].state, campus["old"].max_time) == ("DOWN", None)
    assert campus["gpulong"].max_cpus_per_node == 16
    assert campus["gpulong"].accounts == {"cryoem", "admins"}
    assert (centre["standard"].max_memory_per_cpu, centre["debug"].max_memory_per_node) == (2043, 200_000)
    assert centre["capability"].min_nodes == 4
    assert [name for name, one in centre.items() if not one.open_to_all] == ["debug", "accel", "accel-mig"]
    assert cluster("centre").default_partition is None


def test_the_clusters_limit_of_memory_holds_where_a_partition_has_none() -> None:
    text = Canned("testbed").scontrol_show("partition")
    found = parse_partitions(text, Limits(max_memory_per_cpu=3000))
    assert [one.max_memory_per_cpu for one in found.values()] == [3000, 3000, 500]


def test_configuration() -> None:
    limits = parse_config(Canned("centre").scontrol_show("config"))
    assert (limits.max_array_size, limits.max_job_count, limits.min_job_age) == (4001, 50_000, 60)
    assert limits.accounting


def test_nothing_to_see_is_an_empty_cluster() -> None:
    assert parse_nodes("No nodes in the system\n") == ()
    assert parse_partitions("No partitions in the system\n") == {}


@pytest.mark.parametrize("text", ["NodeName=n1 CPUTot=8", "NodeName=n1 CPUTot=many RealMemory=1 State=IDLE"])
def test_a_layout_that_is_not_known_is_one_line(text: str) -> None:
    with pytest.raises(SetupError, match=r"^scontrol show node n1: can't read .+$"):
        parse_nodes(text)


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-3],x", ["n1", "n2", "n3", "x"]),
        ("c[001-003,07]", ["c001", "c002", "c003", "c07"]),
        ("r[1-2]n[01-02]-ib", ["r1n01-ib", "r1n02-ib", "r2n01-ib", "r2n02-ib"]),
    ],
)
def test_lists_of_hosts(hosts: str, names: list[str]) -> None:
    assert expand(hosts) == names


def test_an_endless_list_of_hosts_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 65536"):
        expand("n[1-4000000000]")


@given(st.lists(st.integers(0, 999), min_size=1, max_size=20, unique=True))
def test_a_list_of_hosts_written_out_is_what_was_put_in(numbers: list[int]) -> None:
    assert expand(f"n[{','.join(f'{number:03d}' for number in numbers)}]") == [f"n{number:03d}" for number in numbers]
