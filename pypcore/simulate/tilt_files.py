"""Simulated tilt series in files, as a microscope would have left them: a stack with angles, or movies with an mdoc."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from pypcore.formats.mrc import write_mrc
from pypcore.formats.tilt_angles import write_angles
from pypcore.simulate.tiltseries import SimulatedSeries


def write_stack(folder: Path, name: str, series: SimulatedSeries) -> Path:
    """Write ``NAME.st`` and ``NAME.rawtlt``; return the stack."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.st"
    write_mrc(path, series.tilts, series.plan.pixel_size)
    write_angles(folder / f"{name}.rawtlt", series.angles)
    return path


def write_movies(
    folder: Path,
    name: str,
    series: SimulatedSeries,
    *,
    dose: float,
    frames: int = 4,
    drift: float = 2.0,
    seed: int = 0,
    windows: str = "D:\\data\\frames",
    suffix: str = ".mrc",
    gain: NDArray[np.float32] | None = None,
) -> Path:
    """Write each tilt of a noise-free series as a movie of ``frames`` frames, and ``NAME.mdoc``; return the mdoc.

    A tilt has ``dose`` e-/Å², counted with Poisson's noise; the specimen drifts evenly by ``drift`` px in x between
    its first and last frame, by whole pixels. The mdoc has its sections by angle, the doses by a dose-symmetric order,
    and paths as they were on the microscope's PC, under ``windows``; the movies, MRC or (``.tif``) TIFF, lie in
    ``frames/`` beside it. Counts are what they were before a ``gain`` [y, x] multiplies them.
    """
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 5])
    plan = series.plan
    order = np.argsort(np.abs(series.angles) + 1e-3 * (series.angles < 0), kind="stable")
    ranks = np.argsort(order)
    sections = []
    for number, (tilt, angle, rank) in enumerate(zip(series.tilts, series.angles, ranks, strict=True)):
        movie = f"{name}_{rank:03d}_{angle:.1f}{suffix}"
        expected = tilt * (dose * plan.pixel_size**2 / frames)
        moves = np.rint(np.linspace(0, drift, frames)).astype(int)
        sensor = 1.0 if gain is None else 1 / gain
        counts = np.stack([rng.poisson(np.roll(expected, move, axis=1) * sensor) for move in moves]).astype(np.uint16)
        if suffix == ".tif":  # its first row is the top of the picture
            tifffile.imwrite(folder / "frames" / movie, counts[:, ::-1], compression="lzw", photometric="minisblack")
        else:
            write_mrc(folder / "frames" / movie, counts, plan.pixel_size)
        sections.append(
            f"[ZValue = {number}]\nTiltAngle = {angle:.4f}\nPixelSpacing = {plan.pixel_size:g}\n"
            f"ExposureDose = {dose:g}\nPriorRecordDose = {dose * rank:g}\nRotationAngle = {plan.axis + 90:g}\n"
            f"SubFramePath = {windows}\\{movie}\nNumSubFrames = {frames}\n"
        )
    path = folder / f"{name}.mdoc"
    path.write_text(
        f"PixelSpacing = {plan.pixel_size:g}\nVoltage = 300\nImageFile = {name}.mrc\n"
        f"ImageSize = {plan.shape[1]} {plan.shape[0]}\n\n"
        f"[T = Tilt axis angle = {plan.axis:g}, binning = 1  spot = 8  camera = 0]\n\n" + "\n".join(sections)
    )
    return path
