"""Job folders of any size, written as workers write them, without running anything."""

import json
import math
import random
import time
from pathlib import Path
from typing import Any

from pypcore.items import Item
from pypcore.job import Job, Run
from pypcore.options import prepare
from pypcore.records import begin_record, end_record

START = 1_700_000_000.0
SLOTS = 8


class SyntheticJob:
    """A job whose records a test appends; item n takes 20 s and ends ``n`` seconds after START."""

    def __init__(self, folder: Path, items: int, *, names: list[str] | None = None, **options: Any) -> None:
        (folder.parent / "in").mkdir(parents=True, exist_ok=True)
        (folder.parent / "in" / "one").write_text("x")
        self.job = Job(folder)
        self.job.create()
        called = names or [f"FoilHole_{n:05d}_fractions" for n in range(items)]
        self.job.write_items(
            [
                Item(n, name, f"/raw/{name}.tiff", f"raw/{name}.tiff", 10**9 + n, int((START + n / 2) * 1e9))
                for n, name in enumerate(called)
            ]
        )
        self.job.freeze(prepare("rehearse", [str(folder.parent / "in")], folder, options).request)
        self.items, self.digest = list(self.job.items()), self.job.request().digest()
        self.random = random.Random(7)

    def run(self, *, ended: bool = False, outcome: str = "running", **more: Any) -> Run:
        """Write a run of another host that goes on, or has ended."""
        run = Run(1, 1, "elsewhere", 0.0, ["/usr/bin/pypcore", "run"], START, seen=time.time(), **more)
        run.ended, run.outcome = (START + len(self.items), outcome) if ended else (None, "running")
        self.job.write_run(run)
        return run

    def figures(self, n: int) -> dict[str, Any]:
        """Return what motion correction would say of item n: a motion that settles, with a bad patch of the grid."""
        motion = abs(self.random.gauss(15, 3)) + 10 * math.exp(-8 * n / len(self.items))
        return {
            "motion_total": motion,
            "motion_early": motion * 0.4,
            "motion_error_per_frame": [0.1, 0.2, 0.3],
            "pixel_size": 0.85,
            "weights": "damage",
        }

    def log(self, text: str, slot: int = 0) -> list[Any]:
        """Append to a worker's log; return the place, as a record has it."""
        path = self.job.logs / f"0001-{slot:02d}-1.log"
        begin = path.stat().st_size if path.exists() else 0
        with path.open("a") as out:
            out.write(text)
        return [f"logs/{path.name}", begin, begin + len(text.encode())]

    def begin(self, n: int) -> None:
        """Begin an item and leave it in hand."""
        self._write(n, [begin_record(self.items[n], self.digest)])

    def end(self, n: int, outcome: str = "done", message: str = "", **more: Any) -> None:
        """Begin and end an item."""
        begin = begin_record(self.items[n], self.digest)
        facts = {"wall_s": 20.0 + n % 3, "cpu_s": 30.0, "peak_mib": 2000.0 + n % 100, "threads": 2, "host": "node1"}
        facts |= {"products": {}, "figures": self.figures(n) if outcome == "done" else {}}
        end = end_record(self.items[n], self.digest, outcome, message, **{**facts, **more})
        self._write(n, [begin | {"time": START + n - 20}, end | {"time": START + n}])

    def many(self, numbers: range) -> None:
        """End many items well, with one writer a slot."""
        files = [(self.job.records / f"0001-{slot:02d}-1.jsonl").open("a") for slot in range(SLOTS)]
        facts = {"cpu_s": 30.0, "peak_mib": 2000.0, "threads": 2, "host": "node1", "products": {}}
        for n in numbers:
            record = end_record(self.items[n], self.digest, "done", wall_s=20.0, figures=self.figures(n), **facts)
            files[n % SLOTS].write(json.dumps(record | {"time": START + n}, separators=(",", ":")) + "\n")
        for file in files:
            file.close()

    def merge(self, outcome: str = "done", message: str = "", of: str = "") -> None:
        """Record a Merge."""
        record = {"event": "merge", "time": START + len(self.items), "outcome": outcome, "message": message}
        with (self.job.records / "0001-merge-1.jsonl").open("a") as out:
            out.write(json.dumps({**record, "products": {}, "figures": {}, "of": of}) + "\n")

    def picture(self, n: int, colour: tuple[int, int, int] = (40, 90, 160)) -> dict[str, Any]:
        """Write a picture of an item; return it as its product."""
        from PIL import Image

        path = self.job.folder / "micrographs" / f"{self.items[n].name}_motion.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (1200, 640), colour).save(path)
        return {"picture": [str(path.relative_to(self.job.folder)), path.stat().st_size]}

    def _write(self, n: int, lines: list[dict[str, Any]]) -> None:
        with (self.job.records / f"0001-{n % SLOTS:02d}-1.jsonl").open("a") as out:
            out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
