"""Where the time of one movie goes: CPU seconds, user and system, of each stage, one thread."""

import functools
import logging
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from bench.cases import MovieCase, make
from pypcore.formats.gain import load_gain
from pypcore.formats.movies import open_movie
from pypcore.kernels import fft
from pypcore.motion import MotionSettings, coarse, correct, correct_movie, estimate, on_cpu, patches, summing

# What is measured: where it is called from, its name there, and what it is called here; indented ones are parts.
STAGES: tuple[tuple[Any, str, str], ...] = (
    (correct, "Frames", "frames: decode, sum, hot pixels"),
    (on_cpu, "shrink", "small copy"),
    (correct, "estimate", "motion"),
    (coarse, "align", "  whole frame, coarse"),
    (patches.Patches, "measure", "  patches: cut, transform, first round"),
    (patches.Patches, "evaluate", "  patches: further rounds"),
    (estimate, "choose", "  strengths of the prior"),
    (summing.Warp, "add", "sum along the motion"),
    (summing.Combine, "spectrum", "transforms of the sums"),
    (summing.Combine, "add", "weights"),
    (summing.Combine, "image", "transform back"),
)


@dataclass
class Stage:
    """One stage of one movie; seconds."""

    name: str
    user: float = 0.0
    system: float = 0.0
    calls: int = 0


def measure(case: MovieCase, library: str, data: Path) -> list[Stage]:
    """Correct the first movie of ``case`` in this process, transforms by ``library``, and time what is called."""
    made = make(case, case.seeds[0], data, 1)
    exposure = made.truth.exposure
    settings = MotionSettings(pixel_size=exposure.pixel_size, dose=exposure.dose, voltage=exposure.voltage)
    stages = [Stage(name) for _, _, name in STAGES]
    whole = Stage(f"correct_movie, transforms by {library}")
    with open_movie(made.movie) as movie, fft.library(library):
        gain = load_gain(made.gain, movie.shape[1:])
        patched = [
            patch.object(owner, attribute, _timing(getattr(owner, attribute), stage))
            for (owner, attribute, _), stage in zip(STAGES, stages, strict=True)
        ]
        for one in patched:
            one.start()
        try:
            _timing(correct_movie, whole)(movie, settings, gain=gain, log=logging.getLogger("bench"))
        finally:
            for one in patched:
                one.stop()
    return [whole, *stages]


def _timing(function: Callable[..., Any], stage: Stage) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        before = resource.getrusage(resource.RUSAGE_SELF)
        try:
            return function(*args, **kwargs)
        finally:
            after = resource.getrusage(resource.RUSAGE_SELF)
            stage.user += after.ru_utime - before.ru_utime
            stage.system += after.ru_stime - before.ru_stime
            stage.calls += 1

    return timed


def report(case: MovieCase, stages: list[Stage], out: Console) -> None:
    """Print the profile."""
    table = Table(title=f"where the time goes: {case.name} {case.size}, 1 thread", title_justify="left")
    for heading in ("stage", "user s", "system s", "calls"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in stages:
        table.add_row(stage.name, f"{stage.user:.2f}", f"{stage.system:.2f}", str(stage.calls))
    out.print(table)
