from pathlib import Path

from pypcore import records
from pypcore.items import Item
from pypcore.records import Recorder, begin_record, end_record, fold, read_records

ITEMS = [Item(n, f"m{n}", f"/raw/m{n}.tif", f"m{n}.tif", 10, 1) for n in range(3)]


def at(time: float, record: records.Record, attempt: str = "0001-00-1") -> records.Record:
    return {**record, "time": time, "attempt": attempt}


def begin(item: int, time: float) -> records.Record:
    return at(time, begin_record(ITEMS[item], "p"))


def end(item: int, time: float, outcome: str, params: str = "p") -> records.Record:
    return at(time, end_record(ITEMS[item], params, outcome))


def outcomes(*known: records.Record, alive: bool = False) -> list[str]:
    return [state.outcome for state in fold(known, ITEMS, "p", lambda attempt: alive)]


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.jsonl")
    recorder.append({"event": "end", "name": "Å \udcff\n"})
    recorder.append({"event": "merge"})
    recorder.close()
    assert [r["event"] for r in read_records(tmp_path)] == ["end", "merge"]
    assert next(read_records(tmp_path))["name"] == "Å \udcff\n"


def test_of_an_item_that_ended_only_the_end_is_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.jsonl")
    for event in ("begin", "end", "begin", "begin", "end", "begin"):
        recorder.append({"event": event})
    recorder.close()
    assert [r["event"] for r in read_records(tmp_path)] == ["end", "begin", "end", "begin"]


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"event":"begin"}\n{"event":"en')
    assert [r["event"] for r in read_records(tmp_path)] == ["begin"]


def test_a_line_torn_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"event":"beg\n{"event":"end"}\n')
    assert [r["event"] for r in read_records(tmp_path)] == ["end"]


def test_an_item_without_records_is_waiting() -> None:
    assert outcomes() == ["waiting"] * 3


def test_begun_and_not_ended_is_running_while_its_worker_lives_and_lost_after() -> None:
    assert outcomes(begin(0, 1), alive=True)[0] == "running"
    assert outcomes(begin(0, 1))[0] == "lost"


def test_the_latest_attempt_counts() -> None:
    assert outcomes(begin(0, 1), end(0, 2, "lost"), begin(0, 3), end(0, 4, "failed"))[0] == "failed"


def test_done_is_never_taken_back_in_whatever_order_files_are_read() -> None:
    known = [end(0, 2, "done"), end(0, 3, "lost"), begin(0, 5)]
    assert outcomes(*known)[0] == "done"
    assert outcomes(*known[::-1])[0] == "done"


def test_a_record_made_with_other_parameters_does_not_count() -> None:
    assert outcomes(end(0, 1, "done", params="q"))[0] == "waiting"


def test_a_record_made_from_another_file_does_not_count() -> None:
    replaced = [Item(0, "m0", "/raw/m0.tif", "m0.tif", 11, 2)]
    assert fold([end(0, 1, "done")], replaced, "p")[0].outcome == "waiting"


def test_an_end_is_found_after_its_begin_wherever_the_file_is_cut_into_blocks(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.jsonl")
    recorder.append({"event": "attempt"})
    for item in range(3000):
        recorder.append({"event": "begin", "item": item})
        recorder.append({"event": "end", "item": item})
    recorder.close()
    assert [r["event"] for r in read_records(tmp_path)] == ["attempt", *["end"] * 3000]
