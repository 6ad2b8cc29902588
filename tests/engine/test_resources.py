"""Every form of memory, walltime and gres; what is refused; the round trips."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.errors import UsageError
from pypcore.resources import (
    DAY,
    LONGEST_WALLTIME,
    Gres,
    PhaseResources,
    Placement,
    Resources,
    SplitResources,
    count_gpus,
    describe_walltime,
    format_gres,
    format_memory,
    format_walltime,
    parse_gres,
    parse_memory,
    parse_walltime,
)


def refusal(call, *args, **kwargs) -> str:
    """Return the one line that ``call`` is refused with."""
    with pytest.raises(UsageError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- memory


@pytest.mark.parametrize(
    ("given", "mib"),
    [
        (4, 4096),
        ("4", 4096),
        (1.5, 1536),
        ("1.5", 1536),
        (".5", 512),
        ("4.", 4096),
        ("4G", 4096),
        ("4g", 4096),
        ("4GB", 4096),
        ("4 GiB", 4096),
        (" 4G ", 4096),
        ("4000M", 4000),
        ("4000MB", 4000),
        ("1T", 1024**2),
        ("1024K", 1),
        ("1025K", 2),
        ("512K", 1),
        ("0.1M", 1),
        ("1.1G", 1127),
        ("0.3", 308),
    ],
)
def test_memory_is_read_in_gb_or_its_unit_and_rounded_up(given, mib):
    assert parse_memory(given) == mib


@pytest.mark.parametrize("given", ["", "G", "4X", "4 4", "-4", "4e3", "4,5", "nan", "1.2.3", "4Gi b", "²", "٤"])
def test_memory_that_is_no_amount_is_refused_with_the_forms(given):
    assert "write it as 4 (GB)" in refusal(parse_memory, given)


@pytest.mark.parametrize("given", [True, None, [4], float("nan"), float("inf"), -1, 1e300])
def test_memory_that_is_no_number_is_refused(given):
    assert "is not an amount" in refusal(parse_memory, given)


@pytest.mark.parametrize("given", [0, "0", "0G", "0.0", ".0T"])
def test_no_memory_is_refused(given):
    assert "is nothing" in refusal(parse_memory, given)


@given(st.integers(1, 2**40))
def test_memory_round_trips(mib):
    text = format_memory(mib)
    assert parse_memory(text) == mib
    assert re.fullmatch(r"\d+[MGT]", text)  # what sbatch --mem takes: it refuses 1.5G


@given(st.integers(0, 10**6), st.integers(0, 999), st.sampled_from("KMGT"))
def test_a_decimal_amount_is_never_rounded_down_nor_by_more_than_one_mib(whole, thousandths, unit):
    scale = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}[unit]  # KiB
    kib_times_1000 = (whole * 1000 + thousandths) * scale
    if kib_times_1000:
        got = parse_memory(f"{whole}.{thousandths:03d}{unit}") * 1024 * 1000
        assert kib_times_1000 <= got < kib_times_1000 + 1024 * 1000


# ---- walltime


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("5", 300),
        (5, 300),
        ("90", 5400),
        ("5:30", 330),
        ("90:00", 5400),
        ("0:90", 90),
        ("00:00:10", 10),
        ("1:02:03", 3723),
        ("36:00:00", 36 * 3600),
        ("1-2", 26 * 3600),
        ("1-0", DAY),
        ("1-30", 54 * 3600),
        ("0-2", 7200),
        ("1-2:3", 26 * 3600 + 180),
        ("1-2:3:4", 26 * 3600 + 184),
        ("1-00:00:00", DAY),
        ("01-00:00:00", DAY),
        (" 2:00:00 ", 7200),
    ],
)
def test_walltime_is_read_in_every_form_of_slurm(given, seconds):
    assert parse_walltime(given) == seconds


@pytest.mark.parametrize(
    "given",
    ["", "abc", "1:2:3:4", "1-2:3:4:5", "-5", "1-", "-1:00", "1:", ":5", "1.5", "5m", "1-2-3", True, "٥"],
)
def test_walltime_that_slurm_would_not_take_is_refused_with_the_forms(given):
    assert "is not a time; write it as 90 (minutes), 5:30 (m:s)" in refusal(parse_walltime, given)


@pytest.mark.parametrize("given", ["UNLIMITED", "unlimited", "INFINITE", "-1"])
def test_walltime_without_an_end_is_refused(given):
    assert "has no end" in refusal(parse_walltime, given)


@pytest.mark.parametrize("given", ["0", 0, "0:00", "00:00:00", "0-0"])
def test_walltime_of_nothing_is_refused_though_slurm_reads_it_as_no_limit(given):
    assert "no time at all" in refusal(parse_walltime, given)


def test_walltime_beyond_what_slurm_can_hold_is_refused():
    assert parse_walltime(format_walltime(LONGEST_WALLTIME)) == LONGEST_WALLTIME
    assert "at most 24855-03:14:07" in refusal(parse_walltime, format_walltime(LONGEST_WALLTIME + 1))


@given(st.integers(1, LONGEST_WALLTIME))
def test_walltime_round_trips(seconds):
    text = format_walltime(seconds)
    assert re.fullmatch(r"\d+-\d\d:\d\d:\d\d", text)
    assert parse_walltime(text) == seconds


@given(st.integers(0, 20000), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_every_form_of_walltime_agrees_with_the_full_one(d, h, m, s):
    forms = {
        f"{m}": m * 60,
        f"{m}:{s}": m * 60 + s,
        f"{h}:{m}:{s}": h * 3600 + m * 60 + s,
        f"{d}-{h}": d * DAY + h * 3600,
        f"{d}-{h}:{m}": d * DAY + h * 3600 + m * 60,
        f"{d}-{h:02d}:{m:02d}:{s:02d}": d * DAY + h * 3600 + m * 60 + s,
    }
    for text, seconds in forms.items():
        if seconds:
            assert parse_walltime(text) == seconds
            assert parse_walltime(format_walltime(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (330, "5 minutes 30 seconds"),
        (60, "1 minute"),
        (DAY, "1 day"),
        (2 * DAY + 3600 + 1, "2 days 1 hour 1 second"),
        (0, "0 seconds"),
    ],
)
def test_walltime_is_said_in_words(seconds, words):
    assert describe_walltime(seconds) == words


# ---- gres


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", ()),
        ("none", ()),
        ("gpu", (Gres("gpu", None, 1),)),
        ("gpu:2", (Gres("gpu", None, 2),)),
        ("gpu:H100", (Gres("gpu", "H100", 1),)),
        ("gpu:H100:1", (Gres("gpu", "H100", 1),)),
        ("gpu:h100:2", (Gres("gpu", "h100", 2),)),
        ("gpu:1g.10gb:1", (Gres("gpu", "1g.10gb", 1),)),
        ("gpu:1g.10gb", (Gres("gpu", "1g.10gb", 1),)),
        ("gpu:1g.10gb+me:1", (Gres("gpu", "1g.10gb+me", 1),)),
        ("gpu:nvidia_a100-sxm4-80gb:2", (Gres("gpu", "nvidia_a100-sxm4-80gb", 2),)),
        ("gpu:1080:1", (Gres("gpu", "1080", 1),)),
        ("gpu:1080", (Gres("gpu", None, 1080),)),
        ("shard:4", (Gres("shard", None, 4),)),
        ("lustre:2K", (Gres("lustre", None, 2048),)),
        ("lustre:ssd:1g", (Gres("lustre", "ssd", 1024**3),)),
        ("gpu:H100:2,shard:4", (Gres("gpu", "H100", 2), Gres("shard", None, 4))),
        ("gpu:H100:1, gpu:A100:1", (Gres("gpu", "H100", 1), Gres("gpu", "A100", 1))),
        ("gres:gpu:2", (Gres("gpu", None, 2),)),
        ("gres/gpu:H100:2", (Gres("gpu", "H100", 2),)),
    ],
)
def test_gres_is_read_as_slurm_reads_it(given, asked):
    assert parse_gres(given) == asked
    assert parse_gres(format_gres(asked)) == asked


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("gpu:0", "too small; at least 1"),
        ("gpu:-1", "no type has"),
        ("gpu:H100:two", "is not name:type:count"),
        ("gpu:a:b:1", "is not name:type:count"),
        ("gpu:H100:4(S:0-1)", "is not name:type:count"),
        ("gpu::2", "no type has"),
        ("gpu:", "no type has"),
        ("gpu=1", "is not a name"),
        ("gres/gpu=1", "is not a name"),
        ("gres:2", "is not a name"),
        (":2", "is not a name"),
        ("gpu,", "is not a name"),
        ("gpu:$(id):1", "no type has"),
        ("GPU:1", "write 'gpu'"),
        ("gpu:1,gpu:2", "twice"),
        ("gpu:1,gpu:H100:1", "twice"),
        ("gpu:H100:1,gpu:H100:1", "twice"),
    ],
)
def test_gres_that_means_nothing_is_refused(given, reason):
    assert reason in refusal(parse_gres, given)


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True).filter(lambda name: name != "gres")
types = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,9}", fullmatch=True)


@given(st.lists(st.builds(Gres, names, types, st.integers(1, 10**6)), max_size=4, unique_by=lambda gres: gres.name))
def test_gres_round_trips(asked):
    assert parse_gres(format_gres(tuple(asked))) == tuple(asked)


def test_only_whole_gpus_are_counted():
    assert count_gpus(parse_gres("gpu:H100:2,gpu:A100:1,lustre:4")) == 3
    assert count_gpus(parse_gres("shard:4")) == 0
    assert count_gpus(()) == 0


def test_an_operation_that_needs_a_gpu_gets_one_unless_some_are_asked_for():
    assert PhaseResources().with_gpu().gres == (Gres("gpu", None, 1),)
    for asked in ("gpu", "gpu:H100:2", "shard:1"):
        phase = SplitResources(threads=3, gres=parse_gres(asked))
        assert phase.with_gpu() == phase


# ---- the phases


def test_defaults_are_one_thread_of_4_gb_for_a_day():
    asked = Resources()
    for phase in (asked.launch, asked.split, asked.merge):
        assert (phase.threads, phase.memory, phase.walltime, phase.gres) == (1, 4096, DAY, ())
    split = asked.split
    assert (split.total_threads, split.total_memory_limit, split.bundle_size) == (0, 0, 1)


def test_memory_of_a_task_is_threads_times_memory_per_thread():
    assert PhaseResources(threads=7, memory=parse_memory("1.5")).total_memory == 7 * 1536


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("threads", 0, "threads 0 is too small; at least 1"),
        ("threads", 1.5, "threads 1.5 is not a whole number"),
        ("threads", True, "is not a whole number"),
        ("threads", "7", "is not a whole number"),
        ("memory", 0, "at least 1"),
        ("walltime", 0, "at least 1"),
        ("total_threads", -1, "total threads -1 is too small; at least 0"),
        ("total_memory_limit", -1, "at least 0"),
        ("bundle_size", 0, "bundle size 0 is too small; at least 1"),
    ],
)
def test_an_impossible_field_is_refused_with_its_rule(field, value, reason):
    assert reason in refusal(SplitResources, **{field: value})


def test_resources_are_written_in_the_users_units():
    split = SplitResources(7, 1536, 330, parse_gres("gpu:H100"), 21, 84 * 1024, 10)
    assert split.to_dict() == {
        "threads": 7,
        "memory": "1536M",
        "walltime": "0-00:05:30",
        "gres": "gpu:H100:1",
        "total_threads": 21,
        "total_memory": "84G",
        "bundle_size": 10,
    }
    assert Resources().to_dict()["launch"] == {
        "threads": 1,
        "memory": "4G",
        "walltime": "1-00:00:00",
        "gres": "",
    }
    assert Resources().to_dict()["split"]["total_memory"] == 0
    assert Resources().to_dict()["placement"] == {}


def test_resources_are_read_in_the_users_units():
    asked = Resources.from_dict(
        {
            "launch": {"walltime": 30},
            "split": {"threads": 7, "memory": 1.5, "walltime": "5:30", "gres": "gpu", "total_memory": "0"},
            "placement": {"partition": "gpu,long", "extra_lines": ["--mail-type=END"]},
        }
    )
    assert asked.launch.walltime == 1800
    assert asked.split == SplitResources(7, 1536, 330, (Gres("gpu"),))
    assert asked.merge == PhaseResources()
    assert asked.placement == Placement(partition="gpu,long", extra_lines=("--mail-type=END",))


phases = {
    "threads": st.integers(1, 512),
    "memory": st.integers(1, 2**24),
    "walltime": st.integers(1, LONGEST_WALLTIME),
    "gres": st.sampled_from(["", "gpu:2", "gpu:H100:1,gpu:A100:3", "shard:4"]).map(parse_gres),
}
totals = {
    "total_threads": st.integers(0, 10**6),
    "total_memory_limit": st.integers(0, 2**30),
    "bundle_size": st.integers(1, 10**6),
}
words = st.none() | st.from_regex(r"[A-Za-z0-9_.,&|\[\]*-]{1,12}", fullmatch=True)
placements = st.builds(
    Placement,
    partition=words,
    constraint=words,
    extra_lines=st.lists(st.sampled_from(["--mail-type=END", "--comment='a b'"])).map(tuple),
)


@given(
    st.builds(
        Resources,
        launch=st.builds(PhaseResources, **phases),
        split=st.builds(SplitResources, **phases, **totals),
        placement=placements,
    )
)
def test_resources_round_trip(asked):
    assert Resources.from_dict(asked.to_dict()) == asked


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"splt": {}}, "unknown phase 'splt'; did you mean 'split'?"),
        ({"split": {"thread": 1}}, "split: unknown resource 'thread'; did you mean 'threads'?"),
        ({"split": {"total-threads": 1}}, "did you mean 'total_threads'?"),
        (
            {"merge": {"bundle_size": 2}},
            "merge: unknown resource 'bundle_size'; known: gres, memory, threads, walltime",
        ),
        (
            {"placement": {"partitions": "a"}},
            "placement: unknown placement 'partitions'; did you mean 'partition'?",
        ),
        ({"split": 3}, "split 3 is not a table"),
        ({"split": {"gres": 1}}, "split: gres 1 is not text"),
        ({"split": {"total_memory": False}}, "split: memory 'False' is not an amount"),
        ({"merge": {"threads": 0}}, "merge: threads 0 is too small"),
        ({"placement": {"partition": "a b"}}, "placement: partition 'a b' is not a name"),
        ({"placement": {"qos": ""}}, "qos '' is not a name"),
        ({"placement": {"account": "a\nb"}}, "account 'a\\nb' is not a name"),
        ({"placement": {"extra_lines": "--x"}}, "extra_lines '--x' is not a list"),
        ({"placement": {"extra_lines": ["--x\nrm"]}}, "is not one line"),
    ],
)
def test_what_a_config_file_gets_wrong_is_named(given, reason):
    assert reason in refusal(Resources.from_dict, given)
