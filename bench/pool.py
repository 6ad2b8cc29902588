"""What the engine itself costs: items that do nothing, through the pool, and the status of the finished job."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.process import OUTPUT, run
from bench.programs import PYPCORE

ITEMS = 20_000
FEW = 20


@dataclass(frozen=True)
class PoolCost:
    """Overhead of the pool; wall time per item beyond the start-up, which a run of few items gives."""

    items: int
    product_bytes: int  # of the one product of each item, written and fsynced; 0: none
    threads: int
    start_up_s: float  # wall of a job of FEW items
    wall_s: float
    cpu_s: float
    per_item_ms: float
    status_wall_s: float
    status_cpu_s: float
    failed: str | None


def measure(threads: int, data: Path, *, items: int, product_bytes: int) -> PoolCost:
    """Run ``rehearse`` on ``items`` files, one to a bundle, and ask for the status."""
    with tempfile.TemporaryDirectory(prefix="pool-", dir=data) as name:
        folder = Path(name)
        for count in (FEW, items):
            (folder / f"in{count}").mkdir()
            for number in range(count):
                (folder / f"in{count}" / f"item_{number:05d}.dat").touch()
        few, many = (
            run(
                [*PYPCORE, "run", "rehearse", f"in{count}/*.dat", "-o", f"job{count}", "--product", str(product_bytes)],
                threads=threads,
                folder=folder,
            )
            for count in (FEW, items)
        )
        asked = run([*PYPCORE, "status", f"job{items}", "--json"], threads=1, folder=folder)
        failed = few.failed or many.failed or asked.failed
        if not failed and (done := json.loads((folder / OUTPUT).read_text())["counts"]["done"]) != items:
            failed = f"{done} of {items} items done"
    return PoolCost(
        items=items,
        product_bytes=product_bytes,
        threads=threads,
        start_up_s=few.wall,
        wall_s=many.wall,
        cpu_s=many.cpu,
        per_item_ms=(many.wall - few.wall) / (items - FEW) * 1e3,
        status_wall_s=asked.wall,
        status_cpu_s=asked.cpu,
        failed=failed,
    )


def report(cost: PoolCost, out: Console) -> None:
    """Print it."""
    if cost.failed:
        out.print(f"pool FAILED: {cost.failed}", style="red")
    does = f"write {cost.product_bytes} bytes, durably" if cost.product_bytes else "do nothing"
    out.print(
        f"pool: {cost.items} items that {does}, {cost.threads} at a time: {cost.per_item_ms:.2f} ms an item "
        f"after a start-up of {cost.start_up_s:.2f} s ({cost.wall_s:.1f} s wall, {cost.cpu_s:.1f} CPU s); "
        f"status {cost.status_wall_s:.2f} s wall, {cost.status_cpu_s:.2f} CPU s"
    )
