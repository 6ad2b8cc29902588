"""Tilt movies in EER: how their raw frames are summed is for the user to say."""

import logging
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.items import Item
from pypcore.operation import Context
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters
from pypcore.operations.tilt_task import begin


def test_tilts_in_eer(tmp_path: Path, write_eer: Callable[..., Path], make_events: Callable[..., tuple]) -> None:
    sections = []
    for number, angle in enumerate((-3, 0, 3)):
        frames = [make_events((64, 64), 300, seed=10 * number + frame) for frame in range(5)]
        write_eer(tmp_path / f"t{number}_EER.eer", frames, (64, 64))
        sections.append(f"[ZValue = {number}]\nTiltAngle = {angle}\nSubFramePath = E:\\x\\t{number}_EER.eer\n")
    path = tmp_path / "ts.mdoc"
    path.write_text("PixelSpacing = 3\n" + "\n".join(sections))
    item = Item(0, "ts", str(path), "ts.mdoc", 1, 1)
    context = Context(
        job=tmp_path / "job",
        job_as_given="job",
        threads=1,
        memory=1 << 30,
        devices=[],
        scratch=tmp_path / "scratch",
        log=logging.getLogger("test"),
        root=tmp_path,
    )
    with pytest.raises(InputError, match=r"t0_EER\.eer: an EER movie of 5 raw frames; say how to sum them"):
        begin(item, AlignTiltsParameters(), context, halves=False, share=1)
    task = begin(item, AlignTiltsParameters(eer_group=2), context, halves=True, share=1)
    assert task.frames == [2, 2, 2]  # the raw frame left over is dropped
    tilts, even, odd = (mrcfile.read(task.products[kind]) for kind in ("tilts", "tilts_even", "tilts_odd"))
    assert tilts.shape == (3, 64, 64)
    assert np.abs(even + odd - tilts).max() < 1e-3
    assert tilts.sum(axis=(1, 2)) == pytest.approx([1200] * 3, rel=0.01)
