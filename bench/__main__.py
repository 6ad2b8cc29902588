"""``python -m bench``: measure, print the tables, leave one JSON in ``bench/results/``."""

import argparse
import dataclasses
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import (
    accuracy,
    cases,
    coldstart,
    machine,
    motioncorr,
    pool,
    reconstruct,
    slurm,
    stages,
    throughput,
    tilts,
    tomogram,
)

RESULTS = Path(__file__).parent / "results"
CASES = (
    *cases.MOVIES,
    *(
        "stages",
        "throughput",
        "seeds",
        "laws",
        "real",
        "tomogram",
        "tilts",
        "reconstruct",
        "pool",
        "coldstart",
        "slurm",
    ),
)
LARGE = ("k2", "k3", "stages", "throughput")


def main() -> int:
    """Run the cases asked for."""
    asked = _parse()
    # As wide as the table, where the terminal doesn't say: a pipe should get whole lines.
    out = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    progress = Console(stderr=True, highlight=False)
    asked.data.mkdir(parents=True, exist_ok=True)
    on = machine.describe()
    out.print(" · ".join(f"{key} {value}" for key, value in on.items()), soft_wrap=True)
    results: dict[str, Any] = {"machine": on, "arguments": sys.argv[1:], "when": time.strftime("%FT%TZ", time.gmtime())}

    movies = [case for name, case in cases.MOVIES.items() if name in asked.only]
    if movies:
        rows = motioncorr.measure(movies, asked.threads, asked.data, progress)
        motioncorr.report(rows, out)
        results["motioncorr"] = motioncorr.as_records(rows)
    if "stages" in asked.only:
        profiles = {}
        for case in (cases.K2, cases.K3):
            for library in ("scipy", "mkl") if find_spec("mkl_fft") else ("scipy",):
                profile = stages.measure(case, library, asked.data)
                stages.report(case, profile, out)
                profiles[f"{case.name} {library}"] = [dataclasses.asdict(stage) for stage in profile]
        results["stages"] = profiles
    if "throughput" in asked.only:
        ways = throughput.measure(asked.data, progress)
        throughput.report(ways, out)
        results["throughput"] = [dataclasses.asdict(way) for way in ways]
    for name, measure, title in (
        ("seeds", accuracy.measure_seeds, "motion against the truth: seeds"),
        ("laws", accuracy.measure_laws, "motion against the truth: other laws of motion, 1920x1856x40"),
    ):
        if name in asked.only:
            closeness = measure(asked.data, progress)
            accuracy.report(closeness, title, out)
            results[name] = accuracy.as_records(closeness)
    if "real" in asked.only:
        rows = motioncorr.measure_real(max(asked.threads), asked.data, asked.micrograph, progress)
        motioncorr.report_real(rows, out)
        results["real"] = motioncorr.as_records(rows)
    if "tomogram" in asked.only:
        made = tomogram.measure(asked.threads, asked.data, progress, quick=asked.quick)
        tomogram.report(made, out)
        results["tomogram"] = [dataclasses.asdict(row) for row in made]
    if "tilts" in asked.only:
        series = tilts.measure_all(max(asked.threads), out, seeds=1 if asked.quick else 5)
        results["tilts"] = [dataclasses.asdict(one) for one in series]
    if "reconstruct" in asked.only:
        boxes, counts, repeats = ([128], (500, 1500), 1) if asked.quick else ([128, 256], (2000, 6000), 3)
        results["reconstruct"] = reconstruct.measure(boxes, counts, asked.data, progress, out, repeats)
        if not asked.quick:
            reconstruct.quality(128, asked.data, out)
    if "pool" in asked.only:
        items = 1000 if asked.quick else pool.ITEMS
        costs = [pool.measure(max(asked.threads), asked.data, items=items, product_bytes=n) for n in (0, 1000)]
        for cost in costs:
            pool.report(cost, out)
        results["pool"] = [dataclasses.asdict(cost) for cost in costs]
    if "coldstart" in asked.only:
        cold = coldstart.measure(asked.data)
        coldstart.report(cold, out)
        results["coldstart"] = dataclasses.asdict(cold)

    if "slurm" in asked.only and slurm.installed():
        cost = slurm.measure(asked.data, progress, quick=asked.quick)
        slurm.report(cost, out)
        results["slurm"] = dataclasses.asdict(cost)
    elif "slurm" in asked.only:
        out.print("slurm: not on this machine (Debian: slurm-wlm, munge)")

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
    path.write_text(json.dumps(results, indent=1) + "\n")
    out.print(f"all of it: {path}", soft_wrap=True)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the large movies; 1,000 items for the pool")
    parser.add_argument("--only", action="append", choices=CASES, help="this case (may be given several times)")
    parser.add_argument("--threads", type=int, action="append", help="threads a task; default 1 and 2")
    parser.add_argument("--data", type=Path, default=cases.default_folder(), help="where movies are kept [%(default)s]")
    parser.add_argument(
        "--micrograph", type=Path, help="a whole real micrograph (MRC) for the case 'real', instead of the demo's crop"
    )
    asked = parser.parse_args()
    asked.threads = asked.threads or [1, 2]
    asked.data = asked.data.resolve()
    asked.only = asked.only or [name for name in CASES if not (asked.quick and name in (*LARGE, "seeds", "laws"))]
    return asked


if __name__ == "__main__":
    sys.exit(main())
