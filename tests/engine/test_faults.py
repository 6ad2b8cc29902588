"""Any process may die at any moment: nothing finished is lost, no half product is left, resume completes.

The products of a disturbed and resumed job equal those of an undisturbed one byte for byte. ``MOMENTS`` random
moments of each kind; ``make test-long`` asks for more of them.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.products import PART
from pypcore.status import read_status

MOMENTS = int(os.environ.get("PYPCORE_MOMENTS", "3"))
ITEMS = 12
OPTIONS = {"seconds": 0.08, "product": 200_000, "bundle_size": 2}
FLAGS = [f"--{key.replace('_', '-')}={value}" for key, value in OPTIONS.items()]
SPAN = 1.6  # seconds in which such a job is surely begun, and mostly over

Command = Callable[..., "subprocess.Popen[str]"]
MakeItems = Callable[[int], list[Path]]
Rehearse = Callable[..., Outcome]


def moments(seed: int) -> list[Any]:
    rng = random.Random(seed)
    return [pytest.param(rng.uniform(0.2, SPAN), id=f"moment{n}") for n in range(MOMENTS)]


def products(job: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*(job / "rehearsed").glob("*"), job / "rehearsed.txt"]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    from pypcore.local import run_here
    from pypcore.options import prepare

    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "in").mkdir()
    for n in range(1, ITEMS + 1):
        (folder / "in" / f"m_{n:03d}.dat").write_text("x")
    before = Path.cwd()
    os.chdir(folder)
    try:
        run_here(Job(folder / "job"), prepare("rehearse", ["in"], "job", OPTIONS).request)
    finally:
        os.chdir(before)
    return products(folder / "job")


def done_items(job: Path) -> set[str]:
    if not (job / "job.toml").is_file():
        return set()
    known = read_status(Job.open(job))
    return {item.name for item, state in zip(known.items, known.states, strict=True) if state.outcome == "done"}


def check_nothing_is_half(job: Path, whole: dict[str, bytes]) -> None:
    for path in (job / "rehearsed").glob("*"):
        if PART not in path.name:
            assert path.read_bytes() == whole[path.name]
    for name in done_items(job):
        assert (job / "rehearsed" / name).read_bytes() == whole[name]


def finish_and_compare(job: Path, resume: Rehearse, rehearse: Rehearse, whole: dict[str, bytes]) -> None:
    done = done_items(job)
    outcome = resume() if (job / "job.toml").is_file() else rehearse(**OPTIONS)
    assert outcome.exit_code == 0
    assert not done & {outcome.launched.items[index].name for index in outcome.launched.todo}
    assert products(job) == whole


def processes_of(job: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(job) in process.cmdline() and "pypcore.worker" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for_silence(job: Path) -> None:
    until = time.monotonic() + 20
    while processes_of(job):
        assert time.monotonic() < until, "a worker outlived its pool"
        time.sleep(0.02)


@pytest.fixture
def quiet(folder: Path) -> Iterator[None]:
    yield
    wait_for_silence(folder / "job")


@pytest.mark.parametrize("moment", moments(1))
def test_kill_of_a_worker(
    moment: float,
    command: Command,
    make_items: MakeItems,
    resume: Rehearse,
    rehearse: Rehearse,
    undisturbed: dict[str, bytes],
    folder: Path,
    quiet: None,
) -> None:
    make_items(ITEMS)
    cli = command("run", "rehearse", "in", "-o", "job", *FLAGS)
    time.sleep(moment)
    killed = processes_of(folder / "job")[:1]
    for worker in killed:
        worker.kill()
    text, _ = cli.communicate(timeout=60)
    check_nothing_is_half(folder / "job", undisturbed)
    # A worker that died before it began an item, or while it merged, costs the run; one with an item, that item.
    assert cli.returncode in (0, 1, 3), text
    assert len(done_items(folder / "job")) >= (0 if cli.returncode == 3 else ITEMS - len(killed))
    finish_and_compare(folder / "job", resume, rehearse, undisturbed)


@pytest.mark.parametrize("moment", moments(2))
def test_kill_of_the_command_line(
    moment: float,
    command: Command,
    make_items: MakeItems,
    resume: Rehearse,
    rehearse: Rehearse,
    undisturbed: dict[str, bytes],
    folder: Path,
    quiet: None,
) -> None:
    make_items(ITEMS)
    cli = command("run", "rehearse", "in", "-o", "job", *FLAGS)
    time.sleep(moment)
    cli.kill()
    cli.communicate(timeout=60)
    wait_for_silence(folder / "job")
    check_nothing_is_half(folder / "job", undisturbed)
    finish_and_compare(folder / "job", resume, rehearse, undisturbed)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("moment", moments(3))
def test_ctrl_c(
    moment: float,
    times: int,
    command: Command,
    make_items: MakeItems,
    resume: Rehearse,
    rehearse: Rehearse,
    undisturbed: dict[str, bytes],
    folder: Path,
    quiet: None,
) -> None:
    make_items(ITEMS)
    cli = command("run", "rehearse", "in", "-o", "job", *FLAGS)
    time.sleep(moment)
    for _ in range(times):
        cli.send_signal(signal.SIGINT)
        time.sleep(0.02)
    text, _ = cli.communicate(timeout=60)
    # Before its own first line runs, Python itself answers.
    assert cli.returncode in (0, 4) or not (folder / "job").exists(), text
    if cli.returncode == 4 and "Stop" in text:
        assert "pypcore resume job" in text
    check_nothing_is_half(folder / "job", undisturbed)
    finish_and_compare(folder / "job", resume, rehearse, undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.2 MB, which holds about half of the products."""
    disk = tmp_path / "job"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"can't mount a small file system here: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("moment", moments(4))
def test_a_full_disk(
    moment: float,
    command: Command,
    make_items: MakeItems,
    resume: Rehearse,
    rehearse: Rehearse,
    undisturbed: dict[str, bytes],
    small_disk: Path,
    quiet: None,
) -> None:
    make_items(ITEMS)
    (small_disk / "ballast").write_bytes(bytes(int(400_000 * moment)))  # full at another moment each time
    refused = command("run", "rehearse", "in", "-o", "job", *FLAGS)
    text, _ = refused.communicate(timeout=60)
    assert refused.returncode == 3
    assert "GB of disk" in text  # told before it is met
    cli = command("run", "rehearse", "in", "-o", "job", "--ignore-disk", *FLAGS)
    text, _ = cli.communicate(timeout=60)
    assert cli.returncode == 3, text
    assert "disk is full" in text
    check_nothing_is_half(small_disk, undisturbed)
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    finish_and_compare(small_disk, resume, rehearse, undisturbed)


def test_cancel_from_elsewhere(
    command: Command,
    make_items: MakeItems,
    resume: Rehearse,
    rehearse: Rehearse,
    undisturbed: dict[str, bytes],
    folder: Path,
    quiet: None,
) -> None:
    make_items(ITEMS)
    cli = command("run", "rehearse", "in", "-o", "job", *FLAGS, "--seconds=1")
    until = time.monotonic() + 30
    while not list(folder.glob("job/records/*-00-1.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.05)
    stopped, _ = command("cancel", "job", "--now").communicate(timeout=60)
    assert "stopped; go on with: pypcore resume job" in stopped
    cli.communicate(timeout=60)
    assert cli.returncode == 4
    assert read_status(Job.open(folder / "job")).phase == "cancelled"
