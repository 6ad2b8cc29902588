"""Every program, against its fake: it works, and each of its real ways to fail is one clear line and no product."""

from typing import Any

import psutil
import pytest
from program_cases import CASES, Bench, Case, absolute

from pypcore.errors import PypcoreError
from pypcore.programs.process import ProgramError
from pypcore.programs.registry import shipped
from pypcore.worker import ItemTimeout, _alarm

cases = pytest.mark.parametrize("case", CASES, ids=[case.operation for case in CASES])


def do(bench: Bench, case: Case, **options: Any) -> Any:
    files = case.make(bench.folder)
    return bench.do(case.operation, files, **absolute(case, bench.folder), **options)


def test_every_operation_of_a_program_has_its_case():
    assert {case.operation for case in CASES} == set(shipped())


@cases
def test_it_leaves_its_product_and_keeps_to_the_rules(bench: Bench, case: Case):
    if case.gpus < 0:
        bench.gpus("")
    results, merged = do(bench, case)
    made = merged if shipped()[case.operation].per == "data-set" else results[0]
    assert made.products[case.product].stat().st_size
    assert bench.calls
    for call in bench.calls:
        assert call["stdin"] == "/dev/null" or case.operation == "ctffind"
        assert call["threads"] == ["2"] * 5
        assert call["visible"] == ("" if case.gpus < 0 else "0")
        assert call["proxy"] == "http://127.0.0.1:9"
        assert call["pythonpath"] is None
        assert all(len(word) < 255 for word in call["arguments"])
    left = [path for path in (bench.folder / "job").rglob("*") if "scratch" in path.parts or path.name.startswith(".")]
    assert [path for path in left if path.is_file()] == []


@pytest.mark.parametrize(
    ("case", "mode"), [pytest.param(case, mode, id=f"{case.operation}-{mode}") for case in CASES for mode in case.modes]
)
def test_each_way_to_fail_is_told(bench: Bench, case: Case, mode: str):
    if case.gpus < 0:
        bench.gpus("")
    bench.mode(mode)
    with pytest.raises(MemoryError if mode == "nomem" else PypcoreError) as told:
        do(bench, case)
    message = str(told.value)
    words = {
        "silent": "exited with 0, but",
        "segv": "killed by SIGSEGV",
        "oom": "ran out of GPU memory",
        "nomem": "",
        "fallback": "",
        "half": "exited with 0, but",
        "nan": "exited with 0, but",
    }
    assert words[mode] in message, message
    assert "\n" not in message
    products = [path for path in (bench.folder / "job").rglob("*") if path.is_file()]
    assert products == []


@cases
def test_what_hangs_is_ended_with_its_children(bench: Bench, case: Case):
    if case.gpus < 0:
        bench.gpus("")
    bench.mode("hang")
    with pytest.raises(ItemTimeout), _alarm(1):
        do(bench, case)
    assert not [child for child in psutil.Process().children(recursive=True) if "sleep" in child.name()]


@pytest.mark.parametrize("case", [one for one in CASES if one.cpu], ids=[one.operation for one in CASES if one.cpu])
def test_it_runs_on_the_cpu_when_told_to(bench: Bench, case: Case):
    bench.gpus("0")  # leaked, and not for us
    results, merged = do(bench, case, device="cpu")
    made = merged if shipped()[case.operation].per == "data-set" else results[0]
    assert made.products[case.product].exists()
    assert {call["visible"] for call in bench.calls} == {""}


def test_a_fallback_is_taken_where_the_user_allows_it(bench: Bench):
    case = next(one for one in CASES if one.operation == "topaz-denoise3d")
    bench.mode("fallback")
    with pytest.raises(ProgramError, match="Falling back to CPU"):
        do(bench, case)
    results, _ = do(bench, case, allow_cpu_fallback=True)
    assert results[0].products["tomogram"].exists()


def test_an_error_that_isonet_caught_is_found_in_its_log(bench: Bench):
    case = next(one for one in CASES if one.operation == "isonet")
    bench.mode("caught")
    with pytest.raises(ProgramError, match="KeyError: 'rlnDefocus'"):
        do(bench, case)
