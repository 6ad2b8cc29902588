"""Reconstruction: CPU time a particle, over the floor, beside RELION; closeness to the truth; memory; threads.

    python -m bench.reconstruct [--box 128] [--particles 2000 10000] [--repeats 3] [--quality] [--data FOLDER]

What a particle takes is the slope between two numbers of particles, so start-up and the making of maps stand apart.
Floors are measured now, on one thread: reading the images, their transforms, and the bare additions to the cells of a
volume, each read and written once a sample. RELION is run with the CTF, as a user would; cryoDRGN's
``backproject_voxel`` at box 128, where it is on PATH (``pip install cryodrgn``, apart: it brings PyTorch), with the
poses and CTFs in its own files, which are made beforehand and not counted.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.process import Took, run
from pypcore.formats.mrc import read_mrc
from pypcore.geometry import rotation_matrices
from pypcore.kernels import fft
from pypcore.simulate import particles as simulated

STACK = 100  # particles a micrograph
SIDE = 256.0  # Å of the box

Program = Callable[[int, Path], Took]  # of a number of particles and a folder to work in

_OURS = """
import sys, resource
from pathlib import Path
import numpy as np
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.reconstruct.accumulator import Accumulator
from pypcore.reconstruct.finish import Finish, make_map
from pypcore.reconstruct.particles import Ctf, Optics, Poses
folder, count, padding, threads, out = Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:5]), sys.argv[5]
known = np.load(folder / "known.npz")
stacks = sorted((folder / "particles").glob("*.mrcs"))
pixel_size, sums, done = float(known["pixel_size"]), None, 0
while done < count:
    images, _ = read_mrc(stacks[done // 100 % len(stacks)])
    own = np.arange(done, done + len(images)) % len(known["rot"])
    if sums is None:
        sums = Accumulator(images.shape[1], pixel_size, padding=padding, threads=threads)
    pose = Poses(*(known[n][own] for n in ("rot", "tilt", "psi", "shift_y", "shift_x")))
    ctf = Ctf(*(known[n][own] for n in ("defocus_u", "defocus_v", "angle")))
    sums.add(images, pose, ctf, Optics(pixel_size), 1 + own % 2)
    done += len(images)
for number in range(2):
    made = make_map(sums.sums[number], sums.box, padding, threads=threads)
    write_mrc(Path(f"{out}_half{number + 1}.mrc"), made, pixel_size, volume=True)
"""


def prepare(box: int, distinct: int, data: Path, snr: float = 0.0, seed: int = 1) -> Path:
    """Make ``distinct`` particles, whose stacks are gone over again where more are asked for."""
    folder = data / f"particles-{box}-{distinct}-{snr:g}-{seed}"
    if not (folder / "known.npz").exists():
        pixel_size = SIDE / box
        molecule = simulated.chain(sigma=0.6 * pixel_size)
        drawn = simulated.random_particles(distinct, seed)
        images = simulated.images(molecule, drawn, box, pixel_size)
        if snr:
            images = simulated.with_noise(images, snr, 70 / pixel_size, seed)
        simulated.write_particles(folder, [images[n : n + STACK] for n in range(0, distinct, STACK)], drawn, pixel_size)
        np.save(folder / "truth.npy", simulated.density(molecule, box, pixel_size))
        known = {name: getattr(drawn, name) for name in drawn.__dataclass_fields__}
        np.savez(folder / "known.npz", pixel_size=pixel_size, **known)
    return folder


def ours(folder: Path, count: int, padding: int, threads: int, work: Path) -> Took:
    command = [sys.executable, "-c", _OURS, folder, str(count), str(padding), str(threads), "ours"]
    return run(command, threads=threads, folder=work)


def _table(folder: Path, count: int, work: Path) -> Path:
    """Write a table of as many particles into ``work``; it repeats the stacks as ours does."""
    text = (folder / "particles.star").read_text()
    head, _, rows = text.partition("_rlnRandomSubset\n")
    lines = rows.strip().splitlines()
    star = work / "particles.star"
    star.write_text(head + "_rlnRandomSubset\n" + "\n".join((lines * (count // len(lines) + 1))[:count]) + "\n")
    link = work / "particles"
    if not link.exists():
        link.symlink_to(folder / "particles")
    return star


def relion(folder: Path, count: int, options: list[str], work: Path) -> Took:
    """Run RELION on as many particles."""
    command = ["relion_reconstruct", "--i", _table(folder, count, work), "--o", "relion.mrc", "--ctf", *options]
    return run(command, threads=1, folder=work)


def cryodrgn(folder: Path, count: int, work: Path) -> Took:
    """Run cryoDRGN on as many particles: it adds each to the whole map and to one half."""
    star = _table(folder, count, work)
    files: list[str] = []
    for what, option in (("pose", "--poses"), ("ctf", "--ctf")):
        made = run(["cryodrgn", f"parse_{what}_star", star, "-o", f"{what}.pkl"], threads=1, folder=work)
        if made.failed:
            return made
        files += [option, f"{what}.pkl"]
    command = ["cryodrgn", "backproject_voxel", star, "--datadir", work, *files, "--uninvert-data", "-o", "cryodrgn"]
    return run(command, threads=1, folder=work, env={"OMP_NUM_THREADS": "1"})


def floors(folder: Path, padding: int) -> dict[str, float]:
    """Milliseconds a particle of what no program can leave out, measured now on one thread; the least of five."""
    stack = min((folder / "particles").glob("*.mrcs"))
    images, _ = read_mrc(stack)
    batches = [images[first : first + 8] for first in range(0, len(images), 8)]
    add = _cell_additions(images.shape[1], padding)
    works = {"read": lambda: read_mrc(stack), "transform": lambda: [fft.rfft2(batch) for batch in batches], "add": add}
    least = {}
    for name, work in works.items():
        work()
        took = []
        for _ in range(5):
            begin = time.process_time()
            work()
            took.append(time.process_time() - begin)
        least[name] = min(took) / (STACK if name == "add" else len(images)) * 1e3
    return least


def _cell_additions(box: int, padding: int) -> Callable[[], None]:
    """Read, add to and write back the eight cells of 16 bytes about each sample of ``STACK`` slices, and no more.

    None of our kernels is in it: the cells are known beforehand, and what is added is a constant.
    """
    radius = box * padding // 2
    side, row = 2 * radius + 3, radius + 2
    x, y = np.meshgrid(np.arange(box // 2 + 1), np.arange(-box // 2, box // 2))
    inside = x * x + y * y < (box // 2) ** 2
    points = np.stack([x[inside], y[inside]]) * padding
    rotations = rotation_matrices(*np.random.default_rng(1).uniform(0, 360, (3, STACK)))[:, :, :2]
    first = np.empty((STACK, points.shape[1]), np.int32)  # of each sample: the cell at its lower corner
    for corner, rotation in zip(first, rotations, strict=True):
        at = rotation @ points
        at *= np.where(at[0] < 0, -1, 1)
        column, line, plane = np.floor(at).astype(np.int32)
        corner[:] = ((plane + radius + 1) * side + line + radius + 1) * row + column
    volume = np.zeros(side * side * row, np.complex128)  # 16 bytes a cell
    offsets = (1, row, row + 1, side * row, side * row + 1, (side + 1) * row, (side + 1) * row + 1)

    @numba.njit
    def add(volume, cells, a, b, c, d, e, f, g):  # type: ignore[no-untyped-def]
        one = 1 + 1j
        for cell in cells:
            volume[cell] += one
            volume[cell + a] += one
            volume[cell + b] += one
            volume[cell + c] += one
            volume[cell + d] += one
            volume[cell + e] += one
            volume[cell + f] += one
            volume[cell + g] += one

    cells = first.reshape(-1).astype(np.uint32)
    return lambda: add(volume, cells, *(np.uint32(offset) for offset in offsets))


@dataclass(frozen=True)
class Row:
    """What a program takes: medians of CPU time and the least of wall time, over the repeats."""

    box: int
    program: str
    cpu: float  # ms a particle
    wall: float  # ms a particle
    fixed: float  # s of CPU
    peak_mb: float
    floors: float  # how many
    failed: str | None = None


def speed(box: int, counts: tuple[int, int], data: Path, progress: Console, repeats: int = 3) -> list[Row]:
    """Measure the slope between two numbers of particles, for ours, with one and two threads, and RELION's."""
    folder = prepare(box, min(1000, counts[0]), data)
    least = floors(folder, 1)
    threads = [n for n in (1, 2) if n <= len(os.sched_getaffinity(0))]
    programs: list[tuple[str, Program]] = [
        (f"pypcore, threads: {n}", lambda c, w, n=n: ours(folder, c, 1, n, w)) for n in threads
    ]
    programs.append(("pypcore, padding 2", lambda c, w: ours(folder, c, 2, 1, w)))
    if shutil.which("relion_reconstruct"):
        settings = ("--pad 1 --skip_gridding", "--pad 2 --skip_gridding", "")
        for options in settings[: 3 if box <= 128 else 1]:
            name = "RELION " + (options or "default")
            programs.append((name, lambda c, w, o=options.split(): relion(folder, c, o, w)))
    if box <= 128 and shutil.which("cryodrgn"):
        programs.append(("cryoDRGN backproject_voxel", lambda c, w: cryodrgn(folder, c, w)))
    taken: dict[str, list[tuple[Took, Took]]] = {name: [] for name, _ in programs}
    for turn in range(repeats):  # all in turn, so that what else the machine does falls on all
        least = {name: min(least[name], value) for name, value in floors(folder, 1).items()}
        for name, program in programs:
            progress.print(f"reconstruct: box {box}, {name}, {turn + 1} of {repeats}")
            with tempfile.TemporaryDirectory(dir=data) as work:
                taken[name].append((program(counts[0], Path(work)), program(counts[1], Path(work))))
    floor = sum(least.values())
    said = ", ".join(f"{name} {value:.3f}" for name, value in least.items())
    rows = [Row(box, f"floor: {said}", floor, floor, 0, 0, 1)]
    rows += [_row(box, name, pairs, counts, floor) for name, pairs in taken.items()]
    absent = {"relion_reconstruct": "RELION", **({"cryodrgn": "cryoDRGN"} if box <= 128 else {})}
    rows += [
        Row(box, name, 0, 0, 0, 0, 0, "not on PATH") for program, name in absent.items() if not shutil.which(program)
    ]
    return rows


def _row(box: int, name: str, pairs: list[tuple[Took, Took]], counts: tuple[int, int], floor: float) -> Row:
    for pair in pairs:
        for took in pair:
            if took.failed:
                return Row(box, name, 0, 0, 0, 0, 0, took.failed)
    step = (counts[1] - counts[0]) / 1e3
    cpu = statistics.median(many.cpu - few.cpu for few, many in pairs) / step
    wall = (min(many.wall for _, many in pairs) - min(few.wall for few, _ in pairs)) / step
    fixed = statistics.median(few.cpu for few, _ in pairs) - cpu * counts[0] / 1e3
    return Row(box, name, cpu, wall, fixed, max(many.peak_mb for _, many in pairs), cpu / floor)


def report(rows: list[Row], out: Console) -> None:
    """Print the table of ``speed``."""
    table = Table(title=f"particles to half maps, box {rows[0].box}", title_justify="left")
    for heading in ("program", "CPU ms/particle", "wall ms/particle", "fixed CPU s", "peak MB", "x floor"):
        table.add_column(heading, justify="left" if heading == "program" else "right", no_wrap=True)
    for row in rows:
        figures = (f"{row.cpu:.3f}", f"{row.wall:.3f}", f"{row.fixed:.2f}", f"{row.peak_mb:.0f}", f"{row.floors:.2f}")
        if row.peak_mb == 0 and not row.failed:  # a floor has neither start nor memory
            figures = (f"{row.cpu:.3f}", "", "", "", "1.00")
        table.add_row(row.program, *((row.failed,) if row.failed else figures))
    out.print(table)


def measure(
    boxes: list[int], counts: tuple[int, int], data: Path, progress: Console, out: Console, repeats: int = 3
) -> list[dict[str, Any]]:
    """Measure and print boxes; return the rows as records."""
    found = []
    for box in boxes:
        rows = speed(box, counts, data, progress, repeats)
        report(rows, out)
        found += [asdict(row) for row in rows]
    return found


def shells(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """FSC of two maps under the same soft sphere of ``radius`` voxels."""
    n = len(a)
    z, y, x = (axis - n // 2 for axis in np.ogrid[:n, :n, :n])
    mask = 0.5 + 0.5 * np.cos(np.pi * np.clip((np.sqrt(z * z + y * y + x * x) - radius) / 6, 0, 1))
    first, second = (np.fft.rfftn(v * mask) for v in (a, b))
    k = np.fft.fftfreq(n, 1 / n)
    shell = np.rint(np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(n // 2 + 1) ** 2)).astype(int)
    parts = ((first * second.conj()).real, abs(first) ** 2, abs(second) ** 2)
    weight = np.where((np.arange(n // 2 + 1) % (n // 2)) == 0, 1.0, 2.0)
    sums = [np.bincount(shell.ravel(), (v * weight).ravel())[: n // 2 + 1] for v in parts]
    return sums[0] / np.sqrt(sums[1] * sums[2])


def quality(box: int, data: Path, out: Console, seeds: int = 5) -> None:
    """Print the FSC to the truth, without noise (2,000 particles) and at SNR 0.1 (1,000), ours beside RELION's."""
    import pypcore
    from pypcore.reconstruct.finish import Finish
    from pypcore.reconstruct.particles import Ctf, Poses

    table = Table(title=f"box {box}: FSC to the truth, sphere of 80 Å", title_justify="left")
    for heading in ("particles", "program", "least, 0.1-0.9 Nyquist", "mean", "Nyquist", "least FSC with RELION's"):
        table.add_column(heading, justify="left" if heading in ("particles", "program") else "right")
    cases = [
        ("2000, no noise", 2000, 0.0, 1),
        *((f"1000, SNR 0.1, seed {n}", 1000, 0.1, n) for n in range(1, seeds + 1)),
    ]
    band = slice(int(np.ceil(0.05 * box)), int(0.45 * box) + 1)
    for label, count, snr, seed in cases:
        folder = prepare(box, count, data, snr, seed)
        known, truth = np.load(folder / "known.npz"), np.load(folder / "truth.npy")
        images = np.concatenate([read_mrc(path)[0] for path in sorted((folder / "particles").glob("*.mrcs"))])
        poses = Poses(*(known[n] for n in ("rot", "tilt", "psi", "shift_y", "shift_x")))
        ctf, pixel_size = Ctf(*(known[n] for n in ("defocus_u", "defocus_v", "angle"))), float(known["pixel_size"])
        theirs = {}
        if shutil.which("relion_reconstruct"):
            for options in ("--pad 1 --skip_gridding", "--pad 2 --skip_gridding", "--pad 2"):
                with tempfile.TemporaryDirectory(dir=data) as work:
                    relion(folder, count, options.split(), Path(work))
                    theirs[options] = read_mrc(Path(work) / "relion.mrc")[0]
        rows = [("RELION " + options, made, None) for options, made in theirs.items()]
        for padding in (1, 2):
            for iterations in (0, 10):
                made = pypcore.backproject(
                    images, poses, ctf, pixel_size=pixel_size, padding=padding, finish=Finish(iterations=iterations)
                )
                peer = theirs.get(f"--pad {padding} --skip_gridding")
                rows.append((f"pypcore, padding {padding}, {iterations} iterations", made, peer))
        for program, made, peer in rows:
            curve = shells(made, truth, 80 / pixel_size)
            cross = "" if peer is None else f"{shells(made, peer, 80 / pixel_size)[band].min():.5f}"
            table.add_row(
                label, program, f"{curve[band].min():.5f}", f"{curve[1:].mean():.5f}", f"{curve[-1]:.3f}", cross
            )
    out.print(table)


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconstruct", description=__doc__)
    parser.add_argument("--box", type=int, action="append", help="128, 256 or 400; may be given several times")
    parser.add_argument("--particles", type=int, nargs=2, default=(2000, 10000), help="few and many [%(default)s]")
    parser.add_argument("--repeats", type=int, default=3, help="of each program [%(default)s]")
    parser.add_argument("--quality", action="store_true", help="closeness to the truth too, at the first box")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "pypcore-bench")
    asked = parser.parse_args()
    asked.data.mkdir(parents=True, exist_ok=True)
    out = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    out.print(" · ".join(f"{key} {value}" for key, value in machine.describe().items()), soft_wrap=True)
    boxes = asked.box or [128, 256, 400]
    measure(boxes, tuple(asked.particles), asked.data, Console(stderr=True), out, asked.repeats)
    if asked.quality:
        quality(boxes[0], asked.data, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
