"""What the numbers were measured on."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("pypcore", "numpy", "scipy", "numba", "imagecodecs", "tifffile")


def describe() -> dict[str, object]:
    """Machine, load and versions."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "relion": relion_version(),
        "commit": _commit(),
    }


def relion_version() -> str | None:
    """Version of the RELION on PATH; None when there is none."""
    program = shutil.which("relion_run_motioncorr")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    words = next((line.split() for line in said.splitlines() if "version" in line.lower()), [])
    return " ".join(words) or "unknown version"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Git's name for the checkout, with ``-dirty`` where files differ; None outside of one."""
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).parent
    done = subprocess.run(
        [git, "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
