"""One slot of the local pool: its worker process, what it reports, and the limits it is held to."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypcore import records
from pypcore.errors import SetupError
from pypcore.items import Item
from pypcore.machine import Slot
from pypcore.records import Record, end_record
from pypcore.resources import describe_walltime, format_memory
from pypcore.usage import library_settings, peak_memory, peak_memory_of_children

if TYPE_CHECKING:
    from pypcore.pool import Pool

TICK_S = 0.1  # how often limits are looked at while nothing is reported
CHILDREN_S = 1.0  # how often the children of a worker are weighed
LEAVE_S = 30.0


@dataclass
class _Process:
    """A worker process: its handle, the pipe it reports on, and what was read of the next line."""

    popen: "subprocess.Popen[bytes]"
    pipe: int
    log: Path
    rest: bytes = b""
    told_to_finish: bool = False
    events: deque[dict[str, Any]] = field(default_factory=deque)


@dataclass
class InHand:
    """The item in hand."""

    begun: Record
    since: float = field(default_factory=time.monotonic)
    peak: int = 0


class Seat:
    """One slot and its worker, driven by one thread."""

    def __init__(self, pool: "Pool", slot: Slot) -> None:
        self.pool = pool
        self.slot = slot
        self.process: _Process | None = None
        self.started = 0
        self.children_seen = 0.0

    def do_bundles(self, next_bundle: Callable[[], list[Item] | None]) -> None:
        """Do bundle after bundle until there are none."""
        try:
            while (bundle := next_bundle()) is not None:
                self._do_bundle(bundle, time.monotonic() + self.pool.limits.walltime)
        finally:
            self._dismiss()

    def _do_bundle(self, bundle: list[Item], deadline: float) -> None:
        waiting = deque(bundle)
        while waiting and not self.pool.finish.is_set():
            self._do_some(waiting, deadline)

    def do_merge(self, of: str) -> Record | None:
        """Run Merge in a worker, under Merge's limits."""
        deadline = time.monotonic() + self.pool.limits.walltime
        verdict: tuple[str, str] | None = None
        self._send({"do": "merge", "of": of})
        try:
            for event in self._events():
                if event is None:
                    verdict = verdict or self._merge_verdict(deadline)
                    if verdict:
                        self._kill()
                elif event["event"] == "merge":
                    return event
                elif event["event"] == "disk-full":
                    raise disk_full(event)
            death = self._death()
            if self.pool.now.is_set():
                return None
            outcome, message = verdict or (records.LOST, death)
            record = {
                "event": "merge",
                "time": round(time.time(), 3),
                "outcome": outcome,
                "message": message,
                "of": of,
            }
            self.pool.recorder.append(record)
            return record
        finally:
            self._dismiss()

    def _do_some(self, waiting: deque[Item], deadline: float) -> None:
        """Send what waits to the worker; take off what was begun. Returns at the bundle's end or the worker's."""
        items = {item.index: item for item in waiting}
        self._send({"do": "bundle", "items": [asdict(item) for item in waiting]})
        hand: InHand | None = None
        begun_any = False
        verdict: tuple[str, str] | None = None
        for event in self._events():
            if event is None:
                verdict = verdict or self._verdict(hand, deadline)
                if verdict:
                    self._kill()
                    if verdict[0] == records.TIMEOUT and time.monotonic() > deadline:
                        waiting.clear()
                elif self.pool.finish.is_set():
                    self._ask_to_finish()
                continue
            match event["event"]:
                case "begin":
                    waiting.popleft()
                    begun_any = True
                    hand = InHand(event)
                    self.pool.listener.began(event)
                case "progress":
                    self.pool.listener.progressed(event["item"], event["share"])
                case "device":
                    self.pool.listener.computing(event["device"])
                case "end":
                    if hand is None:  # left out: it was not begun
                        waiting.popleft()
                    hand = None
                    self.pool.listener.ended(event)
                case "bundle-end":
                    return
                case "disk-full":
                    self.pool.fail(disk_full(event))
        # The worker is gone: by a limit, by a stop, or by itself.
        death = self._death()
        if hand is not None and self.pool.error is None:
            outcome, message = verdict or (records.LOST, death)
            record = self._record_end(items[hand.begun["item"]], hand, outcome, message)
            self.pool.listener.ended(record)
        elif not begun_any and verdict is None and self.pool.error is None:
            raise SetupError(f"{death}; before it began an item")

    def _record_end(self, item: Item, hand: InHand, outcome: str, message: str) -> Record:
        record = end_record(
            item,
            self.pool.digest,
            outcome,
            message,
            wall_s=round(time.monotonic() - hand.since, 3),
            peak_mib=round(hand.peak / 2**20, 1),
            threads=len(self.slot.cores),
            of=self._attempt(),
        )
        self.pool.recorder.append(record)
        return record

    # -- limits

    def _verdict(self, hand: InHand | None, deadline: float) -> tuple[str, str] | None:
        """Say why the worker has to be ended now, as outcome and message; None when it may go on."""
        limits, now = self.pool.limits, time.monotonic()
        if self.pool.now.is_set():
            return records.CANCELLED, "stopped by the user"
        if now > deadline:
            return records.TIMEOUT, (
                f"its bundle went over the walltime of {describe_walltime(limits.walltime)}; "
                "give a longer --walltime or a smaller --bundle-size"
            )
        if hand and limits.item_timeout and now - hand.since > limits.item_timeout:
            return records.TIMEOUT, f"went over --item-timeout of {describe_walltime(limits.item_timeout)}"
        if hand and hand.begun["item"] in self.pool.job.cancelled_items():
            return records.CANCELLED, "cancelled by the user"
        over = self._over_memory(hand)
        return (records.MEMORY, over) if over else None

    def _merge_verdict(self, deadline: float) -> tuple[str, str] | None:
        if self.pool.now.is_set():
            return records.CANCELLED, "stopped by the user"
        if time.monotonic() > deadline:
            allowed = describe_walltime(self.pool.limits.walltime)
            return records.TIMEOUT, f"went over its walltime of {allowed}; give a longer --merge-walltime"
        over = self._over_memory(None).replace("--memory", "--merge-memory")
        return (records.MEMORY, over) if over else None

    def _over_memory(self, hand: InHand | None) -> str:
        if self.process is None:
            return ""
        used = peak_memory(self.process.popen.pid)
        if time.monotonic() - self.children_seen > CHILDREN_S:
            self.children_seen = time.monotonic()
            used += peak_memory_of_children(self.process.popen.pid)
        if hand:
            hand.peak = max(hand.peak, used)
        if used <= self.slot.memory:
            return ""
        return (
            f"used {used / 2**30:.2f} GB of the {self.slot.memory / 2**30:.2f} GB a task may use "
            f"({len(self.slot.cores)} threads x {format_memory(self.slot.memory // 2**20 // len(self.slot.cores))}); "
            "give more --memory (GB per thread)"
        )

    # -- the process

    def _attempt(self) -> str:
        return f"{self.pool.run.number:04d}-{self.slot.index:02d}-{self.started}"

    def _send(self, command: dict[str, Any]) -> None:
        if self.process is None:
            self.process = self._start()
        stdin = self.process.popen.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile; the end of its reports says so
            stdin.write((json.dumps(command) + "\n").encode())
            stdin.flush()

    def _start(self) -> _Process:
        self.started += 1
        log = self.pool.job.logs / f"{self._attempt()}.log"
        mine, theirs = os.pipe()
        threads = len(self.slot.cores)
        command = [
            *(sys.executable, "-P", "-m", "pypcore.worker", str(self.pool.job.folder)),
            *("--attempt", self._attempt(), "--reports", str(theirs)),
            *(
                "--threads",
                str(threads),
                "--memory",
                str(self.slot.memory),
                "--devices",
                str(len(self.slot.gpus)),
            ),
            *("--cores", ",".join(map(str, self.slot.cores))),
        ]
        with log.open("ab") as out:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                pass_fds=[theirs],
                start_new_session=True,
                env={
                    **os.environ,
                    **library_settings(threads),
                    "CUDA_VISIBLE_DEVICES": ",".join(gpu.handle for gpu in self.slot.gpus),
                    "PYTHONUNBUFFERED": "1",
                },
            )
        os.close(theirs)
        return _Process(popen, mine, log)

    def _events(self) -> Iterator[dict[str, Any] | None]:
        """Yield what the worker reports, None at every tick, and stop when the worker is gone."""
        process = self.process
        assert process is not None
        ticked = time.monotonic()
        while True:
            while process.events:
                yield process.events.popleft()
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                yield None
            if not select.select([process.pipe], [], [], TICK_S)[0]:
                continue
            data = os.read(process.pipe, 1 << 16)
            if not data:
                return
            *lines, process.rest = (process.rest + data).split(b"\n")
            process.events.extend(json.loads(line) for line in lines)

    def _ask_to_finish(self) -> None:
        if self.process and not self.process.told_to_finish:
            self.process.told_to_finish = True
            self._send({"do": "finish"})

    def _kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.killpg(self.process.popen.pid, signal.SIGKILL)

    def _death(self) -> str:
        """Bury a worker that is gone; say how it ended, with the last line of its log."""
        process, self.process = self.process, None
        assert process is not None
        code = process.popen.wait()
        _forget(process)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        if code == -signal.SIGKILL:
            how += " (by somebody, or by the system for want of memory)"
        lines = process.log.read_text(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()[:200]}" if lines and code > 0 else ""
        return f"its worker {how}{said}; log: {process.log}"

    def _dismiss(self) -> None:
        """Let the worker leave; kill it when it takes too long."""
        process = self.process
        if process is None:
            return
        self._send({"do": "leave"})
        try:
            process.popen.wait(timeout=LEAVE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            process.popen.wait()
        _forget(process)
        self.process = None


def _forget(process: _Process) -> None:
    os.close(process.pipe)
    assert process.popen.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # a command that its worker never read
        process.popen.stdin.close()


def disk_full(event: dict[str, Any]) -> SetupError:
    """Return the error for a full disk that a worker met."""
    return SetupError(f"the disk is full ({event['message']}); what is done is kept: free some space, then resume")
