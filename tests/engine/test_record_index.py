"""The index says what folding all records says, whatever happened to the files since it was written."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypcore import record_index, records
from pypcore.glance import Glance, read_glance
from pypcore.items import Item
from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.merge import last_merge, what_is_done
from pypcore.options import prepare
from pypcore.record_index import NAME, RecordIndex
from pypcore.record_lines import heads, parse
from pypcore.records import Record, begin_record, end_record, fold, read_records
from pypcore.status import read_status

LIVING = "0002-"
PRODUCTS = {"micrograph": ["micrographs/m.mrc", 10]}


def alive(attempt: str) -> bool:
    return attempt.startswith(LIVING)


@pytest.fixture
def job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of ten items; its index is written at every look."""
    monkeypatch.setattr(record_index, "SAVE_S", 0.0)
    made = Job(folder / "job")
    made.create()
    made.write_items([Item(n, f"m{n}", f"/raw/m{n}.tif", f"m{n}.tif", 10 + n, 1) for n in range(10)])
    made.freeze(prepare("rehearse", ["in"], "job", {}).request)
    return made


class Writer:
    """Appends records of one attempt, at times that only grow."""

    clock = 1000.0

    def __init__(self, job: Job, attempt: str) -> None:
        self.path = job.records / f"{attempt}.jsonl"
        self.items, self.digest = list(job.items()), job.request().digest()

    def begin(self, item: int, **more: Any) -> None:
        self.line({**begin_record(self.items[item], self.digest), **more})

    def end(self, item: int, outcome: str, **more: Any) -> None:
        self.line(
            {
                **end_record(
                    self.items[item],
                    self.digest,
                    outcome,
                    "" if outcome == "done" else "why",
                    products=PRODUCTS,
                    figures={"size": {"of": [1]}},
                ),
                **more,
            }
        )

    def line(self, record: Record) -> None:
        Writer.clock += 0.5
        self.text(json.dumps({"event": "", **record, "time": Writer.clock}, separators=(",", ":")) + "\n")

    def text(self, text: str) -> None:
        with self.path.open("a") as out:
            out.write(text)


def look(job: Job) -> Glance:
    return read_glance(job, None, alive)


def check(job: Job) -> Glance:
    """Compare with the fold of all records, of an index read on and of one built from nothing; return the former."""
    items, known = list(job.items()), list(read_records(job.records))
    states = fold(known, items, job.request().digest(), alive)
    read_on = look(job)
    (job.records / NAME).unlink()
    for glance in (look(job), read_on):
        assert [state.outcome for state in glance.states] == [state.outcome for state in states]
        assert list(glance.states) == states
        assert glance.counts == records.count(states)
        assert list(glance.items) == items
        assert glance.merge == last_merge(known)
        assert glance.index.name_what_is_done(job) == what_is_done(states)
        assert [item.name for item, _ in glance.bad()] == [
            item.name for item, state in zip(items, states, strict=True) if state.outcome in records.BAD
        ]
    read_on.index.save(job)  # so that the next look reads on from an index that was itself read on
    return read_on


def built_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Say whether the next look reads everything anew."""
    built: list[str] = []
    empty = RecordIndex._empty
    monkeypatch.setattr(RecordIndex, "_empty", lambda *given: built.append("again") or empty(*given))
    check_once = look(job)
    monkeypatch.undo()
    assert len(check_once.items) == 10
    return bool(built)


def test_a_job_without_records_waits(job: Job) -> None:
    assert check(job).counts["waiting"] == 10
    assert len(check(job).missing) == 10


def test_a_job_without_a_manifest_has_no_items_yet(job: Job) -> None:
    job.items_file.unlink()
    assert len(look(job).items) == 0
    assert sum(look(job).counts.values()) == 0


def test_what_is_appended_is_read_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(job, "0002-00-1")
    writer.begin(0)
    assert check(job).counts["running"] == 1
    writer.end(0, "done")
    assert check(job).counts["done"] == 1
    assert not built_again(job, monkeypatch)
    writer.begin(1)
    Writer(job, "0002-01-1").end(2, "failed")
    assert not built_again(job, monkeypatch)
    assert check(job).counts == {**records.count([]), "done": 1, "running": 1, "failed": 1, "waiting": 7}
    assert [item.name for item in look(job).missing] == ["m1", *(f"m{n}" for n in range(3, 10))]


def test_a_torn_line_is_read_when_it_is_whole(job: Job) -> None:
    writer = Writer(job, "0001-00-1")
    writer.end(0, "done")
    whole = json.dumps(end_record(writer.items[1], writer.digest, "failed", "bad")) + "\n"
    writer.text(whole[:30])
    assert check(job).counts["failed"] == 0
    writer.text(whole[30:])
    assert check(job).counts["failed"] == 1


def test_a_line_that_a_full_disk_tore_is_left_out(job: Job) -> None:
    writer = Writer(job, "0001-00-1")
    writer.text('{"event":"end","ite\n')
    writer.end(0, "done")
    assert check(job).counts["done"] == 1


def test_a_record_torn_anywhere_is_left_out(job: Job) -> None:
    items, digest = list(job.items()), job.request().digest()
    record = end_record(items[0], digest, "done", products=PRODUCTS, figures={"strengths": {"walk": [0.2, {}]}})
    line = json.dumps(record, separators=(",", ":")).encode()
    assert [head["outcome"] for _, head in heads([(7, line + b"\n")])] == ["done"]
    assert [at for cut in range(len(line)) for at, _ in heads([(cut, line[:cut] + b"\n")])] == []


def test_what_is_read_of_a_done_line_is_what_its_json_says() -> None:
    item = Item(3, "m3", "/raw/m3.tif", "m3.tif", 10, 10**18)
    line = json.dumps(end_record(item, "p", "done", products=PRODUCTS), separators=(",", ":")).encode() + b"\n"
    (_, head), (_, whole) = *heads([(0, line)]), *parse([(0, line)])
    assert head.keys() < whole.keys()
    assert head == {key: whole[key] for key in head}


def test_a_begin_that_ends_in_another_file_is_settled_there(job: Job) -> None:
    worker, pool = Writer(job, "0001-00-1"), Writer(job, "0001-pool")
    worker.begin(3)
    assert check(job).counts["lost"] == 1
    pool.end(3, "timeout", of="0001-00-1")
    glance = check(job)
    assert glance.states[3].outcome == "timeout"
    assert glance.states[3].attempts == 1


def test_two_runs_of_one_item_count_as_two_attempts(job: Job) -> None:
    for attempt, outcome in (("0001-00-1", "error"), ("0002-00-1", "done"), ("0001-01-1", "done")):
        writer = Writer(job, attempt)
        writer.begin(0)
        writer.end(0, outcome)
        assert check(job).states[0].outcome == outcome
    assert check(job).states[0].attempts == 3


def test_many_files_are_looked_at_side_by_side(job: Job) -> None:
    for number in range(3 * record_index.LOOKERS + 1):
        Writer(job, f"0001-{number:02d}-1").end(number % 10, "failed" if number % 3 else "done")
    assert check(job).counts["done"] == 10


def test_merges_are_known_and_out_of_date_when_more_is_done(job: Job) -> None:
    writer = Writer(job, "0001-00-1")
    writer.end(0, "done")
    of = check(job).index.name_what_is_done(job)
    writer.line({"event": "merge", "outcome": "done", "of": of, "products": {}})
    assert check(job).merge_state == "done"
    assert look(job).merge_state == "done"
    writer.end(1, "done")
    assert check(job).merge_state == "out of date"


@pytest.mark.parametrize("harm", ["edited", "shorter", "replaced", "removed", "corrupt", "not an index"])
def test_anything_else_that_happens_to_a_file_builds_the_index_again(
    job: Job, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(job, "0001-00-1")
    for item in range(3):
        writer.begin(item)
        writer.end(item, "done")
    check(job)
    text, index = writer.path.read_text(), job.records / NAME
    match harm:
        case "edited":
            writer.path.write_text(text.replace('"done"', '"lost"', 1))
        case "shorter":
            writer.path.write_text(text[: len(text) // 2])
        case "replaced":
            writer.path.write_text(text.replace('"outcome":"done"', '"outcome":"failed"') + text)
        case "removed":
            writer.path.unlink()
        case "corrupt":
            data = bytearray(index.read_bytes())
            data[-1] ^= 1
            index.write_bytes(data)
        case "not an index":
            index.write_bytes(b"hello")
    assert built_again(job, monkeypatch)
    check(job)


def test_a_manifest_written_again_with_the_same_items_is_still_good(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    Writer(job, "0001-00-1").end(0, "done")
    check(job)
    job.write_items(list(job.items()))
    os.utime(job.items_file, ns=(1, 1))
    assert not built_again(job, monkeypatch)
    items = list(job.items())
    items[0].mtime_ns = 77  # its file was replaced
    job.write_items(items)
    assert check(job).counts["waiting"] == 10


def test_other_parameters_make_another_index(job: Job) -> None:
    Writer(job, "0001-00-1").end(0, "done")
    assert check(job).counts["done"] == 1
    job.freeze(prepare("rehearse", ["in"], "job", {"seconds": 0.5}).request)
    assert check(job).counts["done"] == 0


def test_a_folder_that_can_t_be_written_is_read_all_the_same(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    Writer(job, "0001-00-1").end(0, "done")

    def refuse(*given: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(record_index, "whole", refuse)
    assert look(job).counts["done"] == 1
    assert not (job.records / NAME).exists()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_workers_write_the_index_agrees_with_the_fold(
    job: Job, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_index, "BLOCK", 3)  # begins and ends fall into different blocks
    dice = random.Random(seed)
    writers = [Writer(job, f"000{run}-{slot:02d}-1") for run in (1, 2) for slot in range(3)]
    for _ in range(12):
        for _ in range(dice.randrange(12)):
            writer, item = dice.choice(writers), dice.randrange(10)
            match dice.randrange(8):
                case 0:
                    writer.begin(item)
                case 1:
                    writer.end(item, dice.choice(records.OUTCOMES), of="0001-00-1")
                case 2:
                    writer.end(item, "done", params="others")
                case 3:
                    writer.line({"event": "merge", "outcome": "failed", "of": "x"})
                case 4:
                    writer.text('{"torn\n')
                case _:
                    writer.begin(item)
                    writer.end(item, dice.choice(records.OUTCOMES))
        check(job)


def test_a_real_job_at_a_glance_is_as_its_status_says(
    make_items: Callable[[int], list[Path]], rehearse: Callable[..., Outcome], folder: Path
) -> None:
    make_items(6)
    rehearse(fail="m_002")
    job = Job.open(folder / "job")
    known, glance = read_status(job), read_glance(job, job.last_run(), alive)
    assert glance.phase == known.phase == "failed"
    told, expected = glance.to_dict(), known.to_dict()
    assert {**told, "run": None} == {**expected, "run": None}
    assert glance.find("m_003") == 2
    assert glance.table() == known.table()
