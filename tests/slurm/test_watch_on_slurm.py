"""Watching with SLURM: what arrives goes in batches, each a run of the job."""

import threading
import time
from pathlib import Path

import pytest
from slurm_job import SlurmJob

from pypcore import records
from pypcore.local import Consent
from pypcore.options import prepare
from pypcore.slurm.client import Client
from pypcore.slurm.submission import Site
from pypcore.slurm.submit import Order
from pypcore.status import read_status
from pypcore.watching import batches
from pypcore.watching.intake import WatchOptions

pytestmark = pytest.mark.slurm


def test_what_arrives_goes_in_batches_and_is_done_once(job: SlurmJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ASK_S", 0.5)
    raw = job.folder / "raw"
    raw.mkdir()

    def write(folder: Path) -> None:
        for number in range(12):
            (folder / f"m_{number:02d}.dat").write_text("x")
            time.sleep(0.5 if number == 5 else 0.02)

    writer = threading.Thread(target=write, args=(raw,))
    writer.start()
    request = prepare("rehearse", ["raw"], "job", {"memory": "0.25", "product": 20, "bundle_size": 2}).request
    order = Order(launch_here=True, site=Site(), consent=Consent(), discover=False)
    options = WatchOptions(every=0.2, batch=6, batch_wait=2.0, until_idle=3.0)
    outcome = batches.watch_on_slurm(job.job, request, order, options, Client())
    writer.join()
    status = read_status(job.job)
    assert (outcome.exit_code, status.phase, status.counts[records.DONE]) == (0, "done", 12)
    assert {state.attempts for state in status.states} == {1}
    assert status.run is not None
    assert status.run.number >= 2
    assert len((job.folder / "job/rehearsed.txt").read_text().split()) == 12
    assert not (job.folder / "job/watch.pid").exists()


def test_a_threshold_on_an_unknown_figure_is_said_by_status(job: SlurmJob) -> None:
    job.make_items(2)
    job.submit("--reject=held_mb > 1")
    status = job.wait_for_end()
    assert status.counts[records.DONE] == 2
    assert status.run is not None
    assert "did you mean 'held_mib'" in status.run.message
    # With the right name nothing but Merge is left to do.
    job.resume("--reject=held_mib < 1")
    status = job.wait_for_end()
    assert (status.phase, len(status.aside)) == ("done", 2)
