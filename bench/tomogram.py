"""Tomograms: kernels, whole programs and SIRT beside ASTRA's CPU code and scikit-image, over the machine's read rates.

Updates are voxels times tilts. A back-projection update reads two floats, so that 8 bytes an update, over the rate at
which a core reads its second-level cache, is the floor of a kernel that finds nothing in registers or nearer caches.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.process import Took, run
from bench.programs import PYPCORE
from pypcore import kernels
from pypcore.motion.parallel import Threads
from pypcore.simulate.tiltseries import TiltPlan, simulate_series
from pypcore.simulate.tomogram_score import TomogramScore
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.reconstruct import reconstruct
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.wbp import backproject

ANGLES = np.arange(-60, 61, 3.0)
CASES = {"t512": (128, 512, 512), "t1024": (256, 1024, 1024)}  # z, y, x
PIXEL = 10.0
# IMOD 4.8.2's tilt, whole program, on a Sapphire-Rapids-class machine of two cores: not measured here.
IMOD = {"t512 wbp": 1.5, "t1024 wbp": 9.6, "t512 sirt 5": 50.4}
_SLICES = 64
_TRIES = 30
_TINY = 64  # pixels of a series whose job is nothing but start-up, tables and pictures


@dataclass
class Row:
    """One thing that was measured."""

    case: str
    what: str
    threads: int
    cpu: float  # s
    wall: float | None = None
    updates: float | None = None  # in all, 1e9
    peak_mb: float | None = None
    note: str = ""


def measure(threads_list: list[int], data: Path, out: Console, *, quick: bool) -> list[Row]:
    """Measure what is asked for; ``quick``: the smaller case only."""
    cases = {"t512": CASES["t512"]} if quick else CASES
    rows = _floors()
    for case, shape in cases.items():
        out.print(f"tomogram: {case}: kernels, peers", style="dim")
        rows += _kernels(case, shape) + _threads(case, shape, threads_list)
        if case == "t512":
            rows += _peers(case, shape)
        rows += _programs(case, shape, threads_list, data, out)
    return rows + _quality(max(threads_list), out)


def _floors() -> list[Row]:
    """Rates at which one core reads: sums over an array that fits the second-level cache, and one that fits none."""
    rows = []
    for name, size in (("read, second-level cache", 1 << 19), ("read, memory", 1 << 29)):
        array = np.ones(size // 4, np.float32)
        repeats = max(1, (1 << 31) // size)
        cpu = _best(lambda array=array, repeats=repeats: _read(array, repeats))
        rate = size * repeats / cpu / 1e9
        rows.append(
            Row("floor", name, 1, cpu, updates=size * repeats / 8e9, note=f"{rate:.0f} GB/s, 8 bytes an update")
        )
    return rows


def _read(array: np.ndarray, repeats: int) -> None:
    for _ in range(repeats):
        np.maximum.reduce(array)


def _lines(shape: tuple[int, int, int]) -> np.ndarray:
    z, _, x = shape
    t = np.deg2rad(ANGLES)
    a, b = np.cos(t), np.sin(t)
    return np.ascontiguousarray(np.stack([a, b, x / 2 - 0.5 - a * (x / 2 - 0.5) - b * (z / 2 - 0.5)], 1))


def _kernels(case: str, shape: tuple[int, int, int]) -> list[Row]:
    z, _, x = shape
    lines = _lines(shape)
    images = np.random.default_rng(0).random((ANGLES.size, x, _SLICES), np.float32)
    volume = np.zeros((z, x, _SLICES), np.float32)
    updates = z * x * _SLICES * ANGLES.size / 1e9
    rows = []
    for variant in ("cython", "numba"):
        for name, arguments in (("backproject", (images, lines, volume)), ("project", (volume, lines, images))):
            kernel = kernels.get(name, variant)
            cpu = _best(lambda kernel=kernel, arguments=arguments: kernel(*arguments))
            rows.append(Row(case, f"{name}, {variant}, {_SLICES} slices", 1, cpu, updates=updates))
    return rows


def _threads(case: str, shape: tuple[int, int, int], threads_list: list[int]) -> list[Row]:
    """The kernel over all slices, on so many threads: the best wall time of many, since others use the cores too."""
    z, y, x = shape
    stack = np.random.default_rng(0).random((y // _SLICES, ANGLES.size, x, _SLICES), np.float32)
    planes, lines = range(min(z, 64)), _lines(shape)
    volume = np.empty((len(planes), y, x), np.float32)
    updates = volume.size * ANGLES.size / 1e9
    rows = []
    for count in threads_list:
        with Threads(count) as threads:
            best, cpu = np.inf, np.inf
            for _ in range(_TRIES):
                wall, used = time.perf_counter(), time.process_time()
                backproject(stack, lines, [slice(0, ANGLES.size)], planes, [volume], threads)
                best, cpu = min(best, time.perf_counter() - wall), min(cpu, time.process_time() - used)
        first = rows[0].wall if rows else best
        note = f"best wall of {_TRIES}: {first / best:.2f} times as quick as {threads_list[0]} thread(s)"
        rows.append(Row(case, "back-projection, all slices, 64 planes", count, cpu, best, updates, note=note))
    return rows


def _peers(case: str, shape: tuple[int, int, int]) -> list[Row]:
    z, _, x = shape
    sinogram = np.random.default_rng(0).random((ANGLES.size, x), np.float32)
    updates = z * x * ANGLES.size / 1e9
    rows = []
    try:
        import astra
    except ImportError:
        rows.append(Row(case, "ASTRA: not installed", 1, 0.0))
    else:
        space = astra.create_vol_geom(z, x)
        views = astra.create_proj_geom("parallel", 1.0, x, np.deg2rad(ANGLES))
        projector = astra.create_projector("linear", views, space)
        for name, count in (("BP", 1), ("SIRT", 10)):
            found = astra.data2d.create("-vol", space)
            seen = astra.data2d.create("-sino", views, sinogram)
            setup = astra.astra_dict(name)
            setup |= {"ProjectorId": projector, "ProjectionDataId": seen, "ReconstructionDataId": found}
            algorithm = astra.algorithm.create(setup)
            cpu = _best(lambda algorithm=algorithm, count=count: astra.algorithm.run(algorithm, count))
            passes = 2 * count if name == "SIRT" else 1
            note = f"version {astra.__version__}, CPU, 'linear'"
            rows.append(Row(case, f"ASTRA {name} x {count}, one slice", 1, cpu, updates=passes * updates, note=note))
    try:
        import skimage
        from skimage.transform import iradon
    except ImportError:
        rows.append(Row(case, "scikit-image: not installed", 1, 0.0))
    else:
        cpu = _best(lambda: iradon(sinogram.T, ANGLES, filter_name=None, circle=True), 2)
        square = x * x * ANGLES.size / 1e9
        note = f"version {skimage.__version__}, square only"
        rows.append(Row(case, "scikit-image iradon, one slice", 1, cpu, updates=square, note=note))
    return rows


def _programs(case: str, shape: tuple[int, int, int], threads_list: list[int], data: Path, out: Console) -> list[Row]:
    """The whole program, from an aligned stack on disk to the tomogram on disk, as a user starts it."""
    z, y, x = shape
    rows = []
    with tempfile.TemporaryDirectory(prefix="tomogram-", dir=data) as name:
        folder = Path(name)
        for place, height, width in ((folder / "tiny", _TINY, _TINY), (folder, y, x)):
            place.mkdir(exist_ok=True)
            _write_series(place, height, width)
        todo = [("wbp", ["--method", "wbp"], 1)]
        if case == "t512":
            todo.append(("sirt 5", ["--method", "sirt", "--iterations", "5"], 10))
        for method, options, passes in todo:
            for threads in threads_list:
                out.print(f"tomogram: {case}: {method}, {threads} threads", style="dim")
                began = _job(folder / "tiny", _TINY // 4, method, threads, options)
                rows.append(
                    Row(case, f"start-up: the same job of {_TINY} px, {method}", threads, began.cpu, began.wall)
                )
                took = _job(folder, z, method, threads, options)
                peer = IMOD[f"{case} {method}"]
                note = took.failed or (
                    f"from open input to written volume {took.cpu - began.cpu:.2f} CPU s; IMOD's tilt elsewhere: "
                    f"{peer:g}, {peer / took.cpu:.1f} times, {peer / (took.cpu - began.cpu):.1f} without start-up"
                )
                updates = passes * z * y * x * ANGLES.size / 1e9
                what = f"pypcore run tomogram, {method}"
                rows.append(Row(case, what, threads, took.cpu, took.wall, updates, took.peak_mb, note))
    return rows


def _job(folder: Path, thickness: int, method: str, threads: int, options: list[str]) -> Took:
    """Reconstruct the series in ``folder`` by its alignment, as a user does; all processes of the program count."""
    return run(
        [
            *PYPCORE, "run", "tomogram", "series.st", "-o", f"job-{method[:4]}-{threads}", "--bin", "1",
            "--pixel-size", str(PIXEL), "--thickness", str(thickness), "--alignment", "aligned",
            "--normalise", "none", "--no-dose-weighting", "--threads", str(threads), *options,
        ],
        threads=threads,
        folder=folder,
    )  # fmt: skip


def _write_series(folder: Path, y: int, x: int) -> None:
    """Write a stack of noise with its angles, and an alignment that leaves it as it is."""
    with mrcfile.new_mmap(folder / "series.st", (ANGLES.size, y, x), 2) as file:
        rng = np.random.default_rng(0)
        for t in range(ANGLES.size):
            file.data[t] = rng.normal(100, 10, (y, x))
        file.set_image_stack()
        file.voxel_size = PIXEL
        file.update_header_stats()
    angles = "".join(f"{angle:8.2f}\n" for angle in ANGLES)
    (folder / "series.rawtlt").write_text(angles)
    (folder / "aligned").mkdir()
    (folder / "aligned/series.tlt").write_text(angles)
    (folder / "aligned/series.xf").write_text("1 0 0 1 0 0\n" * ANGLES.size)


def _quality(threads: int, out: Console) -> list[Row]:
    """The noise-free series of 512 x 512 x 128: against the truth, and turned over in z."""
    out.print("tomogram: quality", style="dim")
    plan = TiltPlan(axis=0.0, shift=0.0, dose=0.0)
    series = simulate_series("vesicles", plan, seed=7)
    alignment = TiltAlignment.of_axis(series.angles, 0.0, None, plan.shape, plan.pixel_size)
    settings = TomogramSettings((plan.depth, *plan.shape), cutoff=0.5, falloff=0)
    truth = series.truth()
    rows = []
    begin = time.process_time()
    found = -reconstruct(series.tilts, alignment, settings, threads=threads).volume  # what is dense is dark in tilts
    cpu = time.process_time() - begin
    for what, volume in (("wbp against the truth", found), ("the same, z turned over", found[::-1])):
        score = TomogramScore.of(truth, volume, 60, threads)
        shells = "/".join(f"{score.at(share):.3f}" for share in (0.1, 0.25, 0.5))
        note = f"correlation {score.correlation:.4f}, FSC at .1/.25/.5 Nyquist {shells}"
        rows.append(Row("t512", what, threads, cpu, note=note))
    return rows


def report(rows: list[Row], out: Console) -> None:
    """Print the table."""
    table = Table(title="tomogram: updates are voxels times tilts", title_justify="left")
    for heading in ("case", "what", "threads", "CPU s", "wall s", "G-updates/s/core", "peak MB", ""):
        table.add_column(heading, justify="left" if heading in ("case", "what", "") else "right")
    for row in rows:
        rate = "" if not row.updates or not row.cpu else f"{row.updates / row.cpu:.2f}"
        wall = "" if row.wall is None else f"{row.wall:.2f}"
        peak = "" if row.peak_mb is None else f"{row.peak_mb:.0f}"
        table.add_row(row.case, row.what, str(row.threads), f"{row.cpu:.3f}", wall, rate, peak, row.note)
    table.add_row("", "IMOD 4.8.2 tilt, whole program, elsewhere", "1", "", "", "0.80-1.14", "", "quoted, not measured")
    out.print(table)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out.print(f"the bench's own peak: {used:.0f} MB; the whole program is start-up, tables and pictures too")


def _best(function: Callable[[], object], times: int = 4) -> float:
    """Return the least CPU s of some calls, after one that is not counted."""
    function()
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        function()
        best = min(best, time.process_time() - begin)
    return best
