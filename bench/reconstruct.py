"""Reconstruction: CPU time a particle, over the floor, beside RELION; closeness to the truth; memory; threads.

    python -m bench.reconstruct [--box 128] [--particles 2000 10000] [--quality] [--data FOLDER]

What a particle takes is the slope between two numbers of particles, so start-up and the making of maps stand apart.
Floors are measured now: reading, the transforms, and adding samples to the cells of a volume. RELION is run with the
CTF, as a user would; cryoDRGN's ``backproject_voxel`` where it is on PATH is not: it takes files of its own kind.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.process import Took, run
from pypcore.formats.mrc import read_mrc
from pypcore.kernels import fft
from pypcore.simulate import particles as simulated

STACK = 100  # particles a micrograph
SIDE = 256.0  # Å of the box

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
sums, done = None, 0
while done < count:
    images, pixel_size = read_mrc(stacks[done // 100 % len(stacks)])
    own = np.arange(done, done + len(images)) % len(known["rot"])
    if sums is None:
        pixel_size = float(known["pixel_size"])
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


def relion(folder: Path, count: int, options: list[str], work: Path) -> Took:
    """Run RELION on as many particles; its table repeats the stacks as ours does."""
    text = (folder / "particles.star").read_text()
    head, _, rows = text.partition("_rlnRandomSubset\n")
    lines = rows.strip().splitlines()
    star = work / "particles.star"
    star.write_text(head + "_rlnRandomSubset\n" + "\n".join((lines * (count // len(lines) + 1))[:count]) + "\n")
    link = work / "particles"
    if not link.exists():
        link.symlink_to(folder / "particles")
    command = ["relion_reconstruct", "--i", star, "--o", "relion.mrc", "--ctf", *options]
    return run(command, threads=1, folder=work)


def floors(folder: Path, padding: int) -> dict[str, float]:
    """Milliseconds a particle of what no program can leave out, measured now on one thread."""
    stack = min((folder / "particles").glob("*.mrcs"))
    read_mrc(stack)
    begin = time.process_time()
    images, _ = read_mrc(stack)
    reading = time.process_time() - begin
    fft.rfft2(images[:8])
    begin = time.process_time()
    for first in range(0, len(images), 8):
        fft.rfft2(images[first : first + 8])
    return {
        "read": reading / len(images) * 1e3,
        "transform": (time.process_time() - begin) / len(images) * 1e3,
        "insert": _bare_insertion(images.shape[1], padding),
    }


def _bare_insertion(box: int, padding: int, count: int = 64) -> float:
    """Milliseconds a particle of adding samples to cells, with the least before it: no CTF, no shift, no aberration."""
    from pypcore import kernels
    from pypcore.reconstruct.accumulator import LANES, volume_shape
    from pypcore.reconstruct.particles import Optics, Poses
    from pypcore.reconstruct.transfer import Frame, transfer_of

    drawn = simulated.random_particles(count, 1, shift=0)
    poses = Poses(drawn.rot, drawn.tilt, drawn.psi)
    known = transfer_of(Frame(box, box, 1.0, padding), poses, None, [Optics(1.0)], np.zeros(count, int))
    volume = np.ones((*volume_shape(box, padding), LANES), np.float32)
    spectra = np.ones((count, box, box // 2 + 1), np.complex64)
    order = np.arange(count, dtype=np.int32)
    none = np.zeros((0, 1), np.float32), np.full(count, -1, np.int32)
    insert, best = kernels.get("insert_slices", "cython"), np.inf
    for _ in range(4):
        begin = time.process_time()
        insert(
            volume, spectra, order, known.matrices, known.shifts, known.ctf, known.tables, known.table_of, *none,
            0, len(volume),
        )  # fmt: skip
        best = min(best, time.process_time() - begin)
    return best / count * 1e3


def speed(box: int, counts: tuple[int, int], data: Path, out: Console, threads_list: tuple[int, ...] = (1, 2)) -> None:
    """Print the slope between two numbers of particles, for ours and RELION."""
    folder = prepare(box, min(1000, counts[0]), data)
    table = Table(title=f"box {box}: {counts[0]} and {counts[1]} particles", title_justify="left")
    for heading in ("program", "CPU ms/particle", "wall ms/particle", "fixed CPU s", "peak MB", "x floor"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    least = floors(folder, 1)
    floor = sum(least.values())
    table.add_row("floor: " + ", ".join(f"{k} {v:.3f}" for k, v in least.items()), f"{floor:.3f}", "", "", "", "1.0")
    programs = [(f"pypcore, {n} threads", lambda c, w, n=n: ours(folder, c, 1, n, w)) for n in threads_list]
    programs.append(("pypcore, padding 2", lambda c, w: ours(folder, c, 2, 1, w)))
    if shutil.which("relion_reconstruct"):
        settings = (["--pad", "1", "--skip_gridding"], ["--pad", "2", "--skip_gridding"], [])
        for options in settings[: 3 if box <= 128 else 1]:
            name = "RELION " + (" ".join(options) or "default")
            programs.append((name, lambda c, w, o=options: relion(folder, c, o, w)))
    for name, program in programs:
        with tempfile.TemporaryDirectory(dir=data) as work:
            few, many = (program(count, Path(work)) for count in counts)
        if few.failed or many.failed:
            table.add_row(name, few.failed or many.failed or "")
            continue
        step = counts[1] - counts[0]
        slope = (many.cpu - few.cpu) / step * 1e3
        table.add_row(
            name, f"{slope:.3f}", f"{(many.wall - few.wall) / step * 1e3:.3f}",
            f"{few.cpu - slope * counts[0] / 1e3:.2f}", f"{many.peak_mb:.0f}", f"{slope / floor:.2f}",
        )  # fmt: skip
    out.print(table)


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
    parser.add_argument("--quality", action="store_true", help="closeness to the truth too, at the first box")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "pypcore-bench")
    asked = parser.parse_args()
    asked.data.mkdir(parents=True, exist_ok=True)
    out = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    out.print(" · ".join(f"{key} {value}" for key, value in machine.describe().items()), soft_wrap=True)
    boxes = asked.box or [128, 256, 400]
    for box in boxes:
        speed(box, tuple(asked.particles), asked.data, out)
    if asked.quality:
        quality(boxes[0], asked.data, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
