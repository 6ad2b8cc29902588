"""Some items are left out of a run that goes on."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pypcore.job import Job
from pypcore.local import Outcome
from pypcore.status import read_status

Command = Callable[..., "subprocess.Popen[str]"]


def outcomes(folder: Path) -> dict[str, str]:
    known = read_status(Job.open(folder / "job"))
    return {item.name: state.outcome for item, state in zip(known.items, known.states, strict=True)}


def test_an_item_in_hand_and_one_that_waits_are_left_out_and_the_others_go_on(
    command: Command, make_items: Callable[[int], list[Path]], resume: Callable[..., Outcome], folder: Path
) -> None:
    make_items(4)
    cli = command("run", "rehearse", "in", "-o", "job", "--seconds=2.5", "--total-threads=1")
    until = time.monotonic() + 30
    while not (folder / "job/job.toml").exists() or outcomes(folder)["m_001"] != "running":
        assert time.monotonic() < until
        time.sleep(0.1)
    told, _ = command("cancel", "job", "m_001", "m_003").communicate(timeout=30)
    assert "asked to leave out m_001, m_003" in told
    text, _ = cli.communicate(timeout=60)
    assert cli.returncode == 1, text
    assert outcomes(folder) == {"m_001": "cancelled", "m_002": "done", "m_003": "cancelled", "m_004": "done"}
    assert resume().counts["done"] == 4
