"""Several GPUs in a task, and items that use one each: what a lane has, and how it is told to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pypcore.devices import Gpu
from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.lanes import Lane, count_lanes, cut, run_lanes, this_lane
from pypcore.launch import launch
from pypcore.local import Consent
from pypcore.machine import Slot
from pypcore.operations.motioncorr import MotionCorr
from pypcore.operations.rehearse import Rehearse
from pypcore.options import prepare
from pypcore.records import read_records
from pypcore.slurm.submission import PHASES, Array, Site, Submission, write_elements

ASKED = {"dose": 1.0, "voltage": 300.0}


@pytest.mark.parametrize(
    ("device", "gpus", "lanes"), [("cuda", 2, 2), ("auto", 3, 3), ("cuda", 1, 1), ("cuda:0,1", 2, 1), ("cpu", 2, 1)]
)
def test_a_movie_a_gpu_unless_devices_are_named(device: str, gpus: int, lanes: int) -> None:
    assert count_lanes(MotionCorr(), device, gpus) == lanes
    assert count_lanes(Rehearse(), device, gpus) == 1


def test_a_lane_has_a_gpu_and_its_share_of_the_slot() -> None:
    gpus = (Gpu("0", "a"), Gpu("1", "b"))
    found = cut([Slot(0, (0, 1, 2, 3, 4), 100, gpus), Slot(1, (5, 6, 7, 8, 9), 100, gpus)], 2)
    assert [slot.index for slot in found] == [0, 1, 2, 3]
    assert [slot.cores for slot in found[:2]] == [(0, 1), (2, 3, 4)]
    assert [(slot.memory, slot.gpus) for slot in found[:2]] == [(50, gpus[:1]), (50, gpus[1:])]
    assert cut([Slot(3, (0,), 100, gpus)], 1) == [Slot(0, (0,), 100, gpus)]


def test_fewer_threads_than_lanes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="each of a task's 2 GPUs, and threads 1 are fewer; give --threads 2 or more"):
        prepare("motioncorr", ["x"], tmp_path, {**ASKED, "device": "cuda", "gres": "gpu:2"})
    prepare("motioncorr", ["x"], tmp_path, {**ASKED, "device": "cuda:0,1"})


TOLD = """
import os, signal, sys, time
from pathlib import Path
from pypcore.lanes import this_lane
lane = this_lane()
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
Path(sys.argv[1], f"{lane.number}of{lane.of}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
until = time.monotonic() + float(sys.argv[2])
while not ended and time.monotonic() < until:
    time.sleep(0.02)
sys.exit(7 if ended else lane.number)
"""


def test_each_lane_is_a_process_that_sees_one_device(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)}
    try:
        assert run_lanes((sys.executable, "-c", TOLD, str(tmp_path), "0"), ["MIG-a", "MIG-b"]) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0of2": "MIG-a", "1of2": "MIG-b"}
    assert this_lane() is None


def test_a_signal_to_end_reaches_every_lane(tmp_path: Path) -> None:
    code = f"import sys; from pypcore.lanes import run_lanes; sys.exit(run_lanes({(sys.executable, '-c', TOLD, str(tmp_path), '60')!r}, ['0', '1']))"  # noqa: E501
    process = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 7


def test_a_lane_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPCORE_LANE", "1/4")
    assert this_lane() == Lane(1, 4)


def test_lanes_of_an_element_share_its_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / f"in/m{number}.dat").touch()
    request = prepare("rehearse", ["in"], "job", {"threads": 4, "bundle_size": 5}).request
    job = Job(tmp_path / "job")
    launched = launch(job, request)
    job.create()
    job.write_items(launched.items)
    job.freeze(request)
    site = Site(dict.fromkeys(PHASES, request.resources.placement), dict.fromkeys(PHASES, ()))
    submission = Submission("made", request.resources, site, Consent())
    submission.arrays = [Array(0, 1, "0", request.resources.split)]
    job.claim([], submission.to_dict())
    write_elements(job, 1, [launched.items])
    for lane in range(2):
        environment = {**os.environ, "PYPCORE_LANE": f"{lane}/2", "SLURM_ARRAY_TASK_ID": "0"}
        command = [sys.executable, "-P", "-m", "pypcore.cli.main", "worker", "job", "--run", "1", "--first", "0"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    ends = [record for record in read_records(job.records) if record["event"] == "end"]
    assert {record["name"]: record["attempt"][-2:] for record in ends} == {f"m{n}": f".{n % 2}" for n in range(5)}
    assert {record["threads"] for record in ends} == {2}
