"""How each program is told its GPUs: a table of what is visible against what it is given."""

from typing import Any

import pytest
from program_cases import CASES, Bench, Case, absolute

from pypcore.errors import PypcoreError, SetupError, UsageError
from pypcore.options import prepare
from pypcore.programs.devices import spell_devices
from pypcore.programs.registry import shipped

MIG = "MIG-b1c2d3e4-0001-0002-0003-000000000001"
VISIBLE = {
    "one": ["0"],
    "2,5": ["2", "5"],
    "uuids": ["GPU-aaaa", "GPU-bbbb"],
    "mig": [MIG, MIG.replace("01", "02")],
    "four": ["0", "1", "2", "3"],
}
NUMBERS = {"GPU-aaaa": "3", "GPU-bbbb": "7"}  # what nvidia-smi says
SPACES = {"one": "0", "2,5": "0 1", "uuids": "0 1", "mig": "0 1", "four": "0 1 2 3"}
FIRST = {"one": "0"}  # two are refused
INHERITED = {"one": "0", "2,5": "2,5", "uuids": "3,7", "mig": None, "four": "0,1,2,3"}
COMMAS = {"one": "0", "2,5": "0,1", "uuids": "0,1", "mig": "0,1", "four": "0,1,2,3"}
ALL = {"one": "-d 0", "2,5": "-d -2", "uuids": "-d -2", "mig": "-d -2", "four": "-d -2"}
NOTHING = dict.fromkeys(VISIBLE, "")


def flagged(flag: str, values: dict[str, str | None]) -> dict[str, str | None]:
    return {seen: value if value is None else f"{flag} {value}" for seen, value in values.items()}


TABLE: dict[str, dict[str, str | None]] = {
    "motioncor3": flagged("-Gpu", SPACES),
    "aretomo2": flagged("-Gpu", SPACES),
    "aretomo3": flagged("-Gpu", FIRST),
    "pytom-match": flagged("-g", SPACES),
    "topaz-denoise3d": ALL,
    "topaz-denoise3d-train": ALL,
    "topaz-denoise": flagged("-d", FIRST),
    "topaz-pick": flagged("-d", FIRST),
    "topaz-train": flagged("-d", FIRST),
    "membrain-seg": {"one": ""},
    "cryocare-train": NOTHING,  # in its JSON: tested below
    "cryocare": {"one": ""},
    "isonet-train": flagged("--gpuID", INHERITED),
    "isonet": flagged("--gpuID", INHERITED),
    "isonet2-train": flagged("--gpuID", COMMAS),
    "isonet2": flagged("--gpuID", COMMAS),
    "milopyp-train": flagged("--gpus", {"one": "0"}),
    "milopyp": flagged("--gpus", {"one": "0"}),
    "nn-pick-train": flagged("--gpus", INHERITED),
    "nn-pick": flagged("--gpus", {"one": "0"}),
    "nn-pick-2d-train": {"one": ""},
    "nn-pick-2d": {"one": ""},
    "tomodrgn": {"one": "", "2,5": "--multigpu", "uuids": "--multigpu", "mig": "--multigpu", "four": "--multigpu"},
    "ctffind": {},
    "isonet2-deconvolve": {},
}


def test_every_operation_is_in_the_table():
    assert set(TABLE) == set(shipped())


@pytest.mark.parametrize("seen", VISIBLE)
@pytest.mark.parametrize("operation", TABLE)
def test_devices_are_spelt_as_the_program_reads_them(operation: str, seen: str):
    devices = shipped()[operation].devices
    if seen not in TABLE[operation]:
        with pytest.raises(UsageError, match="would idle"):
            spell_devices(operation, devices, VISIBLE[seen], NUMBERS)
    elif TABLE[operation][seen] is None:
        with pytest.raises(SetupError, match="overwrites CUDA_VISIBLE_DEVICES"):
            spell_devices(operation, devices, VISIBLE[seen], NUMBERS)
    else:
        told = spell_devices(operation, devices, VISIBLE[seen], NUMBERS)
        assert " ".join(told) == TABLE[operation][seen]


def test_a_uuid_that_the_driver_does_not_know_is_refused():
    with pytest.raises(SetupError, match="GPU-cccc"):
        spell_devices("isonet", shipped()["isonet"].devices, ["GPU-cccc"], NUMBERS)


def test_without_a_gpu_it_is_refused_or_told_to_use_the_cpu():
    with pytest.raises(SetupError, match="--gres gpu:1"):
        spell_devices("motioncor3", shipped()["motioncor3"].devices, [])
    assert spell_devices("topaz-pick", shipped()["topaz-pick"].devices, []) == ["-d", "-1"]
    assert spell_devices("nn-pick", shipped()["nn-pick"].devices, []) == ["--gpus", "-1"]


@pytest.mark.parametrize("seen", VISIBLE)
def test_cryocare_is_told_in_its_settings_and_sees_them_all(bench: Bench, seen: str):
    case = next(one for one in CASES if one.operation == "cryocare-train")
    bench.gpus(",".join(VISIBLE[seen]))
    bench.do(case.operation, case.make(bench.folder), **absolute(case, bench.folder))
    assert bench.calls[-1]["settings"]["gpu_id"] == list(range(len(VISIBLE[seen])))
    assert {call["visible"] for call in bench.calls} == {",".join(VISIBLE[seen])}


SEVERAL = [case for case in CASES if case.gpus == 0]


@pytest.mark.parametrize("case", SEVERAL, ids=[case.operation for case in SEVERAL])
def test_two_gpus_reach_the_program(bench: Bench, case: Case):
    bench.gpus("2,5")
    bench.do(case.operation, case.make(bench.folder), **absolute(case, bench.folder))
    told = TABLE[case.operation]["2,5"]
    assert any(told in " ".join(call["arguments"]) for call in bench.calls if told is not None)
    assert {call["visible"] for call in bench.calls} == {"2,5"}


# ---- resources of a job


def resources(bench: Bench, operation: str, **options: Any) -> tuple[str, str]:
    case = next(one for one in CASES if one.operation == operation)
    files = case.make(bench.folder)
    request = prepare(operation, files, "job", absolute(case, bench.folder) | options).request
    return ",".join(map(str, request.resources.split.gres)), ",".join(map(str, request.resources.merge.gres))


def test_a_program_that_computes_on_items_asks_for_a_gpu_in_split(bench: Bench):
    assert resources(bench, "membrain-seg") == ("gpu:1", "")
    assert resources(bench, "membrain-seg", device="cpu") == ("", "")
    assert resources(bench, "motioncor3", gres="gpu:H100:2") == ("gpu:H100:2", "")


def test_one_that_trains_on_the_data_set_asks_for_it_in_merge(bench: Bench):
    assert resources(bench, "cryocare-train") == ("", "gpu:1")
    assert resources(bench, "cryocare-train", merge_gres="gpu:H100:2") == ("", "gpu:H100:2")


def test_more_gpus_than_it_can_use_are_refused_before_anything_runs(bench: Bench):
    with pytest.raises(UsageError, match="aretomo3 uses 1 GPU a task, and gres asks 2"):
        resources(bench, "aretomo3", gres="gpu:2")
    with pytest.raises(UsageError, match="computes on the CPU"):
        resources(bench, "topaz-pick", device="cpu", gres="gpu:1")


def test_a_task_that_was_given_other_gpus_than_it_sees_stops(bench: Bench):
    case = next(one for one in CASES if one.operation == "motioncor3")
    files = case.make(bench.folder)
    operation_files = absolute(case, bench.folder)
    context = bench.context()
    bench.gpus("")
    from pypcore.operation import get_operation

    operation = get_operation("motioncor3")
    with pytest.raises(PypcoreError, match="was given 1 GPUs"):
        operation.process(bench.item(files[0]), operation.Parameters(**operation_files), context)
