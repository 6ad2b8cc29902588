"""A large reconstruction as users have it: killed at random and resumed, here and on SLURM, in bundles of many sizes.

    python -m bench.large_reconstruct [--micrographs 500] [--each 100] [--box 256] [--bundles 100 7] [--small 1]

Makes the particles once (float16 stacks, kept in --data), reconstructs them undisturbed, then with workers and pools
killed at random moments, by ``run`` and by ``submit`` on a SLURM of this machine's own, and compares every byte of
products and partials. Other bundle sizes are compared by their maps. Sizes whose partials would fill the disk go over
the first --subset micrographs only (--small). Ends with 1 where anything is not as it should be.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import machine, slurm
from bench.deaths import MAPS, Ended, Here, OnSlurm, ask, carry_out
from pypcore.formats.mrc import read_mrc
from pypcore.postprocess.fsc import measure
from pypcore.reconstruct.arrays import Projector
from pypcore.reconstruct.particles import Ctf, Optics, Poses
from pypcore.simulate import particles as simulated

SIDE = 256.0  # Å of the box
SNR = 0.1
CLOSE, ALIKE = 1e-5, 0.99999  # relative difference and least FSC of maps whose sums are grouped otherwise


def prepare(folder: Path, box: int, micrographs: int, each: int, progress: Console) -> None:
    """Make noisy particles of a known map, unless they are there: ``particles.star``, its stacks, ``truth.npy``."""
    if (folder / "particles.star").exists():
        return
    pixel_size = SIDE / box
    molecule = simulated.chain(sigma=0.6 * pixel_size)
    known = simulated.random_particles(micrographs * each, 1)
    truth = simulated.density(molecule, box, pixel_size)
    projector = Projector(truth, pixel_size)
    rng = np.random.default_rng(2)

    def projected(own: slice) -> np.ndarray:
        poses = Poses(*(getattr(known, name)[own] for name in ("rot", "tilt", "psi", "shift_y", "shift_x")))
        ctf = Ctf(*(getattr(known, name)[own] for name in ("defocus_u", "defocus_v", "angle")))
        return projector.project(poses, ctf, Optics(pixel_size))

    y, x = np.mgrid[:box, :box] - box // 2
    inside = y * y + x * x < (70 / pixel_size) ** 2
    noise = np.float32(np.sqrt(np.mean([image[inside].var() for image in projected(slice(0, 64))]) / SNR))

    def stacks() -> Iterator[np.ndarray]:
        for number in range(micrographs):
            if number % 50 == 0:
                progress.print(f"making particles: micrograph {number} of {micrographs}", style="dim")
            images = projected(slice(number * each, (number + 1) * each))
            yield images + noise * rng.standard_normal(images.shape, dtype=np.float32)

    simulated.write_particles(folder, stacks(), known, pixel_size, float16=True)
    np.save(folder / "truth.npy", truth)


def first_micrographs(folder: Path, count: int) -> str:
    """Write ``first.star`` with the particles of the first ``count`` micrographs; return its name."""
    names = {f"@particles/mic{number:04d}.mrcs" for number in range(1, count + 1)}
    lines = (folder / "particles.star").read_text().splitlines()
    kept = [line for line in lines if "@" not in line or any(name in line for name in names)]
    (folder / "first.star").write_text("\n".join(kept) + "\n")
    return "first.star"


def same_bits(row: Ended, whole: Ended) -> None:
    """Say whether two jobs left the same bytes."""
    names = sorted(row.contents.keys() | whole.contents.keys())
    others = [name for name in names if row.contents.get(name) != whole.contents.get(name)]
    row.good = row.good and not others
    row.said += f"other bits than {whole.job}: {', '.join(others)}" if others else f"the bits of {whole.job}"


def same_map(row: Ended, folder: Path, whole: Ended) -> None:
    """Say how far apart the maps of two jobs are."""
    farthest, least = 0.0, 1.0
    for name in MAPS:
        (one, pixel_size), (other, _) = (read_mrc(folder / job / name) for job in (row.job, whole.job))
        farthest = max(farthest, float(np.linalg.norm(one - other) / np.linalg.norm(other)))
        least = min(least, float(measure(one, other, pixel_size or 1.0).unmasked[1:].min()))
    row.good = row.good and farthest < CLOSE and least > ALIKE
    row.said += f"beside {whole.job}: difference {farthest:.1e}, least FSC {least:.7f}"


def advice(folder: Path, bundle: int) -> str:
    """What is said before a job starts."""
    dry = ("run", "reconstruct", "particles.star", "-o", "never", "--dry-run", "--json")
    return str(json.loads(ask(folder, *dry, "--bundle-size", str(bundle)))["advice"]) or "nothing"


def all_jobs(folder: Path, asked: argparse.Namespace, progress: Console, out: Console) -> list[Ended]:
    """All jobs, each removed once it was compared; the rows of the table."""
    first, *others = asked.bundles
    rows: list[Ended] = []

    def options(bundle: int, star: str = "particles.star") -> list[str]:
        return [star, "--bundle-size", str(bundle), "--memory", "1", "--total-threads", str(asked.threads)]

    def carried(way: Here | OnSlurm, **deaths: float) -> Ended:
        progress.print(f"{way.job}: {' '.join(way.arguments)}")
        rows.append(carry_out(way, progress, **deaths))  # type: ignore[arg-type]
        return rows[-1]

    def gone(job: str, what: str = "") -> None:
        shutil.rmtree(folder / job / what)

    for bundle in sorted({*asked.bundles, *asked.small}):
        out.print(f"bundles of {bundle}, before anything starts: {advice(folder, bundle)}", soft_wrap=True)
    whole = carried(Here(folder, f"bundles-{first}", options(first)))
    gone(whole.job, "partials")
    disturbed = [*options(first), "--checkpoint", asked.checkpoint]
    killed = carried(
        Here(folder, f"{whole.job}-killed", disturbed), kills=asked.kills, expected=whole.wall, seed=asked.seed
    )
    same_bits(killed, whole)
    gone(killed.job)
    if slurm.installed() and not asked.no_slurm:
        with slurm.cluster(asked.data):
            way = OnSlurm(folder, f"{whole.job}-submitted", disturbed)
            killed = carried(way, kills=asked.kills, expected=whole.wall, seed=asked.seed + 1)
        same_bits(killed, whole)
        gone(killed.job)
    for bundle in others:
        other = carried(Here(folder, f"bundles-{bundle}", options(bundle)))
        same_map(other, folder, whole)
        gone(other.job)
    gone(whole.job)
    if asked.small:
        star = first_micrographs(folder, asked.subset)
        whole = carried(Here(folder, f"first-{asked.subset}-bundles-{first}", options(first, star)))
        for bundle in asked.small:
            other = carried(Here(folder, f"first-{asked.subset}-bundles-{bundle}", options(bundle, star)))
            same_map(other, folder, whole)
            gone(other.job)
        gone(whole.job)
    return rows


def report(rows: list[Ended], asked: argparse.Namespace, out: Console) -> None:
    particles = asked.micrographs * asked.each
    title = f"{particles:,} particles of box {asked.box} in {asked.micrographs} micrographs"
    table = Table(title=title, title_justify="left")
    for heading in ("job", "wall s", "CPU s", "killed", "starts", "partials", "GB of them", "what was found"):
        table.add_column(heading, justify="left" if heading in ("job", "what was found") else "right")
    for row in rows:
        cpu = "" if row.cpu is None else f"{row.cpu:.0f}"
        counts = (str(each) for each in (row.kills, row.starts, row.partials))
        figures = (f"{row.wall:.0f}", cpu, *counts, f"{row.written / 1e9:.2f}")
        table.add_row(row.job, *figures, row.said if row.good else f"[red]{row.said}[/red]")
    out.print(table)


def main() -> int:
    """Do all that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.large_reconstruct", description=__doc__)
    parser.add_argument("--micrographs", type=int, default=500, help="[%(default)s]")
    parser.add_argument("--each", type=int, default=100, help="particles of a micrograph [%(default)s]")
    parser.add_argument("--box", type=int, default=256, help="px [%(default)s]")
    parser.add_argument(
        "--bundles", type=int, nargs="+", default=[100, 7], help="bundle sizes; the first is the one killed [100 7]"
    )
    parser.add_argument("--small", type=int, nargs="*", default=[1, 7], help="sizes tried on the subset [1 7]")
    parser.add_argument("--subset", type=int, default=40, help="micrographs of the subset [%(default)s]")
    parser.add_argument("--kills", type=int, default=5, help="deaths of each disturbed job [%(default)s]")
    parser.add_argument("--checkpoint", default="0:10", help="of disturbed jobs, M:SS [%(default)s]")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="at a time [all cores here]")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of death [%(default)s]")
    parser.add_argument("--no-slurm", action="store_true", help="leave out submit")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "pypcore-bench")
    asked = parser.parse_args()
    out, progress = Console(width=None if sys.stdout.isatty() else 160, highlight=False), Console(stderr=True)
    out.print(" · ".join(f"{key} {value}" for key, value in machine.describe().items()), soft_wrap=True)
    asked.data = asked.data.resolve()
    folder = asked.data / f"large-{asked.box}-{asked.micrographs}-{asked.each}"
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, asked.box, asked.micrographs, asked.each, progress)
    for left in (*folder.glob("bundles-*"), *folder.glob("first-*")):  # of a run that was broken off
        shutil.rmtree(left)
    rows = all_jobs(folder, asked, progress, out)
    report(rows, asked, out)
    out.print(f"the particles are kept: {folder}", soft_wrap=True)
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
