"""What a reconstruction leaves: half maps, map, FSC tables, distribution of views, a picture."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.mrc import write_mrc
from pypcore.operation import Context, Done, Figure, Result
from pypcore.operations.reconstruct_parameters import ReconstructParameters
from pypcore.postprocess import fsc as correlation
from pypcore.postprocess.fsc import Curve, Fsc
from pypcore.postprocess.masks import automatic, read_mask
from pypcore.postprocess.picture import draw_reconstruction
from pypcore.postprocess.tables import write_fsc_csv, write_fsc_star
from pypcore.postprocess.transform import Map
from pypcore.reconstruct.accumulator import PACKED_LANES, volume_shape
from pypcore.reconstruct.finish import Finish, make_map, snr_of_fsc

if TYPE_CHECKING:
    from pypcore.operations.particle_items import Table

HALVES = ("half1", "half2")
FILES = {
    "half1": "half1.mrc",
    "half2": "half2.mrc",
    "map": "map.mrc",
    "mask": "mask.mrc",
    "fsc": "fsc.star",
    "fsc_table": "fsc.csv",
    "views": "views.csv",
    "picture": "reconstruction.png",
}
LABELS = {
    "half1": "half map 1, unmasked, unregularised",
    "half2": "half map 2, unmasked, unregularised",
    "map": "both halves, weighted by their FSC",
    "mask": "automatic mask",
}
STEP = 10  # degrees, of the table of views


def memory_needed(box: int, params: ReconstructParameters) -> int:
    """Return the bytes that ``make_products`` takes at most, the sums of both halves included."""
    z, y, x = volume_shape(box, params.padding)
    side, sums, voxels = box * params.padding, z * y * x * PACKED_LANES * 4, box**3 * 4
    making = 2 * sums + 2 * voxels + side * side * (side // 2 + 1) * 8  # the second half map, its transform
    making += sums if params.symmetry.upper() != "C1" else 0
    making += 6 * side**3 * 4 if params.iterations else 0
    comparing = sums + 5 * voxels  # half maps, mask, two transforms
    return max(making, comparing) + 2**25


def make_products(
    done: Sequence[Done], tables: Mapping[str, "Table"], box: int, params: ReconstructParameters, context: Context
) -> Result:
    """Make every product of the sums in ``context.total``; InputError where a half has no particle."""
    counts = [int(count) for count in context.total["particles"]]
    for number, count in enumerate(counts):
        if not count:
            raise InputError(f"half {number + 1} has no particle among those that are done; there is no FSC without it")
    pixel_size = next(iter(tables.values())).particles.optics[0].pixel_size
    total = context.total  # emptied as maps are made of it
    weights = sum(_mean_weights(total[name], box, params.padding) for name in HALVES)
    halves = [make_map(total[name], box, params.padding, _finish(params), threads=context.threads) for name in HALVES]
    both = total.pop("half1")
    both += total.pop("half2")
    shape = halves[0].shape
    mask = read_mask(params.mask, shape) if params.mask else automatic(_mean(*halves), pixel_size)
    fsc = correlation.measure(halves[0], halves[1], pixel_size, mask, threads=context.threads)
    finish = _finish(params, snr_of_fsc(fsc.corrected))
    volume = make_map(both, box, params.padding, finish, threads=context.threads)
    del both
    angles, rows = _angles(done, tables)

    figures = _figures(fsc, counts, context, rows, angles)
    products = {}
    for kind, array in (("half1", halves[0]), ("half2", halves[1]), ("map", volume), ("mask", mask)):
        if kind == "mask" and params.mask is not None:
            continue
        with context.write(FILES[kind]) as temporary:
            write_mrc(temporary, array, pixel_size, volume=True, label=f"pypcore reconstruct: {LABELS[kind]}")
        products[kind] = context.job / FILES[kind]
    general = {
        "rlnFinalResolution": round(fsc.resolution(), 4),
        "rlnUnfilteredMapHalf1": f"{context.job_as_given}/{FILES['half1']}",
        "rlnUnfilteredMapHalf2": f"{context.job_as_given}/{FILES['half2']}",
        "rlnMaskName": context.as_given(params.mask) if params.mask else f"{context.job_as_given}/{FILES['mask']}",
        "rlnRandomiseFrom": round(box * pixel_size / (fsc.random_from or 1), 4),
    }
    with context.write(FILES["fsc"]) as temporary:
        write_fsc_star(temporary, fsc, general)
    with context.write(FILES["fsc_table"]) as temporary:
        write_fsc_csv(temporary, fsc, {"mean_weight": np.asarray(weights)})
    with context.write(FILES["views"]) as temporary:
        _write_views(temporary, angles)
    title = f"{sum(counts)} particles, box {box}, {pixel_size:.4g} Å/px, {params.symmetry}: {fsc.resolution():.2f} Å"
    with context.write(FILES["picture"]) as temporary:
        draw_reconstruction(temporary, title, fsc, volume, mask, angles)
    products |= {kind: context.job / FILES[kind] for kind in ("fsc", "fsc_table", "views", "picture")}
    return Result(products, figures)


def _finish(params: ReconstructParameters, snr: Curve | None = None) -> Finish:
    return Finish(params.symmetry, params.iterations, snr)


def _mean(one: Map, other: Map) -> Map:
    mean = one + other
    mean /= 2
    return mean


def _mean_weights(packed: npt.NDArray[np.float32], box: int, padding: int) -> Curve:
    """Return the mean weight (sum of CTF² and particle weights) of a cell by shell of the map's."""
    middle = packed.shape[0] // 2
    square = ((np.arange(packed.shape[0]) - middle) / padding) ** 2
    x = (np.arange(packed.shape[2]) / padding) ** 2
    total, count = np.zeros(box // 2 + 2), np.zeros(box // 2 + 2)
    for z, plane in enumerate(packed[..., 2]):
        shell = np.minimum(np.rint(np.sqrt(square[z] + square[:, None] + x)), box // 2 + 1).astype(np.int64)
        # The plane x = 0 holds half of each pair's weight, on whichever side it fell.
        total += np.bincount(shell.reshape(-1), plane.reshape(-1).astype(np.float64), minlength=box // 2 + 2)
        cells = np.ones(plane.shape)
        cells[:, 0] = 0.5
        count += np.bincount(shell.reshape(-1), cells.reshape(-1), minlength=box // 2 + 2)
    return (total / np.maximum(count, 1))[: box // 2 + 1]


def _angles(done: Sequence[Done], tables: Mapping[str, "Table"]) -> tuple[npt.NDArray[np.float64], int]:
    """Return the angles [n, 3] of all particles that are in the map, and how many the tables name."""
    found = []
    for one in done:
        table = tables[one.item.file]
        found.append(table.particles.angles[table.parts[one.item.part]])
    return np.concatenate(found), sum(len(table.particles) for table in tables.values())


def _figures(
    fsc: Fsc, counts: Sequence[int], context: Context, named: int, angles: npt.NDArray[np.float64]
) -> dict[str, Figure]:
    return {
        "particles": sum(counts),
        "particles_half1": counts[0],
        "particles_half2": counts[1],
        "particles_named": named,
        "weight_half1": round(float(context.total["weights"][0]), 3),
        "weight_half2": round(float(context.total["weights"][1]), 3),
        "resolution": round(fsc.resolution(), 4),
        "resolution_masked": round(fsc.resolution(curve=fsc.masked), 4),
        "resolution_unmasked": round(fsc.resolution(curve=fsc.unmasked), 4),
        "evenness": round(_evenness(angles), 4),
    }


def _evenness(angles: npt.NDArray[np.float64]) -> float:
    """Return 1 for views from everywhere alike, 0 for all along one line: 3 times the least share of the axes.

    The shares are the eigenvalues of the mean of v v^T over the directions of view v; a view and its opposite say the
    same.
    """
    rot, tilt = np.deg2rad(angles[:, 0]), np.deg2rad(angles[:, 1])
    views = np.stack([np.sin(tilt) * np.cos(rot), np.sin(tilt) * np.sin(rot), np.cos(tilt)], axis=1)
    return float(3 * np.linalg.eigvalsh(views.T @ views / len(views))[0])


def _write_views(path: Path, angles: npt.NDArray[np.float64]) -> None:
    """Write how many particles are seen from each direction, a row for each STEP x STEP degrees that has any."""
    rot = (angles[:, 0] + 180) % 360 - 180
    tilt = np.rad2deg(np.arccos(np.cos(np.deg2rad(angles[:, 1]))))
    bins = np.stack([rot // STEP, np.minimum(tilt // STEP, 180 // STEP - 1)], axis=1)
    places, counts = np.unique(bins, axis=0, return_counts=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: Any = csv.writer(file, lineterminator="\n")
        writer.writerow(["rot_from", "rot_to", "tilt_from", "tilt_to", "particles"])
        for (column, row), count in zip(places.astype(int) * STEP, counts, strict=True):
            writer.writerow([column, column + STEP, row, row + STEP, count])
