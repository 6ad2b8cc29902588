"""How it stands with what jobs need of this machine, and what to do about what is wanting: for ``pypcore doctor``."""

import os
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

GREEN, AMBER, RED = "green", "amber", "red"
LITTLE_DISK = 10e9  # bytes
FEW_FILES = 1024  # open files that a process may have: a pool of many slots has pipes and logs for each
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "bcachefs"}


@dataclass(frozen=True)
class Finding:
    """One line: how it stands with something, and what to do about it where there is something to do."""

    level: str
    what: str
    found: str
    do: str = ""


def look_here(folder: Path) -> Iterator[Finding]:
    """Look at the disk of ``folder``, limits of the system, the cache of kernels, and transforms."""
    yield _disk(folder)
    yield _open_files()
    yield _cache()
    yield _transforms()


def _disk(folder: Path) -> Finding:
    kind = file_system(folder)
    free = shutil.disk_usage(folder).free
    remote = "" if kind in _LOCAL or not kind else ", over a network"
    found = f"{free / 1e9:.0f} GB free in {folder} ({kind or 'unknown'}{remote})"
    if not os.access(folder, os.W_OK):
        return Finding(RED, "disk", f"{folder} can't be written to", "start in a folder of yours, or give -o elsewhere")
    if free < LITTLE_DISK:
        return Finding(
            AMBER, "disk", found, "free some space, pypcore clean JOB shows what jobs hold; or give -o elsewhere"
        )
    return Finding(GREEN, "disk", found)


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on, such as ext4, nfs4 or lustre; empty where not known."""
    best = ("", "")
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    path = f"{folder.resolve()}/"
    for line in lines:
        _, mount, kind, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        if path.startswith(mount.rstrip("/") + "/") and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FEW_FILES:
        return Finding(AMBER, "open files", f"{soft} at most for a process (ulimit -n)", f"ulimit -n {min(hard, 4096)}")
    return Finding(GREEN, "open files", f"{soft} at most for a process")


def _cache() -> Finding:
    named = os.environ.get("PYPCORE_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(named).expanduser()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding(
            AMBER,
            "compiled kernels",
            f"can't be kept in {named}: each worker compiles them again, half a minute of work",
            "set PYPCORE_CACHE_DIR to a folder that you, and the nodes, can write to",
        )
    return Finding(GREEN, "compiled kernels", f"kept below {named}")


def _transforms() -> Finding:
    if find_spec("mkl_fft"):
        return Finding(GREEN, "Fourier transforms", "Intel's MKL (mkl-fft)")
    return Finding(
        GREEN, "Fourier transforms", "SciPy's; pip install 'pypcore[mkl]' brings MKL's, quicker on Intel and AMD"
    )
