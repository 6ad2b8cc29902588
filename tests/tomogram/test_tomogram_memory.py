"""What a tomogram takes is known before it is begun, and holds."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.ctf import TiltCtf
from pypcore.tomogram.reconstruct import Reconstruction
from pypcore.tomogram.settings import TomogramSettings

GB = 10**9


def series(count: int, side: int) -> TiltAlignment:
    return TiltAlignment.of_axis(np.linspace(-60, 60, count), 85.3, None, (side, side), 2.5)


@pytest.mark.parametrize("halves", ["none", "tilts", "frames"])
@pytest.mark.parametrize("ctf", ["none", "phase-flip"])
def test_a_large_series_at_bin_4_fits_4_gb(halves: str, ctf: str) -> None:
    settings = TomogramSettings((512, 1024, 1024), binning=4, halves=halves, ctf=ctf)
    defocus = np.full(61, 30000.0)
    model = TiltCtf(defocus, defocus, 0 * defocus, 0 * defocus)
    work = Reconstruction(series(61, 4096), settings, ctf=model, threads=2, memory=4 * GB)
    assert work.plan.needed <= 4 * GB


def test_sirt_of_a_large_series_fits_4_gb() -> None:
    settings = TomogramSettings((512, 1024, 1024), binning=4, method="sirt")
    assert Reconstruction(series(61, 4096), settings, threads=2, memory=4 * GB).plan.needed <= 4 * GB


def test_more_memory_means_more_at_a_time_and_too_little_the_least() -> None:
    settings = TomogramSettings((512, 1024, 1024), binning=4, halves="tilts")
    plans = [Reconstruction(series(61, 4096), settings, memory=memory).plan for memory in (1, GB, 16 * GB)]
    assert 1 == plans[0].planes < plans[1].planes < plans[2].planes
    assert plans[0].needed < plans[1].needed < plans[2].needed
    sirt = [
        Reconstruction(series(41, 1024), replace(settings, method="sirt"), memory=memory).plan
        for memory in (1, 64 * GB)
    ]
    assert [plan.rows for plan in sirt] == [64, 1024]


@pytest.mark.parametrize("method", ["wbp", "sirt"])
def test_the_plan_is_kept(method: str) -> None:
    """In a process of its own: the most it takes is no more than was planned."""
    script = f"""
import os, numpy as np
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.reconstruct import Reconstruction
from pypcore.tomogram.settings import TomogramSettings
from pypcore.usage import peak_memory
a = TiltAlignment.of_axis(np.linspace(-60, 60, 21), 85.3, None, (1000, 1000), 2.5)
s = TomogramSettings((128, 500, 500), binning=2, method="{method}", iterations=1, halves="tilts")
work = Reconstruction(a, s, threads=2, memory=500 * 2**20)
image = np.random.default_rng(0).random((1000, 1000), np.float32)
class Tilts:
    def __getitem__(self, t): return image
for slab in work.slabs(Tilts()):
    pass
print(work.plan.needed, peak_memory(os.getpid()))  # not ru_maxrss, which holds what started this process
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    needed, used = map(int, said.split())
    assert used <= needed < 3 * used
