"""What all fakes share: how they are told to fail, what they write down, images without NumPy.

``FAKE_MODE`` is ``ok`` or one of the real ways to fail: ``silent`` (exit 0, nothing written), ``half`` (files cut
off), ``nan``, ``segv``, ``oom`` (of the GPU), ``nomem`` (of the host), ``fallback`` (to the CPU, with the program's own
words), ``hang`` (with a child), ``slow``. ``FAKE_CALLS`` is a file that gets a line of JSON a call.
"""

import array
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

MODE = os.environ.get("FAKE_MODE", "ok")
CAPS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def strict(message: str) -> None:
    """Refuse what the real program would misread."""
    print(f"STRICT: {message}", file=sys.stderr)
    sys.exit(99)


def begin(name: str, arguments: list[str], fallback: str = "", settings: object = None) -> None:
    """Write the call down; fail at once in the ways that need nothing of the program."""
    calls = os.environ.get("FAKE_CALLS")
    if calls:
        row = {
            "program": name,
            "arguments": arguments,
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "stdin": os.readlink("/proc/self/fd/0"),
            "folder": os.getcwd(),
            "threads": [os.environ.get(cap) for cap in CAPS],
            "proxy": os.environ.get("https_proxy"),
            "pythonpath": os.environ.get("PYTHONPATH"),
            "settings": settings,
        }
        with open(calls, "a") as file:
            file.write(json.dumps(row) + "\n")
    if MODE == "segv":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    if MODE == "oom":
        print("RuntimeError: CUDA out of memory. Tried to allocate 20.00 GiB", file=sys.stderr)
        sys.exit(1)
    if MODE == "nomem":
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "hang":
        subprocess.Popen(["sleep", "600"])
        time.sleep(600)
    if MODE == "slow":
        time.sleep(1)
    if MODE == "fallback" and fallback:
        print(fallback, file=sys.stderr)


def writes() -> bool:
    """Say whether outputs are to be written at all."""
    return MODE != "silent"


def image(path: str | Path, shape: tuple[int, int, int], pixel_size: float = 1.0, mode: int = 2) -> None:
    """Write an MRC file whose pixels count up; cut off or with a NaN when told so."""
    if not writes():
        return
    sections, rows, columns = shape
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, columns, rows, sections, mode, 0, 0, 0, columns, rows, sections)
    struct.pack_into("<6f", header, 40, columns * pixel_size, rows * pixel_size, sections * pixel_size, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:212] = b"MAP "
    header[212:214] = b"\x44\x44"
    if mode == 2:
        pixels = array.array("f", (float(i % 97) for i in range(sections * rows * columns)))
        if MODE == "nan":
            pixels[len(pixels) // 2] = float("nan")
        data = pixels.tobytes()
    else:
        data = bytes(i % 2 for i in range(sections * rows * columns))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(header + (data[: len(data) // 2] if MODE == "half" else data))


def text(path: str | Path, content: str) -> None:
    """Write a text; cut off or with a NaN for its last number when told so."""
    if not writes():
        return
    if MODE == "half":
        content = content[: len(content) // 2 + 3]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


def binary(path: str | Path, content: bytes) -> None:
    """Write bytes; half of them when told so."""
    if writes():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content[: len(content) // 2] if MODE == "half" else content)


def shape_of(path: str | Path) -> tuple[int, int, int]:
    """Return (sections, rows, columns) of an MRC file."""
    with open(path, "rb") as file:
        columns, rows, sections = struct.unpack("<3i", file.read(12))
    return sections, rows, columns


def number(value: float) -> float:
    """Return a number for a table; NaN when told so."""
    return float("nan") if MODE == "nan" else value
