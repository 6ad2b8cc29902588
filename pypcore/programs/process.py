"""One run of a program: its words, its surroundings, what it says, and its end.

The child is one of the worker's own process group, so that whoever ends the worker's group ends it too, and the worker
adopts orphans: what the program started is found and ended with it. Its standard input is closed: a program that asks
questions would wait for ever.
"""

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pypcore.errors import PypcoreError, SetupError
from pypcore.usage import THREAD_SETTINGS

PATIENCE_S = 5.0  # between asking a program to end and ending it
LOOK_S = 0.2
KEPT_LINES = 40
LONGEST_LINE = 4096
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h

MORE_THREAD_SETTINGS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TORCH_NUM_THREADS",
)
OFFLINE = {  # nothing is downloaded at run time: what tries fails at once, where it would hang on a node
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "PIP_NO_INDEX": "1",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "no_proxy": "localhost,127.0.0.1",
}
QUIET = {"MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "TQDM_MININTERVAL": "1"}


class ProgramError(PypcoreError):
    """A program failed; the message says which, how, and what it said."""


@dataclass(frozen=True)
class Listening:
    """What is looked for in a program's output, line by line, and who hears of progress (0 to 1)."""

    fatal: Sequence[str] = ()
    fallback: Sequence[str] = ()
    progress: str = ""
    tell: Callable[[float], None] = lambda share: None


@dataclass
class Ended:
    """How a program ended: its exit code (negative: a signal), the last lines, and what was found in its output."""

    code: int
    seconds: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    fatal: str = ""
    fallback: str = ""

    @property
    def last_words(self) -> str:
        """Return the last line that says something."""
        said = [line for line in self.lines if re.search(r"[A-Za-z]{3}", line)]
        return said[-1][:300] if said else ""


def surroundings(environment: Mapping[str, str], threads: int, devices: Sequence[str], scratch: Path) -> dict[str, str]:
    """Return the environment of a program: its threads, its GPUs, no network, nothing interactive."""
    caps = dict.fromkeys((*THREAD_SETTINGS, *MORE_THREAD_SETTINGS), str(threads))
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # as nvidia-smi counts them
    # A socket's path has 107 bytes at most, and Python's workers put theirs into TMPDIR.
    temporary = {"TMPDIR": str(scratch)} if len(os.fsencode(scratch)) < 60 else {}
    return {**environment, **OFFLINE, **QUIET, **caps, **gpus, **temporary}


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    listening: Listening,
    answers: Path | None = None,
) -> Ended:
    """Run a command in ``folder`` until it ends; what it says goes to our standard error, which is the item's log.

    Whatever stops us meanwhile (a time limit, a cancel) ends it, and all that it started. ``answers`` is a file for
    a program that asks; after its end, as without it, there is nothing to read.
    """
    _adopt_orphans()
    ours = {child.pid for child in _below()}
    began = time.monotonic()
    try:
        with Path(answers or os.devnull).open("rb") as stdin:
            child = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(environment),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
    except OSError as error:
        raise SetupError(f"{command[0]}: could not be started: {error.strerror}") from error
    ended = Ended(0, 0.0)
    try:
        _listen(child, ended, listening)
        ended.code = child.wait()
    finally:
        _end(ours)
        if child.stdout:
            child.stdout.close()
        child.poll()
    ended.seconds = time.monotonic() - began
    return ended


def _listen(child: "subprocess.Popen[bytes]", ended: Ended, listening: Listening) -> None:
    """Read what the child says until it ends; a grandchild that keeps the pipe open is not waited for."""
    assert child.stdout is not None
    pipe, rest = child.stdout.fileno(), b""
    patterns = [
        re.compile("|".join(f"(?:{one})" for one in some)) for some in (listening.fatal, listening.fallback) if some
    ]
    progress = re.compile(listening.progress) if listening.progress else None
    names = [name for name in ("fatal", "fallback") if getattr(listening, name)]
    gone = False
    while True:
        ready = select.select([pipe], [], [], 0 if gone else LOOK_S)[0]
        data = os.read(pipe, 1 << 16) if ready else b""
        if ready and not data:
            break
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()
        *lines, rest = re.split(rb"[\r\n]+", rest + data)
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            _heed(
                line.decode(errors="replace").strip(),
                ended,
                dict(zip(names, patterns, strict=True)),
                progress,
                listening,
            )
        if not ready:
            if gone:
                break
            gone = child.poll() is not None
    _heed(rest.decode(errors="replace").strip(), ended, dict(zip(names, patterns, strict=True)), progress, listening)


def _heed(
    line: str,
    ended: Ended,
    patterns: Mapping[str, "re.Pattern[str]"],
    progress: "re.Pattern[str] | None",
    listening: Listening,
) -> None:
    if not line:
        return
    ended.lines.append(line)
    for name, pattern in patterns.items():
        if not getattr(ended, name) and pattern.search(line):
            setattr(ended, name, line[:300])
    if progress and (found := progress.search(line)):
        groups = found.groupdict()
        if groups.get("percent"):
            listening.tell(min(1.0, float(groups["percent"]) / 100))
        elif groups.get("total") and float(groups["total"]):
            listening.tell(min(1.0, float(groups["done"]) / float(groups["total"])))


def _adopt_orphans() -> None:
    """Become the parent of what a child leaves behind, so that it can be found."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _end(ours: set[int]) -> None:
    """End every process below this one that was not there before: ask, wait, then insist."""
    for send in (signal.SIGTERM, signal.SIGKILL):
        left = [child for child in _below() if child.pid not in ours]
        for child in left:
            with contextlib.suppress(psutil.Error):  # it was faster
                child.send_signal(send)
        with contextlib.suppress(psutil.Error):
            psutil.wait_procs(left, timeout=PATIENCE_S)
        if not left:
            return


def _below() -> list[psutil.Process]:
    """List the processes below this one; asked again where one ended while they were being counted."""
    for _ in range(3):
        with contextlib.suppress(psutil.Error):
            return psutil.Process().children(recursive=True)
    return []
