"""The job folder: every path in it, how it is made, opened and owned.

::

    JOB/job.toml              the request
        items.jsonl           the manifest, one item a line; a job that grows only appends
        plan.json             bundles and concurrency
        records/ATTEMPT.jsonl what came of each item
        partials/NNNNNN.partial   what a bundle adds up to, where the operation accumulates
        logs/ATTEMPT.log      what each worker said
        runs/NNNN.json        each run: who drives it, where, how it ended; NNNN-*.id: what it has on SLURM
        aside.jsonl           what thresholds leave out of Merge, with the reason; by-hand.txt: the user's own word
        cancel                exists while somebody wants the job to stop
        everything else       products

All state is here: a job folder can be moved, copied and read with ``less``.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pypcore.errors import SetupError, UsageError
from pypcore.items import Item
from pypcore.jsonlines import read_lines
from pypcore.products import whole, write_text
from pypcore.request import Request

STALE_S = 60.0  # a driver on another host that gave no sign of life for so long is taken for dead
SIGN_OF_LIFE_S = 10.0


@dataclass(frozen=True)
class Job:
    """A job folder."""

    folder: Path

    @property
    def request_file(self) -> Path:
        """Where the request is frozen."""
        return self.folder / "job.toml"

    @property
    def items_file(self) -> Path:
        """Where the manifest is."""
        return self.folder / "items.jsonl"

    @property
    def plan_file(self) -> Path:
        """Where the plan is."""
        return self.folder / "plan.json"

    @property
    def records(self) -> Path:
        """Folder of the records."""
        return self.folder / "records"

    @property
    def partials(self) -> Path:
        """Folder of the partials, of an operation that accumulates."""
        return self.folder / "partials"

    def partial(self, bundle: int) -> Path:
        """Where a bundle's partial is."""
        return self.partials / f"{bundle:06d}.partial"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.folder / "logs"

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.folder / "runs"

    @property
    def aside_file(self) -> Path:
        """What quality thresholds put aside, a line an item."""
        return self.folder / "aside.jsonl"

    @property
    def by_hand_file(self) -> Path:
        """What the user keeps or puts aside, whatever the thresholds say."""
        return self.folder / "by-hand.txt"

    @property
    def cleaned_file(self) -> Path:
        """Products that were removed on purpose, a path a line."""
        return self.folder / "cleaned.txt"

    def read_cleaned(self) -> set[str]:
        """Return the products that were removed on purpose, relative to the job folder."""
        if not self.cleaned_file.is_file():
            return set()
        return set(self.cleaned_file.read_text(encoding="utf-8", errors="surrogateescape").splitlines())

    @property
    def watch_file(self) -> Path:
        """How a watch of the job stands; for showing only."""
        return self.folder / "watch.json"

    @property
    def cancel_file(self) -> Path:
        """Exists while somebody wants the job to stop; its text is ``finish`` or ``now``."""
        return self.folder / "cancel"

    @property
    def cancel_items_file(self) -> Path:
        """Numbers of items, one a line, that somebody wants left out of the run that goes on."""
        return self.folder / "cancel-items"

    def cancelled_items(self) -> set[int]:
        """Read which items are to be left out."""
        try:
            return {int(line) for line in self.cancel_items_file.read_text().split()}
        except FileNotFoundError:
            return set()

    @classmethod
    def open(cls, folder: Path | str) -> "Job":
        """Open an existing job folder; raise UsageError where there is none."""
        job = cls(Path(folder).absolute())
        if not job.request_file.is_file():
            raise UsageError(f"{folder}: not a job folder (no job.toml in it)")
        return job

    def exists(self) -> bool:
        """Say whether a request was frozen here."""
        return self.request_file.is_file()

    def create(self) -> None:
        """Make the folder; refuse one that holds other things."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is a file, not a folder; give another job folder with -o")
        try:
            for part in (self.records, self.logs, self.runs):
                part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{self.folder}: can't make the job folder: {error.strerror}") from error

    # -- request and manifest

    def request(self) -> Request:
        """Read the frozen request."""
        return Request.from_toml(
            self.request_file.read_text(encoding="utf-8", errors="surrogateescape"), str(self.request_file)
        )

    def freeze(self, request: Request) -> None:
        """Write the request."""
        write_text(self.request_file, request.to_toml())

    def write_items(self, items: Sequence[Item]) -> None:
        """Write the manifest whole."""
        with (
            whole(self.items_file) as temporary,
            temporary.open("w", encoding="ascii") as out,
        ):
            out.writelines(map(_line_of, items))

    def append_items(self, items: Sequence[Item]) -> None:
        """Append to the manifest, durably; its driver alone may, and has written it whole when it began."""
        with self.items_file.open("a", encoding="ascii") as out:
            out.writelines(map(_line_of, items))
            out.flush()
            os.fsync(out.fileno())

    def items(self) -> Iterator[Item]:
        """Read the manifest line by line."""
        if not self.items_file.is_file():
            return
        for index, row in enumerate(read_lines(self.items_file)):
            yield item_of(index, row)

    # -- runs

    def claim(self, argv: Sequence[str], slurm: dict[str, Any] | None = None) -> "Run":
        """Become the job's driver, or with ``slurm`` hand it to SLURM; refuse while another one lives."""
        for attempt in range(1, 1_000_000):
            last = self.last_run()
            if last and last.alive():
                who = f"process {last.pid} on {last.host}" if last.slurm is None else "SLURM"
                raise SetupError(
                    f"{self.folder}: already being run by {who}; "
                    f"wait for it, or stop it with: pypcore cancel {self.folder}"
                )
            run = Run(
                number=(last.number if last else 0) + 1,
                pid=os.getpid(),
                host=socket.gethostname(),
                born=process_birth(os.getpid()),
                argv=list(argv),
                started=time.time(),
                slurm=slurm,
            )
            try:
                handle = os.open(self.run_file(run.number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                if attempt > 10:
                    raise
                continue  # somebody was faster: look again
            with os.fdopen(handle, "w") as out:
                json.dump(asdict(run), out)
            self.cancel_file.unlink(missing_ok=True)
            self.cancel_items_file.unlink(missing_ok=True)
            return run
        raise AssertionError("unreachable")

    def run_file(self, number: int) -> Path:
        """Where run ``number`` is described."""
        return self.runs / f"{number:04d}.json"

    def read_run(self, number: int) -> "Run":
        """Read the description of a run."""
        return self._with_ids(Run(**json.loads(self.run_file(number).read_text())))

    def write_run(self, run: "Run") -> None:
        """Rewrite the description of a run."""
        write_text(self.run_file(run.number), json.dumps(asdict(run)) + "\n")

    def sign_of_life(self, run: "Run") -> None:
        """Tell other hosts that the driver lives."""
        with contextlib.suppress(OSError):  # the next sign comes in a few seconds
            os.utime(self.run_file(run.number))

    def last_run(self) -> "Run | None":
        """Return the newest run, if there was any."""
        files = sorted(self.runs.glob("[0-9]*.json")) if self.runs.is_dir() else []
        for file in reversed(files):
            try:
                run = Run(**json.loads(file.read_text()))
            except (
                ValueError,
                TypeError,
            ):  # killed while it was being created: its number is taken all the same
                return Run(number=int(file.stem), pid=-1, host="", born=0.0, ended=time.time(), outcome="lost")
            run.seen = file.stat().st_mtime
            return self._with_ids(run)
        return None

    def id_file(self, number: int, what: str) -> Path:
        """Where SLURM's id of a script of run ``number`` is kept, as ``sbatch --parsable`` prints it.

        A file each, written once by whoever submitted it: jobs of a run begin, and change the run's own file, while
        others of it are still being submitted.
        """
        return self.runs / f"{number:04d}-{what}.id"

    def _with_ids(self, run: "Run") -> "Run":
        """Fill in the ids of what was submitted."""
        if run.slurm is None:
            return run
        for what, entry, key in (
            ("launch", run.slurm, "launch"),
            *((f"split-{one['first']}", one, "id") for one in run.slurm["arrays"]),
            ("merge", run.slurm, "merge"),
        ):
            if entry[key] is None:
                with contextlib.suppress(FileNotFoundError):
                    id_, _, cluster = self.id_file(run.number, what).read_text().strip().partition(";")
                    entry[key] = int(id_)
                    run.slurm["cluster"] = run.slurm["cluster"] or cluster or None
        return run

    def read_plan(self) -> dict[str, Any]:
        """Read the plan as plain values."""
        plan: dict[str, Any] = json.loads(self.plan_file.read_text())
        return plan


def _line_of(item: Item) -> str:
    row: dict[str, str | int] = {"name": item.name, "given": item.given, "path": item.file}
    row |= {"size": item.size, "mtime_ns": item.mtime_ns}
    row |= {"part": item.part} if item.part else {}
    return json.dumps(row) + "\n"


def item_of(index: int, row: dict[str, Any]) -> Item:
    """Return the item that a line of the manifest describes."""
    return Item(index, row["name"], row["path"], row["given"], row["size"], row["mtime_ns"], row.get("part", ""))


@dataclass
class Run:
    """One run of a job. ``born`` is the start of its driver's process, which tells a reused process id.

    ``slurm`` holds what was submitted, where SLURM drives it instead (``pypcore.slurm.submission``).
    """

    number: int
    pid: int
    host: str
    born: float
    argv: list[str] | None = None
    started: float = 0.0
    ended: float | None = None
    outcome: str = "running"
    message: str = ""
    seen: float = 0.0
    slurm: dict[str, Any] | None = None

    def alive(self) -> bool:
        """Say whether this run goes on: its process lives here, or it gave signs of life from elsewhere.

        One on SLURM goes on until Merge, ``cancel`` or a look at the queue has written that it ended.
        """
        if self.ended is not None:
            return False
        if self.slurm is not None:
            return True
        if self.host == socket.gethostname():
            return process_birth(self.pid) == self.born != 0.0
        return time.time() - self.seen < STALE_S


def process_birth(pid: int) -> float:
    """Return when process ``pid`` of this machine began, in clock ticks since boot; 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return 0.0 if fields[0] in "ZX" else float(fields[19])
