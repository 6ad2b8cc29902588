"""``python -m bench.scale``: a million items on a thousand nodes, on paper.

The planner, the manifest, the records, their folding and the index are the real ones, on files of the size that
motion correction writes; the cluster is a model (``scale_model.py``). What needs more memory or time than a bench may
take is measured on fewer items, and says so.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import machine, scale_model
from bench.process import OUTPUT, run
from pypcore.efficiency import bundle_size_for
from pypcore.glance import read_glance
from pypcore.items import Item
from pypcore.job import Job
from pypcore.launch import launch
from pypcore.options import prepare
from pypcore.plan import make_plan
from pypcore.record_index import NAME
from pypcore.records import begin_record, end_record
from pypcore.resources import SplitResources
from pypcore.slurm.submission import read_element, write_elements
from pypcore.status import fold_status

ITEMS, FEWER = 1_000_000, 50_000
ITEM_S, SPREAD_S, THREADS = 20.0, 5.0, 4
MOST_ELEMENTS = 9_000  # of MaxJobCount 10,000: others submit too
RUN = 1
SEEDS = 5
LATENCIES_MS = (0.05, 0.3, 2.0)  # a local disk, a quiet and a busy shared file system
FINISHED = 0.9  # of the elements have ended; each of the others is within its bundle
FIGURES = {
    "motion_total": 16.736,
    "motion_per_frame": [[round(-0.2 * n - 2.15, 5), round(0.21 * n + 2.449, 5)] for n in range(40)],
    "motion_error_per_frame": [round(0.149 + n / 900, 6) for n in range(40)],
    "strengths": {"walk": 0.22, "trend": 4.0, "local": 0.07, "length": 1.0, "time": 3.0},
    **dict.fromkeys(("pixel_size", "micrograph_pixel_size", "mean_counts", "motion_error", "motion_local"), 0.85378),
    **dict.fromkeys(("frames", "width", "height", "hot_pixels", "bad_pixels", "rounds"), 4092),
}


@dataclass(frozen=True)
class Step:
    """What a step took: by its own clock, and its process's memory at its highest."""

    name: str
    items: int
    seconds: float
    peak_mb: float
    facts: dict[str, Any]


# ---- the steps, each in a process of its own -----------------------------------------------------------------


def write_manifest(job: Job, count: int) -> dict[str, Any]:
    """Plan, and write what Launch writes."""
    split = SplitResources(threads=THREADS, bundle_size=_bundle_size(count))
    plan = make_plan(count, split, max_array_size=scale_model.Cluster.max_array_size)
    job.create()
    job.write_items([_item(number) for number in range(count)])
    job.freeze(prepare("rehearse", ["raw"], job.folder, {"bundle_size": plan.bundle_size}).request)
    write_elements(job, RUN, ([_item(number) for number in bundle] for bundle in plan))
    elements = job.runs / f"{RUN:04d}.elements"
    return {
        "elements": plan.bundles,
        "chunks": len(plan.chunks),
        "manifest_bytes": job.items_file.stat().st_size,
        "elements_bytes": elements.stat().st_size,
    }


def write_records(job: Job, count: int) -> dict[str, Any]:
    """Write what the elements write until nine tenths of them have ended; one item in two hundred fails."""
    digest, dice, size = job.request().digest(), random.Random(1), 0
    plan = make_plan(count, SplitResources(bundle_size=_bundle_size(count)))
    for element, bundle in enumerate(plan):
        far = len(bundle) if element < FINISHED * plan.bundles else dice.randrange(len(bundle))
        lines = [line for number in bundle[:far] for line in _lines(number, digest, dice.random() < 0.005)]
        if far < len(bundle):
            lines.append(_text(begin_record(_item(bundle[far]), digest)))
        text = "\n".join(lines) + "\n"
        (job.records / _record_file(element)).write_text(text)
        size += len(text)
    return {"files": plan.bundles, "records_bytes": size}


def append_records(job: Job, count: int) -> dict[str, Any]:
    """Write what a minute adds: three items in every element that runs."""
    digest = job.request().digest()
    plan = make_plan(count, SplitResources(bundle_size=_bundle_size(count)))
    running = range(int(FINISHED * plan.bundles) + 1, plan.bundles)
    for element in running:
        with (job.records / _record_file(element)).open("a") as out:
            for number in plan.bundle(element)[-3:]:
                out.write("\n".join(_lines(number, digest, False)) + "\n")
    return {"files": len(running)}


def begin_element(job: Job, count: int) -> dict[str, Any]:
    """Do what an element does before its first item: read its items, look for earlier attempts."""
    items = read_element(job, RUN, 7)
    return {"items": len(items), "earlier": len(list(job.records.glob(f"{RUN:04d}-{7:06d}-*.jsonl")))}


def read_all(job: Job, count: int) -> dict[str, Any]:
    """Fold all records, as Launch and Merge do."""
    return {"done": fold_status(job, None).counts["done"]}


def glance(job: Job, count: int) -> dict[str, Any]:
    """Read the status through the index, as it is."""
    known = read_glance(job, None, lambda attempt: True)
    told = {"done": known.counts["done"], "bad": sum(1 for _ in zip(known.bad(), range(20), strict=False))}
    index = job.records / NAME
    return {**told, "index_bytes": index.stat().st_size if index.exists() else 0}


def launch_again(job: Job, count: int) -> dict[str, Any]:
    """Decide for each item whether it is to be done, as ``resume`` does."""
    launched = launch(job, job.request(), discover=False)
    return {"todo": len(launched.todo)}


STEPS: dict[str, Callable[[Job, int], dict[str, Any]]] = {
    step.__name__: step
    for step in (write_manifest, write_records, append_records, begin_element, read_all, glance, launch_again)
}


def _bundle_size(count: int) -> int:
    return bundle_size_for(ITEM_S, count, most_elements=max(1, MOST_ELEMENTS * count // ITEMS))


def _item(number: int) -> Item:
    name = f"FoilHole_{number:08d}_Data_2026_fractions"
    given = f"raw/{name}.tiff"
    return Item(number, name, f"/data/session/{given}", given, 500_000_000 + number, 10**18 + number)


def _record_file(element: int) -> str:
    return f"{RUN:04d}-{element:06d}-{4_000_000 + element}.0.jsonl"


def _lines(number: int, digest: str, failed: bool) -> Iterator[str]:
    item = _item(number)
    yield _text(begin_record(item, digest))
    if failed:
        yield _text(end_record(item, digest, "failed", f"{item.given}: truncated: 3 of 40 frames"))
        return
    products = {
        "micrograph": [f"micrographs/{item.name}.mrc", 94_000_000],
        "motion": [f"micrographs/{item.name}.star", 60_150],
        "picture": [f"micrographs/{item.name}_motion.png", 45_371],
    }
    used = {"wall_s": ITEM_S, "cpu_s": 70.1, "peak_mib": 2811.8, "threads": THREADS, "host": "node0417"}
    record = _text(end_record(item, digest, "done", products=products, **used, log=[182 * number, 182 * number + 182]))
    yield f'{record[:-1]},"figures":{FIGURES_TEXT}}}'  # the same text a million times is made once


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


FIGURES_TEXT = _text(FIGURES)


def measure(step: str, folder: Path, items: int, *, title: str = "") -> Step:
    """Run a step in a process of its own."""
    took = run(
        [sys.executable, "-m", "bench.scale", "--step", step, "--items", str(items), "--data", str(folder)],
        threads=len(os.sched_getaffinity(0)),
        folder=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    if took.failed:
        raise SystemExit(f"bench.scale: {step}: {took.failed}")
    facts = json.loads((folder / OUTPUT).read_text().splitlines()[-1])
    return Step(title or step.replace("_", " "), items, facts.pop("seconds"), took.peak_mb, facts)


def _do_step(step: str, folder: Path, items: int) -> None:
    begun = time.perf_counter()
    facts = STEPS[step](Job(folder / "job"), items)
    print(json.dumps({"seconds": time.perf_counter() - begun, **facts}))


# ---- all of it -------------------------------------------------------------------------------------------------


def measure_files(folder: Path, items: int, fewer: int, say: Callable[[str], None]) -> list[Step]:
    """Measure the engine's files: ``items`` of them, ``fewer`` where all records are held in memory."""
    steps = []

    def do(step: str, count: int, title: str = "", where: Path = folder) -> Step:
        say(title or step)
        steps.append(measure(step, where, count, title=title))
        return steps[-1]

    small = folder / "fewer"
    small.mkdir()
    do("write_manifest", fewer, "plan, write manifest and elements", small)
    do("write_records", fewer, "(the nodes write records)", small)
    do("read_all", fewer, "status by folding all records", small)
    do("launch_again", fewer, "Launch of resume: reasons, 2 stats an item", small)
    shutil.rmtree(small)
    do("write_manifest", items, "plan, write manifest and elements")
    do("write_records", items, "(the nodes write records)")
    do("begin_element", items, "an element finds its items")
    do("glance", items, "status, index built (cold)")
    do("glance", items, "status, nothing new (warm)")
    do("append_records", items, "(the nodes write for a minute)")
    do("glance", items, "status, a minute later (warm)")
    return steps


def report_files(steps: list[Step], out: Console) -> None:
    """Print what the steps took."""
    table = Table(title="the engine's files", title_justify="left")
    for heading in ("what", "items", "seconds", "peak MB", ""):
        table.add_column(heading, justify="left" if heading in ("what", "") else "right")
    for step in steps:
        facts = ", ".join(f"{key.replace('_', ' ')} {_human(key, value)}" for key, value in step.facts.items())
        table.add_row(step.name, f"{step.items:,}", f"{step.seconds:.2f}", f"{step.peak_mb:.0f}", facts)
    out.print(table)


def _human(key: str, value: float) -> str:
    return f"{value / 1e6:.1f} MB" if key.endswith("_bytes") else f"{value:,}"


def report_cluster(items: int, out: Console) -> list[dict[str, Any]]:
    """Simulate the job on the model, one row for each way to cut and hold it back; the mean of five runs each."""
    cluster = scale_model.Cluster()
    table = Table(title=f"{items:,} items of {ITEM_S:g} s on {cluster.nodes:,} nodes, modelled", title_justify="left")
    for heading in ("items a bundle", "elements", "MaxJobCount", "total threads", "chunks", "sbatch calls", "sbatch s"):
        table.add_column(heading, justify="right")
    for heading in (
        "arrays run",
        "at once",
        "hours",
        "busy",
        "nodes failed",
        "items lost",
        "squeue ms",
        "calls/1000 items",
    ):
        table.add_column(heading, justify="left" if heading == "arrays run" else "right")
    rows = []
    sizes = (
        bundle_size_for(ITEM_S, items),
        bundle_size_for(ITEM_S, items, most_elements=MOST_ELEMENTS),
        bundle_size_for(ITEM_S, items, at_once=cluster.slots, most_elements=MOST_ELEMENTS),
        250,
    )
    for size in sizes:
        for total in (0, cluster.slots * THREADS):
            split = SplitResources(threads=THREADS, total_threads=total, bundle_size=size)
            plan = make_plan(items, split, max_array_size=cluster.max_array_size)
            held = plan.concurrency < plan.bundles
            if total and not held:
                continue
            for in_turn in (True, False) if held else (False,):
                rows.append(_simulated(cluster, plan, in_turn, held, total, items))
    for row in rows:
        table.add_row(*(f"{one:,}" if isinstance(one, int) else str(one) for one in row.values()))
    out.print(table)
    return rows


def report_file_calls(items: int, out: Console) -> None:
    """Print what a shared file system's latency makes of the calls."""
    cluster = scale_model.Cluster()
    size = bundle_size_for(ITEM_S, items, at_once=cluster.slots, most_elements=MOST_ELEMENTS)
    table = Table(title="waiting for a shared file system, modelled", title_justify="left")
    for heading in ("what", "calls", *(f"s at {latency:g} ms" for latency in LATENCIES_MS)):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for calls in scale_model.file_calls(items, -(-items // size), cluster.slots // 10):
        table.add_row(
            calls.what,
            f"{calls.count:,}",
            *(f"{calls.seconds(latency):,.{3 if calls.count < 1_000 else 1}f}" for latency in LATENCIES_MS),
        )
    out.print(table)


def _simulated(
    cluster: scale_model.Cluster, plan: Any, in_turn: bool, held: bool, total: int, items: int
) -> dict[str, Any]:
    cut = plan if in_turn else scale_model.balanced(plan)
    chunks = cut.chunks
    lanes = 1 if in_turn else min(len(chunks), cut.concurrency)
    fits = plan.bundles <= cluster.max_job_count
    ran = [scale_model.simulate(cluster, cut, lanes, ITEM_S, SPREAD_S, seed) for seed in range(SEEDS)]
    mean = {key: sum(getattr(one, key) for one in ran) / SEEDS for key in vars(ran[0])}
    calls = len(chunks) + 2 + scale_model.squeue_calls(cluster, mean["wall_s"])
    return {
        "bundle": plan.bundle_size,
        "elements": plan.bundles,
        "fits": "fits" if fits else "refused",
        "total_threads": total or "no limit",
        "chunks": len(chunks),
        "sbatch": len(chunks) + 2,
        "sbatch_s": f"{sum(scale_model.sbatch_s(chunk.count) for chunk in chunks) + 2 * scale_model.sbatch_s(1):.2f}",
        "arrays": "in turn" if in_turn else "side by side" if held else "free",
        "at_once": round(mean["most_at_once"]),
        "hours": f"{mean['wall_s'] / 3600:.2f}",
        "busy": f"{mean['ideal_s'] / mean['wall_s']:.0%}",
        "failures": f"{mean['failures']:.1f}",
        "lost": f"{mean['lost_items']:.1f}",
        "squeue_ms": f"{1e3 * plan.bundles * scale_model.SQUEUE_S_AN_ELEMENT:.0f}",
        "calls": f"{calls / items * 1000:.2f}",
    }


def main() -> int:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS, help="[%(default)s]")
    parser.add_argument("--fewer", type=int, default=FEWER, help="items where all is held in memory [%(default)s]")
    parser.add_argument("--data", type=Path, help="a folder for some GB of records; removed again [a temporary one]")
    parser.add_argument("--only", choices=("files", "cluster"), help="this half alone")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        _do_step(asked.step, asked.data, asked.items)
        return 0
    os.nice(10)
    out = Console(width=None if sys.stdout.isatty() else 220, highlight=False)
    out.print(" · ".join(f"{key} {value}" for key, value in machine.describe().items()), soft_wrap=True)
    if asked.only != "files":
        report_cluster(asked.items, out)
        report_file_calls(asked.items, out)
    if asked.only != "cluster":
        with tempfile.TemporaryDirectory(prefix="scale-", dir=asked.data) as name:
            said = Console(stderr=True, highlight=False)
            report_files(measure_files(Path(name), asked.items, min(asked.fewer, asked.items), said.print), out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
