"""The tables of all tilt series: RELION 5's STAR file, a CSV, and a page with their pictures."""

import csv
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pypcore.formats.star import write_star
from pypcore.operation import Context, Done, Result
from pypcore.operations.project_paths import in_project

REPORT = "report.html"
_PICTURES = ("alignment_picture", "beads_picture", "tomogram_picture")
_SHOWN = {  # figures on the page: heading, and how a number is written
    "views_used": ("views used", "{:d}"),
    "views": ("of", "{:d}"),
    "tilt_axis": ("axis, °", "{:.2f}"),
    "tilt_offset": ("tilt offset, °", "{:.2f}"),
    "alignment_error": ("expected error, Å", "{:.2f}"),
    "local_shift": ("local shifts, Å rms", "{:.1f}"),
    "beads_steady": ("gold beads", "{:d}"),
    "bead_residual": ("their residual, Å", "{:.2f}"),
    "largest_shift": ("largest shift, Å", "{:.0f}"),
    "pixel_size": ("pixel, Å", "{:.4g}"),
    "voxel_size": ("voxel, Å", "{:.4g}"),
    "total_dose": ("dose, e-/Å²", "{:.0f}"),
}
_TOMOGRAMS = {
    "tomogram": "rlnTomoReconstructedTomogram",
    "half1": "rlnTomoReconstructedTomogramHalf1",
    "half2": "rlnTomoReconstructedTomogramHalf2",
}
_STYLE = (
    "body{font:14px sans-serif;margin:1.5em;max-width:1200px}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ddd;padding:.3em .7em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}"
    "img{max-width:48%;border:1px solid #ccc;margin:.2em}p{color:#a00;margin:.2em 0}"
)


def write_tables(done: Iterable[Done], context: Context, name: str) -> Result:
    """Write ``NAME.star``, ``NAME.csv`` and ``report.html``, a row a series in the order of the items."""
    finished = list(done)
    star, table = f"{name}.star", f"{name}.csv"
    with context.write(star) as temporary:
        write_star(temporary, {"global": star_columns(finished, context)})
    with context.write(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        _write_csv(file, finished)
    with context.write(REPORT) as temporary:
        temporary.write_text(report_page(name, finished, context.job), encoding="utf-8")
    places = {"star": star, "table": table, "report": REPORT}
    return Result({kind: context.job / place for kind, place in places.items()}, {"tilt_series": len(finished)})


def star_columns(finished: Sequence[Done], context: Context) -> dict[str, list[Any]]:
    """Return the table ``data_global`` of RELION 5: what it needs to go on, and where the tomograms are."""
    figures = [one.figures for one in finished]
    voltages = [one["voltage"] for one in figures]
    columns: dict[str, list[Any]] = {
        "rlnTomoName": [one.item.name for one in finished],
        "rlnTomoTiltSeriesStarFile": [in_project(one.products["tilt_series"], context) for one in finished],
        "rlnVoltage": voltages if None not in voltages else [],
        "rlnSphericalAberration": [one["cs"] for one in figures],
        "rlnAmplitudeContrast": [one["amplitude_contrast"] for one in figures],
        "rlnMicrographOriginalPixelSize": [one["pixel_size"] for one in figures],
        "rlnTomoHand": [one["handedness"] for one in figures if one.get("handedness") is not None],
        "rlnOpticsGroupName": ["opticsGroup1"] * len(finished),
        "rlnTomoTiltSeriesPixelSize": [one["pixel_size"] for one in figures],
    }
    if all("tomogram" in one.products for one in finished):
        columns["rlnTomoTomogramBinning"] = [one["bin"] for one in figures]
        for axis in "XYZ":
            columns[f"rlnTomoSize{axis}"] = [one[f"size_{axis.lower()}"] for one in figures]
        for kind, column in _TOMOGRAMS.items():
            if all(kind in one.products for one in finished):
                columns[column] = [in_project(one.products[kind], context) for one in finished]
    return {name: column for name, column in columns.items() if len(column) == len(finished)}


def _write_csv(file: Any, finished: Sequence[Done]) -> None:
    """Write every figure that is one number or word; lists (per view) stay in the items' records."""
    names: dict[str, None] = {}
    rows = []
    for one in finished:
        row = {name: value for name, value in one.figures.items() if not isinstance(value, list | dict)}
        names |= dict.fromkeys(row)
        rows.append({"name": one.item.name, "input": one.item.given, **row})
    writer = csv.DictWriter(file, ["name", "input", *names], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def report_page(title: str, finished: Sequence[Done], job: Path) -> str:
    """Return a page that opens from a file share, without a network; its pictures are the job's own files."""
    shown = {key: about for key, about in _SHOWN.items() if any(one.figures.get(key) is not None for one in finished)}
    rows, parts = [], []
    for one in finished:
        cells = "".join(f"<td>{_number(one.figures.get(key), form)}</td>" for key, (_, form) in shown.items())
        name = escape(one.item.name)
        rows.append(f'<tr><td><a href="#{name}">{name}</a></td>{cells}</tr>')
        excluded = one.figures.get("views_excluded")
        said = [f"view {view}: {why}" for view, why in excluded.items()] if isinstance(excluded, dict) else []
        notes = one.figures.get("notes")
        said += [str(note) for note in notes] if isinstance(notes, list) else []
        pictures = "".join(
            f'<img loading="lazy" alt="{kind}" src="{escape(str(one.products[kind].relative_to(job)))}">'
            for kind in _PICTURES
            if kind in one.products
        )
        parts.append(f'<h2 id="{name}">{name}</h2>{"".join(f"<p>{escape(text)}</p>" for text in said)}{pictures}')
    heads = "".join(f"<th>{heading}</th>" for heading, _ in shown.values())
    table = f"<table><tr><th>tilt series</th>{heads}</tr>{''.join(rows)}</table>"
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{table}{''.join(parts)}</html>\n"
    )


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else ""
