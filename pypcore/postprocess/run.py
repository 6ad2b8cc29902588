"""Post-processing two half maps from files to files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pypcore.errors import InputError, UsageError
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.postprocess import sharpen
from pypcore.postprocess.fsc import Fsc, Map, measure
from pypcore.postprocess.masks import LOWPASS, automatic, read_mask, sphere
from pypcore.postprocess.picture import draw_postprocess
from pypcore.postprocess.tables import write_fsc_csv, write_fsc_star
from pypcore.products import whole

FILES = {
    "map": "postprocess.mrc",
    "masked": "postprocess_masked.mrc",
    "mask": "mask.mrc",
    "star": "postprocess.star",
    "table": "fsc.csv",
    "picture": "postprocess.png",
}
SPHERE = 0.45  # of the box: a sphere's radius when none is given


@dataclass(frozen=True)
class Settings:
    """What can be asked; lengths in Å but for ``edge``, voxels. None: found from the maps.

    ``mask`` is ``auto``, ``sphere``, ``none`` or a file.
    """

    mask: str = "auto"
    radius: float | None = None
    lowpass_mask: float = LOWPASS
    threshold: float | None = None
    edge: float | None = None
    pixel_size: float | None = None
    b_factor: float | None = None
    fit_from: float = sharpen.FIT_FROM
    fit_to: float | None = None
    mtf: Path | None = None
    mtf_pixel_size: float | None = None
    weighting: bool = True
    lowpass: float | None = None
    threads: int = 1


@dataclass(frozen=True)
class Postprocessed:
    """What was found, and the files it is in."""

    figures: dict[str, Any]
    products: dict[str, Path] = field(default_factory=dict)


def run(half1: Path, half2: Path, output: Path, settings: Settings, *, force: bool = False) -> Postprocessed:
    """Post-process two half maps into the folder ``output``.

    InputError for a file at fault, UsageError for settings that can't mean anything, or files that are there already.
    """
    there = [name for name in FILES.values() if (output / name).exists()]
    if there and not force:
        raise UsageError(f"{output}: has {there[0]} already; give another folder with -o, or --force to write over it")
    _check(settings)
    halves, pixel_size = _read_halves(half1, half2, settings)
    mean = np.asarray((halves[0] + halves[1]) / 2, np.float32)
    mask = _mask(mean, pixel_size, settings)
    fsc = measure(halves[0], halves[1], pixel_size, mask, threads=settings.threads)
    mtf = sharpen.read_mtf(settings.mtf, fsc, settings.mtf_pixel_size) if settings.mtf else None
    guinier = None
    if settings.b_factor is None:
        guinier = sharpen.guinier(mean, fsc, mtf, low=settings.fit_from, high=settings.fit_to)
    b_factor = settings.b_factor if guinier is None else guinier.b_factor
    assert b_factor is not None
    volume = sharpen.sharpened(
        mean, fsc, b_factor, mtf, weighted=settings.weighting, lowpass=settings.lowpass, threads=settings.threads
    )
    figures = _figures(fsc, b_factor, guinier, pixel_size)
    return Postprocessed(figures, _write(output, half1, half2, settings, fsc, volume, mask, guinier, b_factor))


def _check(settings: Settings) -> None:
    for name in ("radius", "lowpass_mask", "pixel_size", "fit_from", "fit_to", "mtf_pixel_size", "lowpass"):
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise UsageError(f"{name.replace('_', '-')} is {value:g}; it must be greater than 0")
    if settings.edge is not None and settings.edge < 0:
        raise UsageError(f"edge is {settings.edge:g}; it must not be below 0")
    if settings.radius is not None and settings.mask != "sphere":
        raise UsageError("a radius is that of a sphere; give --mask sphere too")
    if settings.fit_to is not None and settings.fit_to >= settings.fit_from:
        raise UsageError(f"fit-to {settings.fit_to:g} Å is no finer than fit-from {settings.fit_from:g} Å")


def _read_halves(half1: Path, half2: Path, settings: Settings) -> tuple[list[Map], float]:
    halves, sizes = [], []
    for path in (half1, half2):
        volume, size = read_mrc(path)
        if volume.ndim != 3 or len(set(volume.shape)) != 1 or volume.shape[0] % 2:
            raise InputError(f"{path}: {' x '.join(map(str, volume.shape))} voxels; a half map is a cube of even side")
        if not np.isfinite(volume).all():
            raise InputError(f"{path}: has voxels that are not finite (NaN or infinite)")
        halves.append(np.asarray(volume, np.float32))
        sizes.append(size)
    if halves[0].shape != halves[1].shape:
        raise InputError(f"{half2}: box {halves[1].shape[0]}, that of {half1} is {halves[0].shape[0]}")
    if np.array_equal(halves[0], halves[1]):
        raise InputError(f"{half2}: is the same map as {half1}; two independent halves are needed")
    pixel_size = settings.pixel_size or sizes[0]
    if pixel_size is None:
        raise InputError(f"{half1}: its header says no pixel size; give --pixel-size, in Å")
    if settings.pixel_size is None and sizes[1] is not None and abs(sizes[1] - pixel_size) > 1e-3 * pixel_size:
        raise InputError(f"{half2}: {sizes[1]:g} Å a voxel, {half1} has {pixel_size:g}; give --pixel-size, in Å")
    return halves, pixel_size


def _mask(mean: Map, pixel_size: float, settings: Settings) -> Map | None:
    match settings.mask:
        case "none":
            return None
        case "auto":
            return automatic(
                mean, pixel_size, lowpass=settings.lowpass_mask, edge=settings.edge, threshold=settings.threshold
            )
        case "sphere":
            box = mean.shape[0]
            radius = SPHERE * box if settings.radius is None else settings.radius / pixel_size
            return sphere(box, radius) if settings.edge is None else sphere(box, radius, edge=settings.edge)
        case file:
            return read_mask(Path(file), mean.shape)


def _figures(fsc: Fsc, b_factor: float, guinier: sharpen.Guinier | None, pixel_size: float) -> dict[str, Any]:
    return {
        "resolution": round(fsc.resolution(), 4),
        "resolution_masked": round(fsc.resolution(curve=fsc.masked), 4),
        "resolution_unmasked": round(fsc.resolution(curve=fsc.unmasked), 4),
        "b_factor": round(b_factor, 3),
        "b_factor_from": "given" if guinier is None else "Guinier fit",
        "fit_correlation": None if guinier is None else round(guinier.correlation, 4),
        "pixel_size": pixel_size,
        "box": fsc.box,
    }


def _write(
    output: Path,
    half1: Path,
    half2: Path,
    settings: Settings,
    fsc: Fsc,
    volume: Map,
    mask: Map | None,
    guinier: sharpen.Guinier | None,
    b_factor: float,
) -> dict[str, Path]:
    general = {
        "rlnFinalResolution": round(fsc.resolution(), 6),
        "rlnBfactorUsedForSharpening": round(b_factor, 6),
        "rlnUnfilteredMapHalf1": str(half1),
        "rlnUnfilteredMapHalf2": str(half2),
    }
    if mask is not None:
        general["rlnMaskName"] = str(output / FILES["mask"]) if settings.mask in ("auto", "sphere") else settings.mask
    if fsc.random_from:
        general["rlnRandomiseFrom"] = round(fsc.box * fsc.pixel_size / fsc.random_from, 6)
    more: dict[str, Any] = {}
    if guinier is not None:
        general |= {
            "rlnFittedSlopeGuinierPlot": round(guinier.slope, 6),
            "rlnFittedInterceptGuinierPlot": round(guinier.intercept, 6),
            "rlnCorrelationFitGuinierPlot": round(guinier.correlation, 6),
        }
        more["guinier"] = {
            "rlnResolutionSquared": guinier.k2.tolist(),
            "rlnLogAmplitudesWeighted": guinier.ln.tolist(),
        }
    maps = {"map": (volume, "sharpened")}
    if mask is not None:
        maps["masked"] = (volume * mask, "sharpened, masked")
        if settings.mask in ("auto", "sphere"):
            maps["mask"] = (mask, f"{settings.mask} mask")
    products = {}
    for kind, (array, label) in maps.items():
        products[kind] = output / FILES[kind]
        with whole(products[kind]) as temporary:
            write_mrc(temporary, array, fsc.pixel_size, volume=True, label=f"pypcore postprocess: {label}")
    products |= {kind: output / FILES[kind] for kind in ("star", "table", "picture")}
    with whole(products["star"]) as temporary:
        write_fsc_star(temporary, fsc, general, more)
    with whole(products["table"]) as temporary:
        write_fsc_csv(temporary, fsc)
    title = f"box {fsc.box}, {fsc.pixel_size:.4g} Å/px: {fsc.resolution():.2f} Å"
    with whole(products["picture"]) as temporary:
        draw_postprocess(temporary, title, fsc, guinier, b_factor, volume, mask)
    return products
