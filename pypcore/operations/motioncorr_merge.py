"""The tables of all micrographs: ``micrographs.star`` for RELION, ``micrographs.csv`` for everything else."""

import csv
from collections.abc import Iterable
from typing import Any

from pypcore.formats.star import write_star
from pypcore.operation import Context, Done, Result
from pypcore.operations.motioncorr_files import FOLDER, SUFFIXES
from pypcore.operations.motioncorr_parameters import MotionCorrParameters

STAR, CSV = "micrographs.star", "micrographs.csv"
_COLUMNS = {  # RELION's name for each kind of product
    "micrograph": "rlnMicrographName",
    "motion": "rlnMicrographMetadata",
    "power_spectrum": "rlnCtfPowerSpectrum",
    "unweighted": "rlnMicrographNameNoDW",
    "even": "rlnMicrographNameEven",
    "odd": "rlnMicrographNameOdd",
}
_MOTIONS = {
    "rlnAccumMotionTotal": "motion_total",
    "rlnAccumMotionEarly": "motion_early",
    "rlnAccumMotionLate": "motion_late",
}


def write_tables(done: Iterable[Done], params: MotionCorrParameters, context: Context) -> Result:
    """Write both tables, a row a micrograph in the order of the items; return them and how many rows there are."""
    finished = list(done)
    # Movies of other pixel sizes (which the headers may say) are other optics groups.
    sizes: dict[Any, Any] = {one.figures["pixel_size"]: one.figures["micrograph_pixel_size"] for one in finished}
    groups = {size: number for number, size in enumerate(sizes, 1)}
    optics: dict[str, list[Any]] = {
        "rlnOpticsGroupName": [f"opticsGroup{number}" for number in groups.values()],
        "rlnOpticsGroup": list(groups.values()),
        "rlnMicrographOriginalPixelSize": list(sizes),
        "rlnVoltage": [params.voltage] * len(sizes) if params.voltage else [],
        "rlnSphericalAberration": [params.cs] * len(sizes),
        "rlnAmplitudeContrast": [params.amplitude_contrast] * len(sizes),
        "rlnMicrographPixelSize": list(sizes.values()),
    }
    micrographs: dict[str, list[Any]] = {
        name: [_as_given(one, kind, context) for one in finished]
        for kind, name in _COLUMNS.items()
        if any(kind in one.products for one in finished)
    }
    micrographs["rlnOpticsGroup"] = [groups[one.figures["pixel_size"]] for one in finished]
    for name, figure in _MOTIONS.items():
        micrographs[name] = [one.figures[figure] for one in finished]
    with context.write(STAR) as temporary:
        write_star(temporary, {"optics": {name: column for name, column in optics.items() if column},
                               "micrographs": micrographs})  # fmt: skip
    with context.write(CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        _write_csv(file, finished)
    return Result({"star": context.job / STAR, "table": context.job / CSV}, {"micrographs": len(finished)})


def _as_given(one: Done, kind: str, context: Context) -> str:
    """Return where RELION, started where the job was, finds a product."""
    return f"{context.job_as_given}/{FOLDER}/{one.item.name}{SUFFIXES[kind]}"


def _write_csv(file: Any, finished: list[Done]) -> None:
    """Write every figure that is one number or word; lists (per frame) stay in the items' records."""
    names: dict[str, None] = {}
    rows = []
    for one in finished:
        row = {name: value for name, value in one.figures.items() if not isinstance(value, list | dict)}
        names |= dict.fromkeys(row)
        rows.append({"name": one.item.name, "movie": one.item.given, **row})
    writer = csv.DictWriter(file, ["name", "movie", *names], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
