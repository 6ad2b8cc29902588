"""Tilt alignment from raw against the truth: ``python -m bench.tilts`` prints the table; nothing is asserted.

Three kinds of content, five seeds each, axis 85.3 degrees, noise at 3 e-/Å² a view, 41 views of 512 x 512 px of 10 Å
(a raw series of 2.5 Å binned by 4), shifts up to 100 raw px, a guess of the axis 2.7 degrees off. Beside each row, what
the same solver reaches when it begins at the true axis, and what the tomogram's correlation to the truth comes to with
the alignment found, relative to that with the true one.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pypcore.beads.align import align_on_beads
from pypcore.beads.settings import BeadSettings
from pypcore.motion.parallel import Threads
from pypcore.simulate.tilt_score import TiltScore, in_the_true_frame
from pypcore.simulate.tilt_specimen import CONTENTS
from pypcore.simulate.tiltseries import SimulatedSeries, TiltPlan, simulate_series
from pypcore.tilts.align import Aligned, align
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tilts.settings import AlignSettings
from pypcore.tomogram.reconstruct import reconstruct
from pypcore.tomogram.settings import TomogramSettings

_SEEN_TO = 0.125  # cycles per px up to which volumes are compared: beyond, one voxel is noise


@dataclass
class Row:
    """One series."""

    content: str
    seed: int
    score: TiltScore
    expected: float  # px, the solver's own
    from_truth: TiltScore
    kept: float  # correlation of the tomogram to the truth, of that with the true alignment
    bad_found: bool
    cpu: float  # s
    on_beads: TiltScore | None = None  # of gold: aligned on beads, from the alignment without them
    beads_cpu: float = 0.0  # s, besides


def measure(content: str, seed: int, plan: TiltPlan, threads: int) -> Row:
    series = simulate_series(content, plan, seed=seed)  # type: ignore[arg-type]
    began = time.process_time()
    found = _align(series, plan.axis + 2.7, threads)
    cpu = time.process_time() - began
    from_truth = _align(series, plan.axis, threads)
    true = TiltAlignment.of_axis(series.angles, plan.axis, series.shifts, plan.shape, plan.pixel_size)
    true = true.leave_out([*plan.dark, *plan.lost])
    truth = series.truth()
    kept, most = (
        _correlation(series, one, truth, threads) for one in (in_the_true_frame(found.alignment, series), true)
    )
    return Row(
        content,
        seed,
        TiltScore.of(found.alignment, series),
        float(np.sqrt(np.nanmean(found.error**2))) / plan.pixel_size,
        TiltScore.of(from_truth.alignment, series),
        kept / most,
        {one.view for one in found.bad} == {*plan.dark, *plan.lost},
        cpu,
        *_on_beads(series, found.alignment, threads),
    )


def _on_beads(series: SimulatedSeries, start: TiltAlignment, threads: int) -> tuple[TiltScore | None, float]:
    """Align a series of gold on its beads, of 10 px."""
    if not len(series.specimen.beads):
        return None, 0.0
    used = np.flatnonzero(start.used)
    settings = BeadSettings(10.0, float(series.plan.depth))
    began = time.process_time()
    with Threads(threads) as workers:
        found = align_on_beads(
            series.tilts[used], start.select(used), settings, workers, logging.getLogger("bench.tilts")
        )
    cpu = time.process_time() - began
    chosen = replace(series, angles=series.angles[used], shifts=series.shifts[used])
    return TiltScore.of(found.alignment, chosen), cpu


def _align(series: SimulatedSeries, axis: float, threads: int) -> Aligned:
    with Threads(threads) as workers:
        log = logging.getLogger("bench.tilts")
        return align(series.tilts, series.angles, series.plan.pixel_size, axis, AlignSettings(), workers, log)


def _correlation(series: SimulatedSeries, alignment: TiltAlignment, truth: NDArray[np.float32], threads: int) -> float:
    """Correlation of the tomogram to the truth, over the part of Fourier space that was measured."""
    settings = TomogramSettings(truth.shape, normalise="mean")  # type: ignore[arg-type]
    volume = -reconstruct(series.tilts, alignment, settings, threads=threads).volume
    kz, ky = (np.fft.fftfreq(n) for n in truth.shape[:2])
    kx = np.fft.rfftfreq(truth.shape[2])
    radius = np.sqrt(kz[:, None, None] ** 2 + ky[:, None] ** 2 + kx**2)
    steepest = np.tan(np.radians(np.abs(series.angles).max()))
    seen = (np.abs(kz)[:, None, None] <= kx * steepest) & (radius < _SEEN_TO) & (radius > 0) & (kx > 1.5 / len(ky))
    a, b = (np.fft.rfftn(one)[seen] for one in (truth, volume))
    return float(np.vdot(a, b).real / np.sqrt(np.vdot(a, a).real * np.vdot(b, b).real))


def measure_all(
    threads: int, out: Console, *, seeds: int = 5, shift: float = 25.0, contents: Sequence[str] = CONTENTS
) -> list[Row]:
    """Measure so many series of each kind, and print each row as it is done; ``shift``: the largest, px of 10 Å."""
    logging.getLogger("bench.tilts").setLevel(logging.ERROR)  # bad views are in the table
    plan = TiltPlan(shift=shift, dark=(5,), lost=(30,))
    out.print(
        "content    seed  shift px (expected; from true axis)  field px  axis deg  tomogram kept  bad found  CPU s"
    )
    rows = []
    for content in contents:
        for seed in range(1, seeds + 1):
            row = measure(content, seed, plan, threads)
            out.print(
                f"{content:10s} {seed:4d}  {row.score.shift:8.3f} ({row.expected:.3f}; {row.from_truth.shift:.3f})"
                f"{row.score.field:18.3f}  {row.score.axis:8.3f}  {row.kept:13.3f}  {row.bad_found!s:9s}"
                f"  {row.cpu:5.1f}"
            )
            if row.on_beads is not None:
                out.print(
                    f"  on its beads   {row.on_beads.shift:8.3f}{'':18s}{row.on_beads.field:18.3f}"
                    f"  {row.on_beads.axis:8.3f}{'':29s}{row.beads_cpu:5.1f} more"
                )
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="series of each kind [%(default)s]")
    parser.add_argument("--shift", type=float, default=25.0, help="px of 10 Å, largest shift [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="[%(default)s]")
    parser.add_argument("--content", choices=CONTENTS, action="append", help="default: all three")
    asked = parser.parse_args()
    out = Console(width=120, highlight=False)
    measure_all(asked.threads, out, seeds=asked.seeds, shift=asked.shift, contents=asked.content or CONTENTS)


if __name__ == "__main__":
    main()
