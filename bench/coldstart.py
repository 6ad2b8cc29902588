"""How long a fresh process takes to get going: help, and the first kernel call with warm caches."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.process import Took, run
from bench.programs import PYPCORE

FIRST_CALL = (
    "import numpy as np\n"
    "from pypcore.motion import MotionSettings, correct_movie\n"
    "class Movie:\n"
    "    shape, dtype = (4, 256, 256), np.dtype(np.uint8)\n"
    "    def read(self, i): return np.random.default_rng(i).poisson(3, (256, 256)).astype(np.uint8)\n"
    "settings = MotionSettings(pixel_size=1.0, dose=1.0)\n"
    "correct_movie(Movie(), settings, threads=1, memory=1 << 30)\n"
)


@dataclass(frozen=True)
class ColdStart:
    """The median of several runs of each, caches warm."""

    help: Took
    version: Took
    kernels: Took
    first_correction: Took


def measure(data: Path, *, repeats: int = 5) -> ColdStart:
    """Start fresh processes, one after another."""
    with tempfile.TemporaryDirectory(prefix="cold-", dir=data) as name:
        folder = Path(name)

        def median(*command: str) -> Took:
            run(command, threads=1, folder=folder)  # warms the caches
            taken = sorted((run(command, threads=1, folder=folder) for _ in range(repeats)), key=lambda took: took.cpu)
            return next((took for took in taken if took.failed), taken[repeats // 2])

        return ColdStart(
            help=median(*PYPCORE, "--help"),
            version=median(*PYPCORE, "version"),
            kernels=median(sys.executable, "-c", "import pypcore.motion.correct"),
            first_correction=median(sys.executable, "-c", FIRST_CALL),
        )


def report(cold: ColdStart, out: Console) -> None:
    """Print it."""
    for what, took in (
        ("pypcore --help", cold.help),
        ("pypcore version", cold.version),
        ("import of motion correction, kernels from the cache", cold.kernels),
        ("the same, and a tiny movie corrected", cold.first_correction),
    ):
        said = took.failed and f"FAILED: {took.failed}"
        out.print(f"cold start: {what}: {said or f'{took.cpu:.2f} CPU s, {took.wall:.2f} s wall'}")
