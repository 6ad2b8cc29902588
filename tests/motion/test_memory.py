"""What a movie takes is known beforehand: the plan against a process that is measured."""

import os
import subprocess
import sys

import pytest

from pypcore.motion.memory import Work, plan_memory

MEASURED = """
import re, sys
from pathlib import Path
import numpy as np
from pypcore.cli.main import main
from pypcore.kernels import fft
from pypcore.motion import MotionSettings, correct, correct_movie

class Movie:
    path, dtype = "made", np.dtype(np.uint8)
    def __init__(self, *shape):
        self.shape = shape
    def read(self, index):
        return np.random.default_rng(0).integers(0, 4, self.shape[1:], np.uint8)

threads = int(sys.argv[4])
movie = Movie(*map(int, sys.argv[1:4]))
plans = []
plan = correct.plan_memory
correct.plan_memory = lambda *given: plans.append(plan(*given)) or plans[0]
gain = np.ones(movie.shape[1:], np.float32)
gain[5, 5] = 0
more = {"even_odd": True, "save_unweighted": True} if sys.argv[5] == "all" else {}
correct_movie(movie, MotionSettings(pixel_size=1.0, dose=1.0, **more), gain=gain, threads=threads, memory=2**40)
# Not ru_maxrss: that lives on through exec, so it would hold whatever the process was that started this one.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(plans[0].needed / 2**20, int(peak[1]) / 1024)
"""


@pytest.mark.parametrize(
    ("shape", "threads", "images"),
    [((16, 1900, 2100), 1, "one"), ((3, 1900, 2100), 2, "one"), ((4, 1900, 2100), 1, "all")],
)
def test_the_plan_is_no_less_than_what_is_measured_and_little_more(shape, threads, images):
    command = [sys.executable, "-c", MEASURED, *map(str, shape), str(threads), images]
    # With huge pages what is resident depends on how busy the kernel is.
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    planned, measured = map(float, said.split())
    # What is planned for the process itself has MKL and the drawing of pictures in it, which are not loaded here.
    assert measured < planned < measured + 100


def work(**changes):
    k2 = {"shape": (40, 3710, 3838), "dtype": "u1", "step": 4, "group": 1, "numbers": (13, 13)}
    return Work(**{**k2, "sums": 5, "images": 1, "threads": 1, **changes})


def test_less_memory_means_fewer_sums_at_a_time_and_then_frames_read_again():
    plans = [plan_memory(work(), round(gb * 2**30)) for gb in (4, 0.9, 0.72)]
    assert plans[0].keep
    assert plans[0].sums == 5
    assert not plans[1].keep
    assert [plan.needed <= gb * 2**30 for plan, gb in zip(plans, (4, 0.9, 0.72), strict=True)][:2] == [True, True]
    assert plans[2].ahead <= plans[1].ahead


def test_the_movies_people_have_fit_what_was_promised():
    for threads in (1, 2):
        assert plan_memory(work(threads=threads), 4 * 2**30).needed < 1.3e9
        k3 = work(shape=(40, 4092, 5760), step=5, numbers=(15, 11), threads=threads)
        assert plan_memory(k3, 4 * 2**30).needed < 2.2e9
