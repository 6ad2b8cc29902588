"""The worker: does bundles of items, one item after another, and records what came of each.

The same program runs on a laptop and on a node. The local pool starts it as ``python -m pypcore.worker JOB …``
and speaks with it in lines of JSON: commands on its standard input, reports on a pipe of its own. Whatever is
printed, by us or by a library, goes to the attempt's log.

It ends at once, with its children, when its standard input closes: whoever started it is gone, and nobody would
keep its limits any more.
"""

import argparse
import contextlib
import errno
import gc
import json
import logging
import os
import queue
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pypcore import records
from pypcore.compute import CPU, Compute, decide
from pypcore.errors import InputError, PypcoreError
from pypcore.items import Item
from pypcore.job import Job
from pypcore.operation import Context, Done, Result, accumulates, get_operation
from pypcore.operations.on_device import OnDevice
from pypcore.records import Record, Recorder, begin_record, end_record
from pypcore.request import Request
from pypcore.resources import describe_walltime
from pypcore.usage import Clock

if TYPE_CHECKING:
    from pypcore.accumulate import Accumulator

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
PROGRESS_S = 0.5

Report = Callable[[dict[str, Any]], None]


class Worker:
    """Does items of one job under one attempt, with ``threads`` CPUs and ``memory`` bytes a task.

    ``report`` hears what happens as it happens; what counts is the record on disk.
    """

    def __init__(
        self,
        job: Job,
        attempt: str,
        threads: int,
        memory: int,
        devices: list[int],
        report: Report = lambda event: None,
    ) -> None:
        self.job = job
        self.attempt = attempt
        self.threads = threads
        self.memory = memory
        self.devices = devices
        self.report = report
        self.request: Request = job.request()
        self.digest = self.request.digest()
        self.operation = get_operation(self.request.operation)
        self.params = self.operation.Parameters(**self.request.parameters)
        self.recorder = Recorder(job.records / f"{attempt}.jsonl")
        self.scratch = job.folder / "scratch" / attempt
        self.log = logging.getLogger("pypcore.item")
        self.log_file = _log_file(job)
        self.recorder.append(
            {"event": "attempt", "time": round(time.time(), 3), "host": node_name(), "log": self.log_file}
        )
        self.in_hand: Item | None = None
        self.item_timeout = 0  # seconds; only where no pool watches, and in the main thread
        self.accumulator: Accumulator | None = None
        self.chosen: Compute | None = None

    def close(self) -> None:
        """Make the records durable, remove the scratch folder."""
        self.recorder.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        with contextlib.suppress(OSError):  # another worker's scratch is still in it, or nobody made it
            self.scratch.parent.rmdir()

    def do_bundle(self, items: Iterable[Item], stop: Callable[[], bool] = lambda: False) -> None:
        """Do the items one after another; begin no further one once ``stop()`` is true."""
        if accumulates(self.operation):
            from pypcore.accumulate import Accumulator  # late: few operations do

            self.accumulator = self.accumulator or Accumulator(self, self.operation)
            self.accumulator.do_bundle(list(items), stop)
            return
        for item in items:
            if stop():
                return
            if item.index in self.job.cancelled_items():
                self.record(end_record(item, self.digest, records.CANCELLED, "left out by the user"))
            else:
                self.do_item(item)

    def do_item(self, item: Item) -> Record:
        """Do one item and record it. Only a full disk is raised: no other item could be recorded either."""
        record = self.attempt_item(item, lambda: self.operation.process(item, self.params, self.context(item)))
        self.record(record)
        self.in_hand = None
        return record

    def attempt_item(self, item: Item, work: Callable[[], Result]) -> Record:
        """Begin an item, and do ``work`` of it; return the record of how that ended, which is still to be written."""
        self.in_hand = item
        self.record(begin_record(item, self.digest))
        log_from = _log_position()
        clock = Clock()
        result, outcome, message = Result(), records.DONE, ""
        try:
            with _alarm(self.item_timeout):
                result = work()
        except ItemTimeout as error:
            outcome, message = records.TIMEOUT, _one_line(error)
        except ItemCancelled:
            outcome, message = records.CANCELLED, "cancelled by the user"
        except InputError as error:
            outcome, message = records.FAILED, _one_line(error)
        except MemoryError as error:
            outcome, message = records.MEMORY, f"out of memory: {_one_line(error)}"
        except PypcoreError as error:  # not the item's fault: a program that failed, a machine that lacks something
            outcome, message = records.ERROR, _one_line(error)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            outcome, message = self._unforeseen(error)
        except Exception as error:
            outcome, message = self._unforeseen(error)
        if message:
            self.log.error("%s: %s", item.name, message)
        return end_record(
            item,
            self.digest,
            outcome,
            message,
            products=self._relative(result.products),
            figures=_rounded(result.figures),
            **clock.figures(),
            **({"device": self.chosen.described} if self.chosen else {}),
            threads=self.threads,
            host=node_name(),
            log=[self.log_file, log_from, _log_position()],
        )

    def do_merge(self, done: Iterable[Done], of: str) -> Record:
        """Consolidate what is done and record it; ``of`` names what is merged."""
        clock = Clock()
        context = self.context(None)
        try:
            if accumulates(self.operation):
                from pypcore.combine import combine_partials

                done = list(done)
                self._need_memory(self.operation.merge_bytes(self.params, [one.item for one in done]))
                context.total = combine_partials(self.job, self.request, self.operation, done, self.threads)
            result = self.operation.finish(done, self.params, context)
            outcome, message = records.DONE, ""
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            result, (outcome, message) = Result(), self._unforeseen(error)
        except PypcoreError as error:
            result, outcome, message = Result(), records.FAILED, _one_line(error)
        except Exception as error:
            result, (outcome, message) = Result(), self._unforeseen(error)
        record: Record = {
            "event": "merge",
            "time": round(time.time(), 3),
            "outcome": outcome,
            "message": message,
        }
        record |= {
            "products": self._relative(result.products),
            "figures": result.figures,
            **clock.figures(),
            "of": of,
        }
        self.record(record)
        return record

    def _need_memory(self, needed: int) -> None:
        if needed > self.memory:
            raise PypcoreError(
                f"Merge needs {needed / 2**30:.2f} GB, a task has {self.memory / 2**30:.2f} GB; nothing is lost: "
                f"pypcore resume {self.job.folder} with more --memory (GB per thread)"
            )
        self.log.info("Merge takes about %.2f GB", needed / 2**30)

    def record(self, record: Record) -> None:
        """Append a record, and report it."""
        self.recorder.append(record)
        self.report(record)

    def _unforeseen(self, error: Exception) -> tuple[str, str]:
        traceback.print_exception(error, file=sys.stderr)
        sys.stderr.flush()
        return records.ERROR, f"{type(error).__name__}: {_one_line(error)}"

    def _relative(self, products: dict[str, Path]) -> dict[str, list[Any]]:
        """Return each product's path in the job folder and its size, by which a later run knows it is still there."""
        folder = self.job.folder
        return {kind: [str(path.relative_to(folder)), path.stat().st_size] for kind, path in products.items()}

    def context(self, item: Item | None, *, summing: bool = False) -> Context:
        """Return what a task is handed; ``item`` None for Merge, and for a sum that is begun (``summing``)."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        said = 0.0
        compute = self.compute() if item is not None or summing else CPU  # Merge has no GPU

        def progress(share: float) -> None:
            nonlocal said
            now = time.monotonic()
            if item is not None and now - said > PROGRESS_S:
                said = now
                self.report({"event": "progress", "item": item.index, "share": round(share, 3)})

        return Context(
            job=self.job.folder,
            job_as_given=self.request.job_as_given,
            threads=self.threads,
            memory=self.memory,
            devices=self.devices,
            scratch=self.scratch,
            log=self.log,
            progress=progress,
            root=self.request.root,
            compute=compute,
        )

    def compute(self) -> Compute:
        """Return what items are computed on, decided once; SetupError, with the reason, where it can't be used."""
        if not isinstance(self.params, OnDevice):
            return CPU
        if self.chosen is None:
            self.chosen = decide(self.params.device, self.devices)
            self.log.info("computing on %s", self.chosen.described)
            self.report({"event": "device", "device": self.chosen.described})
        return self.chosen


class ItemTimeout(Exception):
    """The item in hand took too long."""


class ItemCancelled(Exception):
    """The user wants the item in hand ended."""


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """Raise ItemTimeout in the body after ``seconds``; 0 for never."""
    if not seconds:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise ItemTimeout(f"went over --item-timeout of {describe_walltime(seconds)}")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def node_name() -> str:
    """Return the name of this machine, as SLURM calls it where it runs us."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _rounded(figure: Any) -> Any:
    """Round every float to 6 digits: a record is read by people too, and a job has many."""
    if isinstance(figure, float):
        return float(f"{figure:.6g}")
    if isinstance(figure, dict):
        return {key: _rounded(value) for key, value in figure.items()}
    return [_rounded(value) for value in figure] if isinstance(figure, list) else figure


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _log_file(job: Job) -> str:
    """Return the file that standard error goes to, relative to the job; empty where that is not a file of the job."""
    target = Path(os.path.realpath("/proc/self/fd/2"))
    return str(target.relative_to(job.folder)) if target.is_relative_to(job.folder) else ""


def _log_position() -> int:
    """Return how far the log, which is standard error, has got."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        return os.lseek(2, 0, os.SEEK_END)
    except OSError:  # a terminal
        return 0


# -- as a process of the pool


def main(argv: list[str] | None = None) -> None:
    """Serve the local pool: see the module's docstring for the protocol."""
    parser = argparse.ArgumentParser(prog="pypcore.worker")
    parser.add_argument("job", type=Path)
    parser.add_argument("--attempt", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True, help="bytes")
    parser.add_argument("--devices", type=int, default=0, help="how many GPUs this process sees")
    parser.add_argument("--cores", default="", help="numbers of the cores to stay on")
    parser.add_argument("--reports", type=int, required=True, help="file descriptor to report on")
    options = parser.parse_args(argv)
    gc.set_threshold(100_000)  # imports make many objects that stay: looking for garbage among them takes a sixth
    if options.cores:  # before any library counts them
        os.sched_setaffinity(0, [int(core) for core in options.cores.split(",")])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pool's business
    reports = os.fdopen(options.reports, "w", buffering=1, encoding="ascii")

    def report(event: dict[str, Any]) -> None:
        reports.write(json.dumps(event) + "\n")

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    finish = threading.Event()
    commands = _listen(finish)
    job = Job.open(options.job)
    worker = Worker(job, options.attempt, options.threads, options.memory, list(range(options.devices)), report)
    try:
        report({"event": "ready"})
        while (command := commands.get()) is not None:
            _obey(worker, command, report, finish)
        worker.close()
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        report({"event": "disk-full", "message": f"{error.strerror}: {error.filename or job.folder}"})
        os._exit(3)  # closing the records would need the disk


def _obey(worker: Worker, command: dict[str, Any], report: Report, finish: threading.Event) -> None:
    match command["do"]:
        case "bundle":
            worker.do_bundle((_item(row) for row in command["items"]), finish.is_set)
            report({"event": "bundle-end"})
        case "merge":
            from pypcore.merge import read_done  # late: merge imports what only Merge needs

            worker.do_merge(read_done(worker.job), command["of"])
        case other:
            raise ValueError(f"no such command: {other}")


def _item(row: dict[str, Any]) -> Item:
    return Item(**row)


def _listen(finish: threading.Event) -> "queue.SimpleQueue[dict[str, Any] | None]":
    """Read commands in a thread of their own, so that the end of the pool is seen while an item is being done."""
    commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            command = json.loads(line)
            match command["do"]:
                case "finish":
                    finish.set()
                case "leave":
                    commands.put(None)
                    return
                case _:
                    commands.put(command)
        os.killpg(0, signal.SIGKILL)  # the pool is gone; the pool made us the leader of our group

    threading.Thread(target=listen, daemon=True).start()
    return commands


if __name__ == "__main__":
    main()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # all is recorded and closed: taking the interpreter apart would cost 0.4 CPU s
